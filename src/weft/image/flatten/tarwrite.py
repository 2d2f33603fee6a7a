"""Headers of the one tar that goes to the packer: ustar, with pax records for what does not fit."""

from weft.image.flatten.fields import BLOCK
from weft.image.flatten.members import Kind
from weft.image.flatten.merge import Inode

_OCTAL_7, _OCTAL_11 = 0o7777777, 0o77777777777
_NAME = 100
_ROOT = b"./"
END = bytes(2 * BLOCK)


def dump_header(path: bytes, inode: Inode) -> bytes:
    """All headers of one member. A path of `b""` is the root."""
    return _dump(path or _ROOT, inode, inode.kind, inode.target)


def dump_link(path: bytes, first: bytes) -> bytes:
    """The header of one more name for what stands in the tar as `first`."""
    return _dump(path, Inode(Kind.HARD_LINK), Kind.HARD_LINK, first)


def dump_padding(size: int) -> bytes:
    """What fills the last block of a content."""
    return bytes(-size % BLOCK)


def _dump(path: bytes, inode: Inode, kind: Kind, target: bytes) -> bytes:
    records = _plan_records(path, inode, target)
    header = _block(path, inode, kind.value, target)
    if not records:
        return header
    content = b"".join(_record(key, value) for key, value in records.items())
    extended = _block(b"", Inode(Kind.FILE, size=len(content)), b"x", b"")
    return extended + content + dump_padding(len(content)) + header


def _plan_records(path: bytes, inode: Inode, target: bytes) -> dict[bytes, bytes]:
    records = {}
    if len(path) > _NAME:
        records[b"path"] = path
    if len(target) > _NAME:
        records[b"linkpath"] = target
    for key, value, most in (
        (b"uid", inode.uid, _OCTAL_7),
        (b"gid", inode.gid, _OCTAL_7),
        (b"size", inode.size, _OCTAL_11),
    ):
        if value > most:
            records[key] = b"%d" % value
    for name, content in sorted((inode.xattrs or {}).items()):
        records[b"SCHILY.xattr." + name] = content
    return records


def _record(key: bytes, value: bytes) -> bytes:
    """The length counts itself: one digit more may be needed for it."""
    rest = b" %s=%s\n" % (key, value)
    length = len(rest) + len(b"%d" % len(rest))
    return b"%d%s" % (len(rest) + len(b"%d" % length), rest)


def _block(path: bytes, inode: Inode, letter: bytes, target: bytes) -> bytes:
    uid, gid, size = min(inode.uid, _OCTAL_7), min(inode.gid, _OCTAL_7), min(inode.size, _OCTAL_11)
    head = b"%s%07o\0%07o\0%07o\0%011o\0%011o\0" % (
        path[:_NAME].ljust(_NAME, b"\0"),
        inode.mode,
        uid,
        gid,
        size,
        inode.mtime,
    )
    tail = b"%s%sustar\x0000%s%07o\0%07o\0%s" % (
        letter,
        target[:_NAME].ljust(_NAME, b"\0"),
        bytes(64),
        inode.major,
        inode.minor,
        bytes(167),
    )
    return b"%s%06o\0 %s" % (head, sum(head) + sum(tail) + 8 * ord(" "), tail)
