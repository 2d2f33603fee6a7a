"""Kernels without holes: the same memory from a smaller file."""

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.image_samples import PVH_NOTE, make_vmlinux

from weft.image.pack import HOLE, PT_LOAD, Segment, pack_vmlinux, split
from weft.image.vmlinux import check_pvh
from weft.model.errors import Invalid

pieces = st.lists(st.one_of(st.binary(min_size=1, max_size=40), st.integers(1, 3 * HOLE).map(bytes)), max_size=12)


def make_kernel(*parts: tuple[int, bytes, int]) -> bytes:
    """An ELF file with a segment at each address, at the same place in the file, and the PVH note in front."""
    at = 64 + 56 * (len(parts) + 1)
    table = struct.pack("<IIQQQQQQ", 4, 4, at, 0, 0, len(PVH_NOTE), len(PVH_NOTE), 4)
    body = PVH_NOTE
    for address, data, memory in parts:
        table += struct.pack(
            "<IIQQQQQQ", PT_LOAD, 5, at + len(body), address | 1 << 40, address, len(data), memory, 4096
        )
        body += data
    header = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x200000, 64, 0, 0, 64, 56, len(parts) + 1, 64, 0, 0)
    return b"\x7fELF\x02\x01\x01" + bytes(9) + header + table + body


def load(data: bytes) -> dict[int, bytes]:
    """Memory as a loader fills it, page by page; pages of zeros are left out."""
    (table,) = struct.unpack_from("<Q", data, 0x20)
    (count,) = struct.unpack_from("<H", data, 0x38)
    memory: dict[int, int] = {}
    for number in range(count):
        kind, _f, offset, _v, at, stored, size, _a = struct.unpack_from("<IIQQQQQQ", data, table + 56 * number)
        if kind == PT_LOAD:
            assert stored <= size
            memory |= {at + index: byte for index, byte in enumerate(data[offset : offset + stored]) if byte}
    return {address: bytes([byte]) for address, byte in memory.items()}


@given(pieces, st.integers(0, 2 * HOLE))
def test_memory_is_the_same(parts: list[bytes], zeros: int) -> None:
    content = b"".join(parts)
    kernel = make_kernel((0x200000, content, len(content) + zeros), (0x800000, b"end", 3))
    packed = pack_vmlinux(kernel)
    assert load(packed) == load(kernel)
    assert pack_vmlinux(packed) == packed
    check_pvh(packed, "it")


@given(pieces, st.integers(0, 2 * HOLE))
def test_pieces_cover_the_segment_in_order(parts: list[bytes], zeros: int) -> None:
    content = b"".join(parts)
    made = list(split(Segment(PT_LOAD, 5, 0, 0, content, len(content) + zeros)))
    ends = [piece.physical + piece.memory for piece in made]
    assert ends[-1] == len(content) + zeros
    assert [piece.physical for piece in made[1:]] == ends[:-1]
    assert all(len(piece.data) - len(piece.data.rstrip(b"\0")) < HOLE for piece in made)


def test_holes_take_no_room() -> None:
    content = b"code" + bytes(1 << 20) + b"data" + bytes(1 << 20)
    packed = pack_vmlinux(make_kernel((0x200000, content, len(content) + (1 << 20))))
    assert len(packed) < 400


def test_the_note_keeps_its_alignment() -> None:
    """QEMU steps from note to note by it, and without it finds no entry point."""
    packed = pack_vmlinux(make_kernel((0x200000, b"code", 4)))
    kind, *_rest, align = struct.unpack_from("<IIQQQQQQ", packed, 64)
    assert (kind, align) == (4, 4)


@pytest.mark.parametrize("data", [b"", b"MZ" + bytes(100), make_vmlinux()[:60], make_vmlinux()[:150]])
def test_a_damaged_kernel(data: bytes) -> None:
    with pytest.raises(Invalid):
        pack_vmlinux(data)
