"""Sets right what tar2sqfs leaves so that only the kernel can read it.

It stores the table of owners compressed even when that makes it longer, as lz4 does with a few bytes, and a few bytes
is what it is, since most images have few owners. The kernel does not mind; unsquashfs takes it for damage.
"""

import struct
from pathlib import Path

from weft.model.errors import Internal

_OWNERS, _TABLE = 26, 48
"""Where the superblock has the number of owners, and where their table begins: with places of its blocks."""
_BLOCK, _STORED = 8192, 0x8000
"""Bytes of a block of metadata, and the mark of one that is not compressed."""


def mend_owners(path: Path) -> None:
    """Store the last block of owners as it is if compression made it longer. Raises Internal if this is no squashfs."""
    with path.open("r+b") as file:
        head = file.read(96)
        if len(head) < 96 or head[:4] != b"hsqs":
            raise Internal(f"{path} is not a squashfs")
        (count,), (table,) = struct.unpack_from("<H", head, _OWNERS), struct.unpack_from("<Q", head, _TABLE)
        size = 4 * count
        file.seek(table + 8 * ((size - 1) // _BLOCK))
        (place,) = struct.unpack("<Q", file.read(8))
        file.seek(place)
        (length,) = struct.unpack("<H", file.read(2))
        plain = (size - 1) % _BLOCK + 1
        if length & _STORED or length <= plain:
            return
        data = decode_lz4(file.read(length))
        if len(data) != plain:
            raise Internal(f"the table of owners of {path} is not what was expected")
        file.seek(place)
        file.write(struct.pack("<H", _STORED | plain) + data)


def decode_lz4(block: bytes) -> bytes:
    """An lz4 block: again and again some bytes, then from how far back how many are to be repeated."""
    data, at = bytearray(), 0
    while True:
        token = block[at]
        length, at = _read_length(block, at + 1, token >> 4)
        data += block[at : at + length]
        at += length
        if at >= len(block):
            return bytes(data)
        back = int.from_bytes(block[at : at + 2], "little")
        length, at = _read_length(block, at + 2, token & 15)
        for _ in range(length + 4):
            data.append(data[-back])


def _read_length(block: bytes, at: int, length: int) -> tuple[int, int]:
    """A length goes on in further bytes when its four bits are full, until one of these is not. And what follows it."""
    more = 255 if length == 15 else 0
    while more == 255:
        more, at = block[at], at + 1
        length += more
    return length, at
