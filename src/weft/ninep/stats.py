"""Stats as bytes (stat(5)), and what the values of a Twstat ask for."""

from struct import Struct

from weft.ninep.cursor import U16, Cursor, Malformed, dump_numbers, dump_text, make_qid
from weft.ninep.words import MODE_BITS, Mode, NinepError, Qid, QidType, Stat, StatChange

_FIXED = Struct("<HIBIQIIIQ")
"""type, dev, qid, mode, atime, mtime, length: all that is before the texts."""
_U16, _U32, _U64 = 0xFFFF, 0xFFFFFFFF, 0xFFFFFFFFFFFFFFFF

UNTOUCHED = Stat(
    qid=Qid(QidType(0xFF), _U32, _U64),
    mode=_U32,
    name="",
    length=_U64,
    atime=_U32,
    mtime=_U32,
    uid="",
    gid="",
    muid="",
    type=_U16,
    dev=_U32,
)
"""What a Twstat has in whatever is to be left alone."""


def dump_stat(stat: Stat) -> bytes:
    """With its size before it, as it stands in a directory. Raises Malformed for values that have no room."""
    qid = stat.qid
    fixed = dump_numbers(
        _FIXED,
        stat.type,
        stat.dev,
        qid.type,
        qid.version,
        qid.path,
        stat.mode,
        stat.atime,
        stat.mtime,
        stat.length,
    )
    body = b"".join((fixed, dump_text(stat.name), dump_text(stat.uid), dump_text(stat.gid), dump_text(stat.muid)))
    return dump_numbers(U16, len(body)) + body


def take_stat(cursor: Cursor) -> Stat:
    """The stat that is next. Raises Malformed."""
    size = cursor.u16()
    end = cursor.at + size
    kind, dev, qid_type, version, path, mode, atime, mtime, length = cursor.take(_FIXED)
    name, uid, gid, muid = cursor.text(), cursor.text(), cursor.text(), cursor.text()
    if cursor.at != end:
        raise Malformed("malformed stat: its size is wrong")
    return Stat(make_qid(qid_type, version, path), mode, name, length, atime, mtime, uid, gid, muid, kind, dev)


def parse_stats(data: bytes) -> list[Stat]:
    """What a read of a directory gave. Raises Malformed."""
    cursor, stats = Cursor(data), []
    while cursor.at < len(data):
        stats.append(take_stat(cursor))
    return stats


def dump_change(change: StatChange) -> Stat:
    """The stat of the Twstat that asks for it."""
    return Stat(
        qid=UNTOUCHED.qid,
        mode=_U32 if change.mode is None else change.mode,
        name=change.name or "",
        length=_U64 if change.length is None else change.length,
        atime=_U32,
        mtime=_U32 if change.mtime is None else change.mtime,
        uid="",
        gid=change.gid or "",
        muid="",
        type=_U16,
        dev=_U32,
    )


def parse_change(asked: Stat) -> StatChange:
    """What a Twstat asks to be changed.

    A time of access is passed over: Linux sends one with every `touch`, and no server of Plan 9 minds.
    """
    return StatChange(
        mode=None if asked.mode == _U32 else asked.mode,
        name=asked.name or None,
        length=None if asked.length == _U64 else asked.length,
        mtime=None if asked.mtime == _U32 else asked.mtime,
        gid=asked.gid or None,
    )


def touches_fixed(asked: Stat) -> bool:
    """Whether a Twstat has a value in what nobody can change: it must be the one that is there already.

    Who has changed it is not looked at: Linux says there who renames it.
    """
    fixed = (asked.type, asked.dev, asked.qid, asked.uid, asked.mode)
    return fixed != (UNTOUCHED.type, UNTOUCHED.dev, UNTOUCHED.qid, UNTOUCHED.uid, UNTOUCHED.mode)


def refuse_fixed(asked: Stat, now: Stat) -> None:
    """Raises NinepError where a Twstat would change what is fixed: whether it is a directory, too."""
    pairs = (
        ("type", asked.type, now.type, UNTOUCHED.type),
        ("dev", asked.dev, now.dev, UNTOUCHED.dev),
        ("qid", asked.qid.type, now.qid.type, UNTOUCHED.qid.type),
        ("qid", asked.qid.version, now.qid.version, UNTOUCHED.qid.version),
        ("qid", asked.qid.path, now.qid.path, UNTOUCHED.qid.path),
        ("uid", asked.uid, now.uid, UNTOUCHED.uid),
    )
    for name, wanted, have, alone in pairs:
        if wanted not in (have, alone):
            raise NinepError(f"wstat cannot change {name}")
    if asked.mode != UNTOUCHED.mode:
        if (asked.mode ^ now.mode) & Mode.DIR:
            raise NinepError("wstat cannot change whether it is a directory")
        if asked.mode & ~(now.mode | MODE_BITS):
            raise NinepError("invalid permissions")
