"""A vmlinux without its holes.

A linked kernel has its segments at addresses of whole 2 MiB, in memory and in the file alike, and pages of zeros
between and inside them: 45 % of the file. Here every stretch of zeros becomes what an ELF file has for that, a segment
whose size in memory is larger than in the file, and what is left is put close together. In memory it is the same
kernel; QEMU fills with zeros what the file does not have (its hw/elf_ops.h). Sections, which only debuggers read, are
left out.
"""

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass, replace

from weft.image.elf import ELF_MAGIC
from weft.model.errors import Invalid

HOLE = 4096
"""Shorter stretches of zeros stay: a segment's header is 56 bytes, and each is work for the loader."""

PT_LOAD, PT_NOTE = 1, 4

_HEADER = struct.Struct("<16sHHIQQQIHHHHHH")
_SEGMENT = struct.Struct("<IIQQQQQQ")
_ZEROS = re.compile(rb"\0{%d,}" % HOLE)


@dataclass(frozen=True)
class Segment:
    """One entry of the program header table, with its bytes. `memory` is its size when loaded."""

    kind: int
    flags: int
    virtual: int
    physical: int
    data: bytes
    memory: int


def pack_vmlinux(data: bytes) -> bytes:
    """The same kernel in as few bytes as an ELF file can have it without being compressed. Raises Invalid when `data`
    is damaged. Packing what is packed changes nothing."""
    try:
        segments = [piece for segment in read_segments(data) for piece in split(segment)]
    except struct.error as err:
        raise Invalid(f"the kernel is not a sound ELF file: {err}") from err
    return _write(data, segments)


def split(segment: Segment) -> Iterator[Segment]:
    """A segment as pieces that begin with something; each is followed by zeros up to the next."""
    if segment.kind != PT_LOAD:
        yield segment
        return
    starts = [0, *(found.end() for found in _ZEROS.finditer(segment.data) if found.end() < len(segment.data))]
    if starts[1:] and not segment.data[: starts[1]].strip(b"\0"):
        starts[:2] = [starts[1]]  # it begins with a hole, which whatever lies below leaves free
    for start, end in zip(starts, [*starts[1:], segment.memory], strict=True):
        piece = segment.data[start:end]
        found = _ZEROS.search(piece)
        kept = piece[: found.start()] if found else piece
        yield replace(
            segment,
            virtual=segment.virtual + start,
            physical=segment.physical + start,
            data=kept,
            memory=end - start,
        )


def read_segments(data: bytes) -> Iterator[Segment]:
    """What is loaded of a kernel, and its notes. Raises Invalid, struct.error when `data` is damaged."""
    if not data.startswith(ELF_MAGIC):
        raise Invalid("the kernel is not an ELF file")
    header = _HEADER.unpack_from(data)
    table, size, count = header[5], header[9], header[10]
    for number in range(count):
        kind, flags, offset, virtual, physical, stored, memory, _align = _SEGMENT.unpack_from(
            data, table + number * size
        )
        if kind in (PT_LOAD, PT_NOTE):
            content = data[offset : offset + stored]
            if len(content) != stored or memory < stored:
                raise Invalid("the kernel is cut short")
            yield Segment(kind, flags, virtual, physical, content, memory)


def _write(original: bytes, segments: list[Segment]) -> bytes:
    ident, kind, machine, version, entry, _table, _sections, flags, *_rest = _HEADER.unpack_from(original)
    at = _HEADER.size + _SEGMENT.size * len(segments)
    table, body = [], []
    for segment in segments:
        align = 4 if segment.kind == PT_NOTE else 1  # by its alignment QEMU finds the way from note to note
        table.append(
            _SEGMENT.pack(
                *(segment.kind, segment.flags, at, segment.virtual, segment.physical),
                *(len(segment.data), segment.memory, align),
            )
        )
        body.append(segment.data)
        at += len(segment.data)
    counts = (_HEADER.size, _SEGMENT.size, len(segments), 0, 0, 0)
    header = _HEADER.pack(ident, kind, machine, version, entry, _HEADER.size, 0, flags, *counts)
    return b"".join([header, *table, *body])
