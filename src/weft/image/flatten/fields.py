"""The fields of a tar's header blocks."""

import re
from collections.abc import Callable

from weft.model.errors import Invalid

BLOCK = 512

ReadAt = Callable[[int, int], bytes]
"""Gives as many bytes as are there, at most the second number, from the offset that the first is."""

OCTAL = re.compile(rb"[ \0]*([0-7]*)[ \0]*(?:\0.*)?", re.DOTALL)


def parse_number(field: bytes) -> int:
    """Octal digits, or a binary number where the first bit is set (GNU). Raises Invalid."""
    if field[0] & 0x80:
        value, bits = int.from_bytes(field, "big"), 8 * len(field)
        # The first bit is the mark, the second the sign.
        return value - (1 << bits) if field[0] & 0x40 else value - (1 << (bits - 1))
    if (found := OCTAL.fullmatch(field)) is None:
        raise Invalid("a number in a header of the tar is not octal")
    return int(found[1] or b"0", 8)


def parse_text(field: bytes) -> bytes:
    """What stands before the first NUL."""
    return field.partition(b"\0")[0]
