"""The floppy with nothing on it, as most machines have it: made without a program, and known by sight.

The first one of a process is made by dosfstools and remembered; all others are the same, byte for byte.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from weft.model.floppy import FLOPPY_BYTES

_HEADS: list[bytes] = []
"""What a new floppy begins with, once one has been seen; the rest of it is zeros."""


def remember_blank(path: Path) -> None:
    """This is a new floppy with nothing on it."""
    _HEADS[:] = [path.read_bytes().rstrip(b"\0")]


def write_blank(path: Path) -> bool:
    """Make such a floppy. False when none has been seen yet."""
    for head in _HEADS:
        path.write_bytes(head)
        os.truncate(path, FLOPPY_BYTES)
    return bool(_HEADS)


def is_blank(path: Path) -> bool:
    """Whether it is one for certain: False when none has been seen yet, too, or this cannot be read."""
    try:
        with path.open("rb", buffering=0) as file:
            fd = file.fileno()
            return any(file.read(len(head)) == head and _is_void(fd, len(head)) for head in _HEADS)
    except OSError:
        return False


def _is_void(fd: int, start: int) -> bool:
    """Whether a floppy has nothing but zeros from there on."""
    rest = (os.pread(fd, end - begin, begin) for begin, end in _find_data(fd, start))
    return os.fstat(fd).st_size == FLOPPY_BYTES and not any(piece.strip(b"\0") for piece in rest)


def _find_data(fd: int, start: int) -> Iterator[tuple[int, int]]:
    """Where a file has something of its own: the rest are holes, which need not be read."""
    while start < (size := os.fstat(fd).st_size):
        try:
            begin = os.lseek(fd, start, os.SEEK_DATA)
        except OSError:  # nothing more
            return
        start = min(os.lseek(fd, begin, os.SEEK_HOLE), size)
        yield begin, start
