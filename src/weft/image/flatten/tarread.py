"""Reads the headers of a tar: ustar, GNU and pax, as Go's archive/tar understands them, since layers are made for it.

Python's own tarfile takes several times as long for each member, follows global headers, which Go does not, and reads
on after damage.
"""

import struct
from collections.abc import Iterator

from weft.image.flatten.fields import BLOCK, OCTAL, ReadAt, parse_number, parse_text
from weft.image.flatten.limits import MAX_HEADER
from weft.image.flatten.members import Kind, Member, show
from weft.image.flatten.pax import Pax, parse_pax
from weft.image.flatten.sparse import set_gnu_extents, set_pax_extents
from weft.model.errors import Invalid

_NOTHING = bytes(BLOCK)
_FIELDS = struct.Struct("100s8s8s8s12s12s8sc100s8s64s8s8s155s12s")
_KINDS = {kind.value: kind for kind in Kind} | {b"\0": Kind.FILE, b"7": Kind.FILE, b"S": Kind.FILE}
_USTAR, _GNU = b"ustar\x0000", b"ustar  \0"

Fields = tuple[bytes, ...]
"""Name, mode, uid, gid, size, mtime, check sum, letter, target, magic, names of the owner, device's two, prefix."""


def read_members(read: ReadAt) -> Iterator[Member]:
    """The members of a tar, in their order. Raises Invalid when it is damaged or has something no image has."""
    offset = 0
    while (block := read(offset, BLOCK)) and block != _NOTHING:
        member, offset = _read_member(read, offset, block)
        if member is not None:
            yield member


def _read_member(read: ReadAt, offset: int, block: bytes) -> tuple[Member | None, int]:
    """The member whose first header is at `offset`, or None for a global header; and where the next one begins."""
    pax, long_name, long_target = None, b"", b""
    while (fields := _split(block, offset))[7] in b"xgLK":
        content = _read_content(read, offset + BLOCK, parse_number(fields[4]))
        offset += BLOCK + len(content) + -len(content) % BLOCK
        match fields[7]:
            case b"g":
                return None, offset
            case b"x":
                pax = parse_pax(content)
            case b"L":
                long_name = parse_text(content)
            case b"K":
                long_target = parse_text(content)
        block = read(offset, BLOCK)
    member = _make_member(fields, offset + BLOCK)
    if pax is not None:
        pax.apply(member)
    member.name = long_name or member.name
    member.target = long_target or member.target
    return member, _settle(read, member, fields[7], block, pax)


def _split(block: bytes, offset: int) -> Fields:
    """The fields of a header. Raises Invalid when its check sum is wrong."""
    if len(block) < BLOCK:
        raise Invalid(f"the tar ends in the middle of a header, at byte {offset}")
    fields: Fields = _FIELDS.unpack(block)
    # The sum counts its own field as eight spaces. Some old programs took bytes as signed.
    found = sum(block) - sum(fields[6]) + 8 * ord(" ")
    expected = parse_number(fields[6]) if OCTAL.fullmatch(fields[6]) else -1
    if expected != found and expected != found - 256 * sum(byte > 127 for byte in block):
        raise Invalid(f"what is at byte {offset} of the tar is not a header")
    return fields


def _read_content(read: ReadAt, offset: int, size: int) -> bytes:
    if not 0 <= size <= MAX_HEADER:
        raise Invalid(f"a header of {size} bytes at byte {offset} of the tar is too large")
    content = read(offset, size)
    if len(content) < size:
        raise Invalid(f"the tar ends in the middle of a header, at byte {offset}")
    return content


def _make_member(fields: Fields, data: int) -> Member:
    name, mode, uid, gid, size, mtime, _, letter, target, magic, owners, major, minor, prefix, rest = fields
    if letter not in _KINDS:
        raise Invalid(f"{show(parse_text(name))} is a member of type {show(letter)!r}, which images do not have")
    kind, name = _KINDS[letter], parse_text(name)
    if prefix[0] and (before := _find_prefix(magic, prefix, rest)):
        name = before + b"/" + name
    is_device = kind in (Kind.CHARACTER, Kind.BLOCK)
    return Member(
        name=name,
        kind=kind,
        mode=parse_number(mode),
        uid=parse_number(uid),
        gid=parse_number(gid),
        user=parse_text(owners[:32]) if magic in (_USTAR, _GNU) else b"",
        group=parse_text(owners[32:]) if magic in (_USTAR, _GNU) else b"",
        mtime=parse_number(mtime),
        size=parse_number(size),
        target=parse_text(target),
        major=parse_number(major) if is_device else 0,
        minor=parse_number(minor) if is_device else 0,
        data=data,
    )


def _find_prefix(magic: bytes, prefix: bytes, rest: bytes) -> bytes:
    """What goes before the name: all of the field, but for the star format, which has times in its last bytes.

    GNU headers have times there; yet Go before 1.8 put a prefix there by mistake, and layers of then are about."""
    if magic == _USTAR:
        return parse_text(prefix[:131] if rest[8:] == b"tar\0" else prefix)
    times = prefix[0:12], prefix[12:24]
    if magic != _GNU or all(time[0] & 0x80 or OCTAL.fullmatch(time) for time in times):
        return b""
    name = parse_text(prefix)
    return name if name.isascii() else b""


def _settle(read: ReadAt, member: Member, letter: bytes, block: bytes, pax: Pax | None) -> int:
    """What depends on all headers of a member together. Where the next one begins."""
    if letter == b"\0" and member.name.endswith(b"/"):
        member.kind = Kind.FOLDER  # as before there was a letter for them
    if member.kind is not Kind.FILE:
        member.size = 0  # whatever the header says: there is no content
        return member.data
    stored = member.size
    if stored < 0:
        raise Invalid(f"{show(member.name)} has a negative size")
    if letter == b"S":
        set_gnu_extents(read, member, block)
    end = member.data + stored
    if stored and not read(end - 1, 1):
        raise Invalid(f"the tar ends in the middle of {show(member.name)}")
    if pax is not None and pax.sparse:
        set_pax_extents(read, member, pax.sparse)
    return end + -stored % BLOCK
