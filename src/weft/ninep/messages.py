"""What 9P2000's peers say to each other: requests (T) and replies (R). Plain data; `codec.py` has the bytes.

Source: Plan 9's manual, section 5. A message's tag is not part of it: it belongs to the envelope.
"""

from dataclasses import dataclass
from typing import ClassVar

from weft.ninep.words import Qid, Stat

VERSION = "9P2000"
MAX_WALK = 16
"""Names in one walk (MAXWELEM)."""
IO_HEADER = 24
"""Bytes of a message that has data, beside the data, with some to spare (IOHDRSZ)."""


@dataclass(frozen=True, slots=True)
class Tversion:
    code: ClassVar[int] = 100
    msize: int
    version: str


@dataclass(frozen=True, slots=True)
class Rversion:
    code: ClassVar[int] = 101
    msize: int
    version: str


@dataclass(frozen=True, slots=True)
class Tauth:
    code: ClassVar[int] = 102
    afid: int
    uname: str
    aname: str


@dataclass(frozen=True, slots=True)
class Rauth:
    code: ClassVar[int] = 103
    aqid: Qid


@dataclass(frozen=True, slots=True)
class Tattach:
    code: ClassVar[int] = 104
    fid: int
    afid: int
    uname: str
    aname: str


@dataclass(frozen=True, slots=True)
class Rattach:
    code: ClassVar[int] = 105
    qid: Qid


@dataclass(frozen=True, slots=True)
class Rerror:
    """There is no Terror."""

    code: ClassVar[int] = 107
    ename: str


@dataclass(frozen=True, slots=True)
class Tflush:
    code: ClassVar[int] = 108
    oldtag: int


@dataclass(frozen=True, slots=True)
class Rflush:
    code: ClassVar[int] = 109


@dataclass(frozen=True, slots=True)
class Twalk:
    code: ClassVar[int] = 110
    fid: int
    newfid: int
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Rwalk:
    """Fewer qids than names: the walk ended there, and `newfid` is nothing."""

    code: ClassVar[int] = 111
    qids: tuple[Qid, ...] = ()


@dataclass(frozen=True, slots=True)
class Topen:
    """`mode` as it stands in the message: `OpenMode.of` knows what it means."""

    code: ClassVar[int] = 112
    fid: int
    mode: int


@dataclass(frozen=True, slots=True)
class Ropen:
    """`iounit`: bytes that are read or written in one piece; 0 is unknown."""

    code: ClassVar[int] = 113
    qid: Qid
    iounit: int


@dataclass(frozen=True, slots=True)
class Tcreate:
    code: ClassVar[int] = 114
    fid: int
    name: str
    perm: int
    mode: int


@dataclass(frozen=True, slots=True)
class Rcreate:
    code: ClassVar[int] = 115
    qid: Qid
    iounit: int


@dataclass(frozen=True, slots=True)
class Tread:
    code: ClassVar[int] = 116
    fid: int
    offset: int
    count: int


@dataclass(frozen=True, slots=True)
class Rread:
    code: ClassVar[int] = 117
    data: bytes


@dataclass(frozen=True, slots=True)
class Twrite:
    code: ClassVar[int] = 118
    fid: int
    offset: int
    data: bytes


@dataclass(frozen=True, slots=True)
class Rwrite:
    code: ClassVar[int] = 119
    count: int


@dataclass(frozen=True, slots=True)
class Tclunk:
    code: ClassVar[int] = 120
    fid: int


@dataclass(frozen=True, slots=True)
class Rclunk:
    code: ClassVar[int] = 121


@dataclass(frozen=True, slots=True)
class Tremove:
    code: ClassVar[int] = 122
    fid: int


@dataclass(frozen=True, slots=True)
class Rremove:
    code: ClassVar[int] = 123


@dataclass(frozen=True, slots=True)
class Tstat:
    code: ClassVar[int] = 124
    fid: int


@dataclass(frozen=True, slots=True)
class Rstat:
    code: ClassVar[int] = 125
    stat: Stat


@dataclass(frozen=True, slots=True)
class Twstat:
    """`stat` has values that mean "leave it alone" in what is not to change: see `stats.py`."""

    code: ClassVar[int] = 126
    fid: int
    stat: Stat


@dataclass(frozen=True, slots=True)
class Rwstat:
    code: ClassVar[int] = 127


Request = (
    Tversion | Tauth | Tattach | Tflush | Twalk | Topen | Tcreate | Tread | Twrite | Tclunk | Tremove | Tstat | Twstat
)
Reply = (
    Rversion
    | Rauth
    | Rattach
    | Rerror
    | Rflush
    | Rwalk
    | Ropen
    | Rcreate
    | Rread
    | Rwrite
    | Rclunk
    | Rremove
    | Rstat
    | Rwstat
)
Message = Request | Reply
