"""Messages as bytes: size[4] type[1] tag[2] and what its kind has. Pure.

Nothing that comes is believed: any bytes give a message or `Malformed`. Each message has one form in bytes: what was
parsed is dumped to the same again.
"""

from collections.abc import Callable
from struct import Struct
from typing import Any

from weft.ninep.cursor import U16, U32, Cursor, Malformed, dump_numbers, dump_qid, dump_text
from weft.ninep.messages import (
    MAX_WALK,
    Message,
    Rattach,
    Rauth,
    Rclunk,
    Rcreate,
    Rerror,
    Rflush,
    Ropen,
    Rread,
    Rremove,
    Rstat,
    Rversion,
    Rwalk,
    Rwrite,
    Rwstat,
    Tattach,
    Tauth,
    Tclunk,
    Tcreate,
    Tflush,
    Topen,
    Tread,
    Tremove,
    Tstat,
    Tversion,
    Twalk,
    Twrite,
    Twstat,
)
from weft.ninep.stats import dump_stat, take_stat
from weft.ninep.words import Qid, Stat

HEAD = Struct("<IBH")

# What has numbers only is packed and unpacked in one go, head and all.
_NUMBERS: dict[type[Message], Struct] = {
    Tflush: Struct("<IBHH"),
    Rflush: HEAD,
    Topen: Struct("<IBHIB"),
    Tread: Struct("<IBHIQI"),
    Rwrite: Struct("<IBHI"),
    Tclunk: Struct("<IBHI"),
    Rclunk: HEAD,
    Tremove: Struct("<IBHI"),
    Rremove: HEAD,
    Tstat: Struct("<IBHI"),
    Rwstat: HEAD,
}
_NUMBERS_BY_CODE: dict[int, tuple[Any, Struct]] = {kind.code: (kind, layout) for kind, layout in _NUMBERS.items()}
_DATA_HEAD = Struct("<IBHI")
_FIDS = Struct("<II")
_MODE = Struct("<IB")
_WRITE = Struct("<IQI")


def parse(frame: bytes) -> tuple[int, Message]:
    """Tag and message of a whole frame, as `Frames` gives them. Raises Malformed."""
    code = frame[4]
    numbers = _NUMBERS_BY_CODE.get(code)
    if numbers is None:
        return _parse_other(code, frame)
    kind, layout = numbers
    if len(frame) != layout.size:
        raise Malformed(f"malformed {kind.__name__}")
    _, _, tag, *values = layout.unpack(frame)
    return tag, kind(*values)


def _parse_other(code: int, frame: bytes) -> tuple[int, Message]:
    take = _TAKERS.get(code)
    if take is None:
        raise Malformed(f"unknown message type {code}")
    cursor = Cursor(frame, HEAD.size)
    message = take(cursor)
    cursor.end()
    return find_tag(frame), message


def find_tag(frame: bytes) -> int:
    """The tag of a message that need not be in order otherwise."""
    return int(HEAD.unpack_from(frame)[2])


def dump(tag: int, message: Message) -> bytes:
    """The frame of a message. Raises Malformed for what has no room in it."""
    layout = _NUMBERS.get(type(message))
    if layout is not None:
        values = [getattr(message, name) for name in message.__slots__]
        return dump_numbers(layout, layout.size, message.code, tag, *values)
    if isinstance(message, Rread):
        size = len(message.data)
        return dump_numbers(_DATA_HEAD, _DATA_HEAD.size + size, message.code, tag, size) + message.data
    body: bytes = _DUMPERS[type(message)](message)
    return dump_numbers(HEAD, HEAD.size + len(body), message.code, tag) + body


def _take_count(cursor: Cursor) -> int:
    count = cursor.u16()
    if count > MAX_WALK:
        raise Malformed(f"malformed message: more than {MAX_WALK} names in a walk")
    return count


def _take_names(cursor: Cursor) -> tuple[str, ...]:
    return tuple([cursor.text() for _ in range(_take_count(cursor))])


def _take_qids(cursor: Cursor) -> tuple[Qid, ...]:
    return tuple([cursor.qid() for _ in range(_take_count(cursor))])


def _take_stat(cursor: Cursor) -> Stat:
    """In a message a stat has its size before it a second time."""
    size, start = cursor.u16(), cursor.at
    stat = take_stat(cursor)
    if cursor.at - start != size:
        raise Malformed("malformed stat: its size is wrong")
    return stat


def _take_write(cursor: Cursor) -> Twrite:
    fid, offset, count = cursor.take(_WRITE)
    return Twrite(fid, offset, cursor.bytes(count))


_TAKERS: dict[int, Callable[[Cursor], Message]] = {
    Tversion.code: lambda some: Tversion(some.u32(), some.text()),
    Rversion.code: lambda some: Rversion(some.u32(), some.text()),
    Tauth.code: lambda some: Tauth(some.u32(), some.text(), some.text()),
    Rauth.code: lambda some: Rauth(some.qid()),
    Tattach.code: lambda some: Tattach(some.u32(), some.u32(), some.text(), some.text()),
    Rattach.code: lambda some: Rattach(some.qid()),
    Rerror.code: lambda some: Rerror(some.text()),
    Twalk.code: lambda some: Twalk(some.u32(), some.u32(), _take_names(some)),
    Rwalk.code: lambda some: Rwalk(_take_qids(some)),
    Ropen.code: lambda some: Ropen(some.qid(), some.u32()),
    Tcreate.code: lambda some: Tcreate(some.u32(), some.text(), *some.take(_MODE)),
    Rcreate.code: lambda some: Rcreate(some.qid(), some.u32()),
    Rread.code: lambda some: Rread(some.bytes(some.u32())),
    Twrite.code: _take_write,
    Rstat.code: lambda some: Rstat(_take_stat(some)),
    Twstat.code: lambda some: Twstat(some.u32(), _take_stat(some)),
}


def _dump_many(dumped: list[bytes]) -> bytes:
    return b"".join((dump_numbers(U16, len(dumped)), *dumped))


def _dump_stat(stat: Stat) -> bytes:
    dumped = dump_stat(stat)
    return dump_numbers(U16, len(dumped)) + dumped


def _u32(number: int) -> bytes:
    return dump_numbers(U32, number)


def _fids(fid: int, other: int) -> bytes:
    return dump_numbers(_FIDS, fid, other)


_DUMPERS: dict[type[Message], Callable[[Any], bytes]] = {
    Tversion: lambda some: _u32(some.msize) + dump_text(some.version),
    Rversion: lambda some: _u32(some.msize) + dump_text(some.version),
    Tauth: lambda some: _u32(some.afid) + dump_text(some.uname) + dump_text(some.aname),
    Rauth: lambda some: dump_qid(some.aqid),
    Tattach: lambda some: _fids(some.fid, some.afid) + dump_text(some.uname) + dump_text(some.aname),
    Rattach: lambda some: dump_qid(some.qid),
    Rerror: lambda some: dump_text(some.ename),
    Twalk: lambda some: _fids(some.fid, some.newfid) + _dump_many([dump_text(name) for name in some.names]),
    Rwalk: lambda some: _dump_many([dump_qid(qid) for qid in some.qids]),
    Ropen: lambda some: dump_qid(some.qid) + _u32(some.iounit),
    Tcreate: lambda some: _u32(some.fid) + dump_text(some.name) + dump_numbers(_MODE, some.perm, some.mode),
    Rcreate: lambda some: dump_qid(some.qid) + _u32(some.iounit),
    Twrite: lambda some: dump_numbers(_WRITE, some.fid, some.offset, len(some.data)) + some.data,
    Rstat: lambda some: _dump_stat(some.stat),
    Twstat: lambda some: _u32(some.fid) + _dump_stat(some.stat),
}
