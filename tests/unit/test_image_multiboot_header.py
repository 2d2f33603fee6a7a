"""Kernels are known by their multiboot header, and those that QEMU would not load are refused when they are taken."""

import gzip
import os
import struct
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.image.importing import import_kernel
from weft.image.multiboot_header import (
    HAS_ADDRESSES,
    MAGIC,
    Header,
    check_multiboot,
    describe_multiboot,
    find_header,
    find_top,
)
from weft.image.store import KernelStore
from weft.image.vmlinux import MAX_VMLINUX
from weft.model.errors import Invalid, WeftError

LOAD = 0x100000
SIZE = 256


def make_kernel(
    *, front: bytes = b"", flags: int = HAS_ADDRESSES, own: int = LOAD, load: int = LOAD, size: int = SIZE, end: int = 0
) -> bytes:
    """Bytes whose header says where they go; `front` is before what is loaded."""
    header = struct.pack("<III", MAGIC, flags, -(MAGIC + flags) & 0xFFFFFFFF)
    addresses = struct.pack("<IIIII", own, load, load + size, end, load + 64)
    return front + (header + addresses).ljust(SIZE, b"\x90")


def make_elf(bits: int, segments: int = 1) -> bytes:
    """The front of an ELF file with a header that leaves everything to it."""
    head = b"\x7fELF" + bytes([1 if bits == 32 else 2, 1, 1])
    machine = struct.pack("<HH", 2, 3 if bits == 32 else 62)
    table = struct.pack("<HHH", 52, 32, segments)
    ident = (head.ljust(16, b"\0") + machine).ljust(28, b"\0") + struct.pack("<I", 52)
    segment = struct.pack("<IIIIIIII", 1, 0, 0xF0100000, LOAD, SIZE, 2 * SIZE, 7, 4)
    return ident.ljust(40, b"\0") + table.ljust(12, b"\0") + segment + make_kernel(flags=3)


def check(data: bytes) -> None:
    header = find_header(data)
    assert header is not None
    check_multiboot(data, header, "9pc")


def test_a_header_is_found_at_any_word_of_the_first_pages() -> None:
    assert find_header(make_kernel()) == Header(0, HAS_ADDRESSES)
    assert find_header(make_kernel(front=bytes(40))) == Header(40, HAS_ADDRESSES)
    assert find_header(make_kernel(front=bytes(42))) is None
    assert find_header(make_kernel(front=bytes(8192))) is None
    assert find_header(make_kernel()[:10]) is None


def test_a_sum_that_is_not_zero_is_no_header() -> None:
    assert find_header(make_kernel().replace(struct.pack("<I", MAGIC), struct.pack("<I", MAGIC + 1))) is None


def test_what_qemu_loads_is_taken() -> None:
    check(make_kernel())
    check(make_kernel(front=bytes(32), end=LOAD + 2 * SIZE))
    check(make_kernel(front=bytes(32), own=LOAD + 32, load=LOAD))
    check(make_elf(32))


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (make_elf(64), "not for 32 bits"),
        (make_elf(32, segments=0), "nothing is loaded"),
        (make_elf(32, segments=200), "cut short"),
        (make_kernel(flags=3), "no ELF file"),
        (make_kernel(own=LOAD - 8), "says that it is at"),
        (make_kernel(own=LOAD + 64), "says that it is at"),
        (make_kernel(size=SIZE + 1), "cut short"),
        (make_kernel(size=0), "cut short"),
        (make_kernel(end=LOAD + 16), "before what is loaded ends"),
        (make_kernel(size=32), "outside of what is loaded"),
        (make_kernel()[:20], "cut short"),
    ],
)
def test_what_qemu_would_refuse_is_refused(data: bytes, why: str) -> None:
    with pytest.raises(Invalid, match=why):
        check(data)


@given(st.binary(max_size=200), st.integers(0, 40), st.integers(0, 2**32 - 1))
def test_no_file_makes_it_stumble(junk: bytes, cut: int, flags: int) -> None:
    data = junk[: len(junk) // 4 * 4] + make_kernel(flags=flags)[: SIZE - cut * 6]
    header = find_header(data)
    if header is not None:
        try:
            check_multiboot(data, header, "it")
        except WeftError as err:
            assert isinstance(err, Invalid)


def test_it_is_known_up_to_where_it_reaches() -> None:
    for data, top in (
        (make_kernel(), LOAD + SIZE),
        (make_kernel(end=LOAD + 2 * SIZE), LOAD + 2 * SIZE),
        (make_elf(32), LOAD + 2 * SIZE),
    ):
        header = find_header(data)
        assert header is not None
        assert find_top(data, header) == top
    bare = make_kernel(front=bytes(40)).replace(struct.pack("<I", LOAD + SIZE), bytes(4))  # all of the file
    header = find_header(bare)
    assert header is not None
    assert find_top(bare, header) == LOAD + SIZE


def test_plan_9_is_called_so() -> None:
    assert describe_multiboot(make_kernel(front=b"\0\0\x8a\x97".ljust(40, b"\0"))) == "Plan 9 amd64"
    assert describe_multiboot(make_kernel()) == "multiboot"


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
async def test_one_is_kept_as_it_is_and_unpacked(pack: type[bytes], tmp_path: Path) -> None:
    file = tmp_path / "9pc"
    file.write_bytes(pack(make_kernel(front=b"\0\0\x01\xeb".ljust(32, b"\0"))))
    info = await import_kernel(file, tmp_path / "home", name="9pc")
    assert (info.format, info.release, info.least_memory) == ("multiboot", "Plan 9 386", LOAD + SIZE)
    store = KernelStore(tmp_path / "home")
    assert find_header(store.vmlinux_path(store.get("9pc")).read_bytes()) == Header(32, HAS_ADDRESSES)


async def test_none_takes_the_place_of_the_default_kernel(tmp_path: Path) -> None:
    file = tmp_path / "9pc"
    file.write_bytes(make_kernel())
    with pytest.raises(Invalid, match="default"):
        await import_kernel(file, tmp_path / "home")


async def test_a_damaged_gzip_is_told(tmp_path: Path) -> None:
    file = tmp_path / "9pc.gz"
    file.write_bytes(gzip.compress(make_kernel())[:-20])
    with pytest.raises(Invalid, match="does not decompress"):
        await import_kernel(file, tmp_path / "home", name="9pc")


async def test_what_is_no_file_or_has_no_end_is_not_read(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "huge").touch()
    os.truncate(tmp_path / "huge", MAX_VMLINUX + 1)
    for file, told in ((tmp_path / "pipe", "is no file"), (tmp_path, "is no file"), (tmp_path / "huge", "is larger")):
        with pytest.raises(Invalid, match=told):
            await import_kernel(file, tmp_path / "home", name="9pc")
