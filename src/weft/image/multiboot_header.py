"""Multiboot kernels: what is not Linux and wants to be put into memory by its header alone, as Plan 9's kernels do.

The header is in the first 8192 bytes of the file (multiboot specification 0.6.96, section 3.1). With flag 16 it says
itself what goes where; without it the file is an ELF file. QEMU loads the first of any kind and the second for 32 bits
(its hw/i386/multiboot.c). What it would refuse is refused here, when a kernel is taken and not when a machine starts.
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from weft.image.elf import ELF_MAGIC
from weft.model.errors import Invalid

MAGIC = 0x1BADB002
SEARCHED = 8192 - 48
"""Where a header may begin: it has twelve words at most, all of them within the first 8192 bytes."""
HAS_ADDRESSES = 1 << 16

_START = struct.Struct("<III")
_ADDRESSES = struct.Struct("<IIIII")
_SEGMENT = struct.Struct("<IIIIII")
_ELFCLASS32, _EM_386, _PT_LOAD = 1, 3, 1
_PLAN9 = {0x000001EB: "Plan 9 386", 0x00008A97: "Plan 9 amd64"}
"""The magic numbers of Plan 9's executables, big endian, and what their kernels are called here (its a.out(6))."""


@dataclass(frozen=True, slots=True)
class Header:
    """Where a header is in the file, and its flags."""

    offset: int
    flags: int


def find_header(data: bytes) -> Header | None:
    """The header of a multiboot kernel, if `data` is one: magic number, flags, and what makes the sum of them zero."""
    for offset in range(0, min(SEARCHED, len(data) - _START.size + 1), 4):
        magic, flags, checksum = _START.unpack_from(data, offset)
        if magic == MAGIC and (magic + flags + checksum) & 0xFFFFFFFF == 0:
            return Header(offset, flags)
    return None


def check_multiboot(data: bytes, header: Header, what: str) -> None:
    """Raises Invalid for a kernel that QEMU would not load; `what` names it."""
    try:
        if header.flags & HAS_ADDRESSES:
            _check_addresses(data, header, what)
        else:
            _check_elf(data, what)
    except struct.error as err:
        raise Invalid(f"{what} is cut short: {err}") from err


def find_top(data: bytes, header: Header) -> int:
    """The address behind all that a kernel which was checked is loaded to."""
    if not header.flags & HAS_ADDRESSES:
        return max((place + size for place, size in _list_segments(data)), default=0)
    own, _load, load_end, end, _entry = _ADDRESSES.unpack_from(data, header.offset + _START.size)
    return int(end or load_end or len(data) - header.offset + own)


def describe_multiboot(data: bytes) -> str:
    """What there is to say of it in a word or two."""
    magic = int.from_bytes(data[:4], "big")
    return _PLAN9.get(magic, "multiboot")


def _check_addresses(data: bytes, header: Header, what: str) -> None:
    """The header says at which address it is itself, so where the file's bytes begin that are loaded."""
    own, load, load_end, end, entry = _ADDRESSES.unpack_from(data, header.offset + _START.size)
    start = header.offset - (own - load)
    size = load_end - load if load_end else len(data) - start
    if load > own or start < 0:
        raise Invalid(f"{what}: its multiboot header says that it is at {own:#x}, and loaded from {load:#x}")
    if not 0 < size <= len(data) - start:
        raise Invalid(f"{what} is cut short: {size} bytes are to be loaded, and it has {len(data) - start}")
    if end and end < load + size:
        raise Invalid(f"{what}: it ends at {end:#x} in memory, before what is loaded ends")
    if not load <= entry < load + size:
        raise Invalid(f"{what}: its entry {entry:#x} is outside of what is loaded")


def _list_segments(data: bytes) -> Iterator[tuple[int, int]]:
    """Physical address and size in memory of what is loaded of a 32-bit ELF file."""
    (table,), (size, count) = struct.unpack_from("<I", data, 0x1C), struct.unpack_from("<HH", data, 0x2A)
    for number in range(count):
        kind, _offset, _virtual, place, _stored, memory = _SEGMENT.unpack_from(data, table + number * size)
        if kind == _PT_LOAD:
            yield place, memory


def _check_elf(data: bytes, what: str) -> None:
    if not data.startswith(ELF_MAGIC):
        raise Invalid(f"{what}: its multiboot header gives no addresses, and it is no ELF file")
    (machine,) = struct.unpack_from("<H", data, 0x12)
    if data[4] != _ELFCLASS32 or machine != _EM_386:
        raise Invalid(
            f"{what} is a multiboot kernel in an ELF file that is not for 32 bits, which QEMU does not load",
            hint="objcopy -O elf32-i386 makes one that is; the kernel in it may have 64 bits",
        )
    if not sum(memory for _, memory in _list_segments(data)):
        raise Invalid(f"{what} is an ELF file of which nothing is loaded")
