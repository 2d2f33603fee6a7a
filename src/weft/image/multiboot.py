"""A kernel for boot loaders that know multiboot and not PVH, as the iPXE in QEMU's network cards does.

Multiboot starts 32-bit ELF files. So the kernel's segments become those of one, and a small program is added that is
started in the kernel's place, translates what it is told, and goes on to the PVH entry (guest/boot/multiboot.S). The
first module is the initramfs; of the command line the first word is left out, which is the file's name.

Multiboot Specification 0.6.96; System V ABI, Intel386 supplement.
"""

import struct
from collections.abc import Sequence
from itertools import pairwise

from weft.image.pack import PT_LOAD, Segment, read_segments
from weft.image.vmlinux import find_pvh_entry
from weft.model.errors import Invalid

STARTER_ADDRESS = 0x10000
"""Where the starter is linked to be: low memory that firmware and boot loaders leave alone, and Linux takes late."""
STARTER_ENTRY = 16
"""Where it is entered, behind multiboot's header of 12 bytes and the kernel's entry."""
_KERNEL_ENTRY = slice(12, 16)

_EM_386, _ET_EXEC = 3, 2
_HEADER = struct.Struct("<16sHHIIIIIHHHHHH")
_SEGMENT = struct.Struct("<IIIIIIII")
_IDENT = b"\x7fELF\x01\x01\x01".ljust(16, b"\0")
_HEADER_WITHIN = 8192
"""Multiboot's header has to be found in so many bytes."""


def make_multiboot(vmlinux: bytes, starter: bytes, what: str) -> bytes:
    """The kernel `vmlinux` in multiboot's form; `what` names it in errors. Raises Invalid."""
    entry = find_pvh_entry(vmlinux, what)
    try:
        loaded = [segment for segment in read_segments(vmlinux) if segment.kind == PT_LOAD]
    except struct.error as err:
        raise Invalid(f"{what} is not a sound ELF file: {err}") from err
    told = starter[: _KERNEL_ENTRY.start] + struct.pack("<I", entry) + starter[_KERNEL_ENTRY.stop :]
    first = Segment(PT_LOAD, 7, STARTER_ADDRESS, STARTER_ADDRESS, told, len(told))
    return _write([first, *_fill(loaded)], what)


def _fill(segments: Sequence[Segment]) -> list[Segment]:
    """Memory between segments becomes part of the lower one: QEMU finds zeros there, a boot loader has to write them.

    Packing leaves out what a segment begins with if that is zeros.
    """
    ordered = sorted(segments, key=lambda segment: segment.physical)
    ends = [above.physical for _, above in pairwise(ordered)] + [ordered[-1].physical + ordered[-1].memory]
    return [
        Segment(PT_LOAD, segment.flags, segment.physical, segment.physical, segment.data, end - segment.physical)
        for segment, end in zip(ordered, ends, strict=True)
    ]


def _write(segments: Sequence[Segment], what: str) -> bytes:
    """The starter comes first, so that its header is found. Addresses are physical: there is no paging yet."""
    at = _HEADER.size + _SEGMENT.size * len(segments)
    at += -at % 4  # multiboot's header is looked for at multiples of four
    padding = bytes(at - _HEADER.size - _SEGMENT.size * len(segments))
    if at + 12 > _HEADER_WITHIN or any(segment.physical + segment.memory > 1 << 32 for segment in segments):
        raise Invalid(f"{what} has no form for multiboot: too many segments, or addresses above 4 GiB")
    counts = (_HEADER.size, _SEGMENT.size, len(segments), 0, 0, 0)
    entry = STARTER_ADDRESS + STARTER_ENTRY
    header = _HEADER.pack(_IDENT, _ET_EXEC, _EM_386, 1, entry, _HEADER.size, 0, 0, *counts)
    table = []
    for segment in segments:
        sizes = (len(segment.data), segment.memory, segment.flags, 4)
        table.append(_SEGMENT.pack(segment.kind, at, segment.physical, segment.physical, *sizes))
        at += len(segment.data)
    return b"".join([header, *table, padding, *(segment.data for segment in segments)])
