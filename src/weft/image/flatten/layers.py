"""Layers as plain tars: each is unpacked once, into a file without a name, which goes with its descriptor."""

import errno
import os
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from weft.image.flatten.decode import DECODE_ERRORS, find_decoder
from weft.image.flatten.limits import Budget, Stopped
from weft.image.flatten.members import Member
from weft.image.flatten.tarread import read_members
from weft.model.errors import Invalid, NoRoom, NotFound, Unavailable, WeftError

THREADS = min(os.cpu_count() or 1, 4)


class Layer:
    """A layer as a plain tar that can be read at any place."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.descriptor = file.fileno()
        self.members: list[Member] = []

    def read(self, offset: int, size: int) -> bytes:
        """As many bytes as are there."""
        return os.pread(self.descriptor, size, offset)

    def close(self) -> None:
        self._file.close()


def open_layers(
    paths: Sequence[Path], spool: Path, budget: Budget, tell: Callable[[int], None] = lambda done: None
) -> list[Layer]:
    """All layers, with their members; several threads unpack them. `tell` gets how many are done.

    What has to be unpacked goes to nameless files in the folder `spool`. Raises NotFound, Invalid for one that is
    damaged or of an unknown kind, NoRoom, Unavailable when that folder cannot be used, and Stopped when the budget was.
    """
    with ThreadPoolExecutor(THREADS, "flatten") as pool:
        futures = [pool.submit(_open_layer, path, spool, budget) for path in paths]
        for number, future in enumerate(as_completed(futures), 1):
            if future.exception() is not None:
                budget.stop()
            tell(number)
    return _collect(futures)


def _collect(futures: Sequence[Future[Layer]]) -> list[Layer]:
    """The layers; or none is left open, and what went wrong first is raised, before what was stopped for it."""
    errors = [error for future in futures if (error := future.exception()) is not None]
    if not errors:
        return [future.result() for future in futures]
    for future in futures:
        if future.exception() is None:
            future.result().close()
    raise min(errors, key=lambda error: isinstance(error, Stopped))


def _open_layer(path: Path, spool: Path, budget: Budget) -> Layer:
    layer = _unpack(path, spool, budget)
    try:
        for member in read_members(layer.read):
            budget.take_member(member)
            layer.members.append(member)
    except WeftError as err:
        layer.close()
        raise type(err)(f"layer {path.name}: {err.message}", hint=err.hint) from err
    except BaseException:
        layer.close()
        raise
    return layer


def _unpack(path: Path, spool: Path, budget: Budget) -> Layer:
    try:
        source = path.open("rb")
    except OSError as err:
        raise NotFound(f"cannot read layer {path}: {err.strerror}") from err
    decoder = find_decoder(source)
    if decoder is None:
        return Layer(source)
    with source, _explain(path, spool):
        return _spool(decoder(source), spool, budget)


def _spool(pieces: Iterator[bytes], spool: Path, budget: Budget) -> Layer:
    file = tempfile.TemporaryFile(dir=spool)  # noqa: SIM115 (it stays open as part of the layer)
    try:
        for piece in pieces:
            budget.take_unpacked(len(piece))
            file.write(piece)
        file.flush()
    except BaseException:
        file.close()
        raise
    return Layer(file)


@contextmanager
def _explain(path: Path, spool: Path) -> Iterator[None]:
    try:
        yield
    except DECODE_ERRORS as err:
        raise Invalid(f"layer {path.name} is damaged: {err}") from err
    except OSError as err:
        kind = NoRoom if err.errno in (errno.ENOSPC, errno.EDQUOT) else Unavailable
        raise kind(f"layer {path.name} cannot be unpacked to {spool}: {err.strerror}") from err
