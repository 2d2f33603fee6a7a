"""Kernels in multiboot's form: what a boot loader finds in them, and what memory is like when it has loaded them."""

import io
import struct

import pytest
from elftools.elf.elffile import ELFFile
from tests.unit.image_samples import PVH_NOTE, make_elf

from weft.image.multiboot import STARTER_ADDRESS, STARTER_ENTRY, make_multiboot
from weft.image.pack import PT_LOAD, PT_NOTE, Segment
from weft.model.errors import Invalid

STARTER = struct.pack("<IIII", 0x1BADB002, 3, -(0x1BADB002 + 3) & 0xFFFFFFFF, 0) + b"code"
SEGMENTS = (
    Segment(PT_NOTE, 4, 0, 0, PVH_NOTE, len(PVH_NOTE)),
    Segment(PT_LOAD, 6, 0, 0x300800, b"data", 0x1000),  # packed: it began with zeros, which are left out
    Segment(PT_LOAD, 5, 0xFFFFFFFF80200000, 0x200000, b"code of the kernel", 0x100),
)


def make_kernel(*segments: Segment) -> bytes:
    at, table, body = 64 + 56 * len(segments), b"", b""
    for one in segments:
        sizes = (len(one.data), one.memory, 4)
        table += struct.pack("<IIQQQQQQ", one.kind, one.flags, at + len(body), one.virtual, one.physical, *sizes)
        body += one.data
    header = struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x200000, 64, 0, 0, 64, 56, len(segments), 0, 0, 0)
    return b"\x7fELF\x02\x01\x01" + bytes(9) + header + table + body


def test_a_boot_loader_finds_multiboots_header_and_a_32_bit_kernel():
    made = make_multiboot(make_kernel(*SEGMENTS), STARTER, "it")
    found = made.index(STARTER[:12])
    assert found % 4 == 0
    assert found + 12 <= 8192
    elf = ELFFile(io.BytesIO(made))
    assert (elf.elfclass, elf["e_machine"], elf["e_entry"]) == (32, "EM_386", STARTER_ADDRESS + STARTER_ENTRY)


def test_the_starter_knows_where_the_kernel_begins():
    first = next(ELFFile(io.BytesIO(make_multiboot(make_kernel(*SEGMENTS), STARTER, "it"))).iter_segments())
    assert first["p_paddr"] == STARTER_ADDRESS
    assert first.data() == STARTER[:12] + struct.pack("<I", 0x200000) + b"code"


def test_what_is_between_segments_is_filled_with_zeros():
    _, code, data = ELFFile(io.BytesIO(make_multiboot(make_kernel(*SEGMENTS), STARTER, "it"))).iter_segments()
    assert (code["p_paddr"], code["p_memsz"], code.data()) == (0x200000, 0x100800, b"code of the kernel")
    assert (data["p_paddr"], data["p_memsz"], data.data()) == (0x300800, 0x1000, b"data")


@pytest.mark.parametrize(
    ("kernel", "said"),
    [
        (make_elf(), "it has no PVH entry point"),
        (make_kernel(*SEGMENTS)[:-1], "cut short"),
        (make_kernel(*SEGMENTS, Segment(PT_LOAD, 5, 0, 1 << 32, b"x", 1)), "above 4 GiB"),
        (make_kernel(*SEGMENTS, *SEGMENTS[1:] * 200), "too many segments"),
    ],
)
def test_what_has_no_such_form_is_refused(kernel: bytes, said: str):
    with pytest.raises(Invalid, match=said):
        make_multiboot(kernel, STARTER, "it")
