"""What a file is in 9P2000: qid, mode bits, stat, and how a file can be opened.

Source: Plan 9's manual, section 5: intro(5), stat(5), open(5).
"""

from dataclasses import dataclass, replace
from enum import IntEnum, IntFlag

NO_TAG = 0xFFFF
NO_FID = 0xFFFFFFFF
MAX_ERROR = 127
"""Bytes of an error's text: Plan 9 has room for 128 with the end mark (ERRMAX)."""
MAX_NAME = 255
"""Bytes of one name; Linux has no longer ones, and Plan 9 no need for any."""


class QidType(IntFlag):
    """The kind of a file: the top byte of its mode."""

    DIR = 0x80
    APPEND = 0x40
    EXCLUSIVE = 0x20
    AUTH = 0x08
    TMP = 0x04
    FILE = 0x00


class Mode(IntFlag):
    """A file's mode beside its nine permission bits, which are as on Unix."""

    DIR = 0x80000000
    APPEND = 0x40000000
    EXCLUSIVE = 0x20000000
    AUTH = 0x08000000
    TMP = 0x04000000

    @staticmethod
    def qid_type(mode: int) -> QidType:
        """The qid's type of a file with this mode."""
        return QidType(mode >> 24 & 0xEC)


MODE_BITS = 0o777 | Mode.DIR | Mode.APPEND | Mode.EXCLUSIVE | Mode.TMP
"""All that a file can be given (stat(5))."""


class Access(IntEnum):
    """What a file is opened for: the low two bits of an open's mode. `EXEC` is reading what is to be run."""

    READ = 0
    WRITE = 1
    READ_WRITE = 2
    EXEC = 3


@dataclass(frozen=True, slots=True)
class OpenMode:
    """How a file is to be opened: `truncate` empties it first, `remove_on_close` removes it when its fid is clunked."""

    access: Access
    truncate: bool = False
    remove_on_close: bool = False

    @property
    def reads(self) -> bool:
        return self.access is not Access.WRITE

    @property
    def writes(self) -> bool:
        return self.access in (Access.WRITE, Access.READ_WRITE)

    @property
    def changes(self) -> bool:
        """Whether the file can become another by it, or none."""
        return self.writes or self.truncate or self.remove_on_close

    @property
    def code(self) -> int:
        """As it stands in a message (open(5))."""
        return int(self.access) | (0x10 if self.truncate else 0) | (0x40 if self.remove_on_close else 0)

    @classmethod
    def of(cls, code: int) -> "OpenMode":
        """From the byte of a message. Raises NinepError for bits that mean nothing."""
        if code & ~0x53:
            raise NinepError("invalid open mode")
        return cls(Access(code & 3), bool(code & 0x10), bool(code & 0x40))


@dataclass(frozen=True, slots=True)
class Qid:
    """What tells files apart: `path` is one file's alone for good, `version` moves with every change of it."""

    type: QidType
    version: int
    path: int

    @property
    def is_dir(self) -> bool:
        return bool(self.type & QidType.DIR)


@dataclass(frozen=True, slots=True)
class Stat:
    """All about a file (stat(5)). Times are whole seconds since the epoch, `length` bytes; a directory's is 0.

    `mode` has the nine permission bits and those of `Mode`. Users are names.
    """

    qid: Qid
    mode: int
    name: str
    length: int = 0
    atime: int = 0
    mtime: int = 0
    uid: str = "none"
    gid: str = "none"
    muid: str = "none"
    type: int = 0
    dev: int = 0

    def named(self, name: str) -> "Stat":
        """The same under another name."""
        return replace(self, name=name)


@dataclass(frozen=True, slots=True)
class StatChange:
    """What a wstat wants changed; None leaves it alone. One that changes nothing at all asks for the file to be put
    on stable storage (stat(5)).
    """

    mode: int | None = None
    name: str | None = None
    length: int | None = None
    mtime: int | None = None
    gid: str | None = None

    @property
    def is_sync(self) -> bool:
        return self == StatChange()


class NinepError(Exception):
    """What a request is answered with that cannot be carried out: one line, cut to what Plan 9 has room for."""

    def __init__(self, text: str) -> None:
        super().__init__(shorten(text))

    @property
    def text(self) -> str:
        return str(self)


def shorten(text: str) -> str:
    """One line of at most MAX_ERROR bytes, whole characters."""
    line = " ".join(text.split()) or "error"
    return line.encode(errors="replace")[:MAX_ERROR].decode(errors="ignore")


NOT_FOUND = "file does not exist"
PERMISSION = "permission denied"
EXISTS = "file already exists"
NOT_DIR = "not a directory"
IS_DIR = "file is a directory"
IN_USE = "file in use"
"""Somebody has it open who wants nobody else to (exclusive use)."""
NOT_EMPTY = "directory is not empty"
READ_ONLY = "read only file system"
BAD_OFFSET = "illegal offset"
INTERRUPTED = "interrupted"
"""Texts that Plan 9's own servers use: programs look for them, and Linux knows errno by them (net/9p/error.c)."""
