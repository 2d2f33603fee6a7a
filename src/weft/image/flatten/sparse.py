"""Files with holes: where the parts that stand in the tar belong.

GNU tar has four ways to say so: extra blocks of the old GNU header, and pax records in the versions 0.0, 0.1 and 1.0.
"""

from collections.abc import Sequence

from weft.image.flatten.fields import BLOCK, ReadAt, parse_number
from weft.image.flatten.limits import MAX_HEADER
from weft.image.flatten.members import Member, show
from weft.image.flatten.pax import parse_decimal
from weft.model.errors import Invalid

_ENTRY = 24
_IN_HEADER, _IN_BLOCK = 4 * _ENTRY, 21 * _ENTRY
"""How many bytes of parts the header and each extra block have."""


def set_gnu_extents(read: ReadAt, member: Member, block: bytes) -> None:
    """The old GNU format: parts in the header and in blocks before the content."""
    parts, more = block[386 : 386 + _IN_HEADER], block[482]
    while more:
        extra = read(member.data, BLOCK)
        if len(extra) < BLOCK or len(parts) > MAX_HEADER:
            raise _wrong(member)
        parts, more = parts + extra[:_IN_BLOCK], extra[_IN_BLOCK]
        member.data += BLOCK
    entries = [parts[at : at + _ENTRY] for at in range(0, len(parts), _ENTRY)]
    used = [entry for entry in entries if entry[0] and entry[12]]
    numbers = [parse_number(field) for entry in used for field in (entry[:12], entry[12:])]
    _set_extents(member, numbers, member.size, parse_number(block[483:495]))


def set_pax_extents(read: ReadAt, member: Member, keys: dict[bytes, bytes]) -> None:
    """The formats 0.0 and 0.1, whose list is among the `keys`, and 1.0, which has it before the content."""
    stored = member.size
    if keys.get(b"major") == b"1" and keys.get(b"minor") == b"0":
        numbers, length = _read_list(read, member)
        member.data += length
        stored -= length
    elif keys.get(b"map"):
        numbers = [parse_decimal(number) for number in keys[b"map"].split(b",")]
    else:
        return  # a version that nobody knows: a file like any other, as GNU tar's manual wants it
    size = keys.get(b"realsize") or keys.get(b"size")
    _set_extents(member, numbers, stored, parse_decimal(size) if size else stored)


def _read_list(read: ReadAt, member: Member) -> tuple[list[int], int]:
    """How many parts, then offset and length of each, a line for each number; and how many bytes that takes."""
    text, count = b"", None
    while count is None or text.count(b"\n") <= 2 * count:
        block = read(member.data + len(text), BLOCK)
        if len(block) < BLOCK or len(text) >= min(MAX_HEADER, member.size):
            raise _wrong(member)
        text += block
        if count is None and b"\n" in text:
            count = parse_decimal(text.partition(b"\n")[0])
    return [parse_decimal(line) for line in text.split(b"\n")[1 : 2 * count + 1]], len(text)


def _set_extents(member: Member, numbers: Sequence[int], stored: int, size: int) -> None:
    """Parts must be in order, apart from each other and within the file, and together what the tar has."""
    extents = tuple(zip(numbers[::2], numbers[1::2], strict=False))
    end = 0
    for offset, length in extents:
        if offset < end or length < 0:
            raise _wrong(member)
        end = offset + length
    if len(numbers) % 2 or end > size or sum(length for _, length in extents) != stored:
        raise _wrong(member)
    member.size = size
    member.extents = tuple(extent for extent in extents if extent[1])


def _wrong(member: Member) -> Invalid:
    return Invalid(f"the list of holes in {show(member.name)} is wrong")
