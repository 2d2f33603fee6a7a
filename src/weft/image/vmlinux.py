"""Kernel files: an ELF that QEMU can start by PVH, as it is or inside a bzImage.

PVH is an ELF note with the address of a 32-bit entry point (Xen's public header elfnote.h, XEN_ELFNOTE_PHYS32_ENTRY);
QEMU's `-kernel` starts such a vmlinux directly, without firmware and without decompressing anything. The bzImage
header is described in the kernel's Documentation/x86/boot.rst.
"""

import asyncio
import bz2
import lzma
import struct
import zlib
from dataclasses import dataclass
from typing import Protocol

from weft.host.process import ProcessFailed, run
from weft.image.elf import ELF_MAGIC
from weft.model.errors import Invalid

EM_X86_64 = 62
ELFCLASS64 = 2
PT_NOTE = 4
PVH_NOTE_NAME = b"Xen\0"
PVH_NOTE_TYPE = 18
MAX_VMLINUX = 512 << 20
"""More than any kernel without debug information unpacks to: a bound for a damaged or hostile file."""

DECOMPRESS_TIMEOUT = 120.0
BANNER = b"Linux version "


class _Decompressor(Protocol):
    def decompress(self, data: bytes, max_length: int = ..., /) -> bytes: ...


@dataclass(frozen=True)
class Vmlinux:
    """A kernel ready to boot. `release` is what `uname -r` will say."""

    data: bytes
    release: str


async def load_vmlinux(data: bytes, what: str) -> Vmlinux:
    """The kernel in `data`, a vmlinux or a bzImage; `what` names it in errors. Raises Invalid for anything else,
    and for a kernel that cannot be started by PVH; Unavailable when the program to decompress it is missing."""
    if not data.startswith(ELF_MAGIC):
        data = await decompress_payload(find_payload(data, what), what)
    await asyncio.to_thread(check_pvh, data, what)
    return Vmlinux(data, find_release(data, what))


def find_payload(data: bytes, what: str) -> bytes:
    """The compressed kernel inside a bzImage. Raises Invalid."""
    if len(data) < 0x260 or data[0x202:0x206] != b"HdrS":
        raise Invalid(f"{what} is no kernel: neither a vmlinux (ELF) nor a bzImage, and not for multiboot")
    (version,) = struct.unpack_from("<H", data, 0x206)
    if version < 0x208:
        raise Invalid(f"{what}: boot protocol {version:#x} is too old, the payload's place is not given")
    offset, length = struct.unpack_from("<II", data, 0x248)
    setup_sectors = data[0x1F1] or 4  # 0 means 4, for compatibility with the oldest boot loaders
    start = (setup_sectors + 1) * 512 + offset
    payload = data[start : start + length]
    if len(payload) != length or length < 8:
        raise Invalid(f"{what} is cut short: its payload should have {length} bytes")
    return payload


async def decompress_payload(payload: bytes, what: str) -> bytes:
    """The ELF in a payload. Its last four bytes are the size it unpacks to (the kernel's scripts/Makefile.lib)."""
    (size,) = struct.unpack("<I", payload[-4:])
    if payload.startswith(ELF_MAGIC):
        return payload
    if size > MAX_VMLINUX:
        raise Invalid(f"{what} says it unpacks to {size >> 20} MiB, which no kernel does")
    program = _find_program(payload)
    if program is not None:
        return await _pipe_through(program, payload[:-4], what)
    decompressor = _find_decompressor(payload)
    if decompressor is None:
        raise Invalid(f"{what} is compressed in an unknown way", hint="gzip, xz, lzma, bzip2, lz4 and zstd are known")
    return await asyncio.to_thread(_decompress, decompressor, payload, size, what)


def _find_program(payload: bytes) -> list[str] | None:
    if payload.startswith(b"\x28\xb5\x2f\xfd"):
        return ["zstd", "-dcq"]
    if payload.startswith(b"\x02\x21\x4c\x18"):  # the legacy frame; it has no end mark, so the size must be cut off
        return ["lz4", "-dcq"]
    return None


def _find_decompressor(payload: bytes) -> _Decompressor | None:
    if payload.startswith(b"\x1f\x8b\x08"):
        return zlib.decompressobj(wbits=31)
    if payload.startswith(b"\xfd7zXZ\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_XZ)
    if payload.startswith(b"BZh"):
        return bz2.BZ2Decompressor()
    if payload.startswith(b"\x5d\0\0"):
        return lzma.LZMADecompressor(lzma.FORMAT_ALONE)
    return None


def _decompress(decompressor: _Decompressor, payload: bytes, size: int, what: str) -> bytes:
    try:
        data = decompressor.decompress(payload, size)
    except (zlib.error, lzma.LZMAError, OSError, EOFError, ValueError) as err:
        raise Invalid(f"{what} does not decompress: {err}") from err
    if len(data) != size:
        raise Invalid(f"{what} unpacks to {len(data)} bytes and says {size}")
    return data


async def _pipe_through(argv: list[str], payload: bytes, what: str) -> bytes:
    try:
        return (await run(argv, input=payload, timeout=DECOMPRESS_TIMEOUT)).stdout
    except ProcessFailed as err:
        raise Invalid(f"{what} does not decompress: {err.message}", detail=err.detail) from err


def check_pvh(data: bytes, what: str) -> None:
    """Raises Invalid unless `data` is an x86-64 ELF with the PVH note."""
    find_pvh_entry(data, what)


def find_pvh_entry(data: bytes, what: str) -> int:
    """The address at which PVH starts the kernel in `data`. Raises Invalid as `check_pvh` does."""
    try:
        machine, notes = _read_notes(data)
    except (struct.error, OverflowError) as err:
        raise Invalid(f"{what} is not a sound ELF file: {err}") from err
    if machine != EM_X86_64 or data[4] != ELFCLASS64:
        raise Invalid(f"{what} is for ELF machine {machine}, not for x86-64")
    entries = [entry for note in notes if (entry := _find_entry(note)) is not None]
    if not entries:
        raise Invalid(f"{what} has no PVH entry point", hint="build it with CONFIG_PVH=y")
    return entries[0]


def _read_notes(data: bytes) -> tuple[int, list[bytes]]:
    """The machine an ELF file is for, and the contents of its PT_NOTE segments."""
    (machine,) = struct.unpack_from("<H", data, 0x12)
    (table,) = struct.unpack_from("<Q", data, 0x20)
    entry_size, count = struct.unpack_from("<HH", data, 0x36)
    notes = []
    for at in range(table, table + entry_size * count, entry_size or 1):
        kind, _flags, offset, _address, _physical, size = struct.unpack_from("<IIQQQQ", data, at)
        if kind == PT_NOTE:
            notes.append(data[offset : offset + size])
    return machine, notes


def _find_entry(notes: bytes) -> int | None:
    """Walk the notes: three words (name size, content size, type), then both, each padded to four bytes."""
    at = 0
    while at + 12 <= len(notes):
        name_size, content_size, kind = struct.unpack_from("<III", notes, at)
        name = notes[at + 12 : at + 12 + name_size]
        content = at + 12 + (name_size + 3 & ~3)
        if kind == PVH_NOTE_TYPE and name == PVH_NOTE_NAME and content_size in (4, 8):
            return int.from_bytes(notes[content : content + content_size], "little")
        at = content + (content_size + 3 & ~3)
    return None


def find_release(data: bytes, what: str) -> str:
    """The release in the kernel's banner. Raises Invalid when there is none."""
    start = data.find(BANNER)
    words = data[start + len(BANNER) : start + len(BANNER) + 80].split(maxsplit=1)
    if start < 0 or not words:
        raise Invalid(f"{what} does not say which Linux it is")
    return words[0].decode("ascii", "replace")
