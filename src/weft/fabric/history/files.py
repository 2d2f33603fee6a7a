"""The history of a machine in a file of its folder: a header, and the rows of the ring that goes back furthest."""

import os
import struct
from collections.abc import Iterable
from pathlib import Path

from weft.plan.history import Piece, Ring

_HEADER = struct.Struct("<8sII")
_MAGIC = b"wefthst1"


def write_pieces(path: Path, ring: Ring, pieces: Iterable[Piece]) -> None:
    """Put rows at their places; a file that is not there is made. Raises OSError."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(fd, _dump_header(ring), 0)
        for piece in pieces:
            os.pwrite(fd, piece.data, _HEADER.size + piece.place)
    finally:
        os.close(fd)


def load_ring(path: Path, ring: Ring) -> None:
    """Begin with what is in the file; with nothing where that is missing, unreadable or of another shape."""
    try:
        data = path.read_bytes()
    except OSError:
        return
    if data.startswith(_dump_header(ring)):
        ring.load(data[_HEADER.size :])


def _dump_header(ring: Ring) -> bytes:
    return _HEADER.pack(_MAGIC, ring.step, ring.size)
