"""Archives on their way to the daemon: from a file, from a pipe, or made of a folder, a piece at a time."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from weft.model.errors import Invalid, NotFound

PIECE = 1 << 20
_BLOCK = 512


def read_pieces(file: BinaryIO) -> Iterator[bytes]:
    """What is left of a file or pipe, as it comes."""
    while piece := os.read(file.fileno(), PIECE):
        yield piece


def pack_layout(folder: Path) -> Iterator[bytes]:
    """The tar of a folder with an OCI layout. Raises Invalid when there is none in it, NotFound."""
    import tarfile

    if not (folder / "index.json").is_file() or not (folder / "oci-layout").is_file():
        raise Invalid(f"{folder} has no OCI layout", hint="there would be index.json, oci-layout and blobs/ in it")
    for path in sorted(path for path in folder.rglob("*") if path.is_file()):
        try:
            with path.open("rb") as file:
                entry = tarfile.TarInfo(path.relative_to(folder).as_posix())
                entry.size = os.fstat(file.fileno()).st_size
                yield entry.tobuf(tarfile.PAX_FORMAT)
                yield from _read_exactly(file, path, entry.size)
        except OSError as err:
            raise NotFound(f"cannot read {path}: {err.strerror}") from err
        yield bytes(-entry.size % _BLOCK)
    yield bytes(2 * _BLOCK)


def measure_layout(folder: Path) -> int:
    """Bytes of the files in a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _read_exactly(file: BinaryIO, path: Path, size: int) -> Iterator[bytes]:
    left = size
    while left and (piece := file.read(min(left, PIECE))):
        left -= len(piece)
        yield piece
    if left:
        raise Invalid(f"{path} became shorter while it was read")
