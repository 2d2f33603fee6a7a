"""Sealed folders: files that are there whole and unchanged, or refused. `drafts` writes them.

A folder has its pieces and one head. The head is a line of JSON: the format, what the folder is about, and size and sum
of each piece; and a line with the JSON's own sum. Any byte that is not as it was written, a piece that is missing, and
one that nobody put there, make the whole folder refused.
"""

import asyncio
import errno
import hashlib
import json
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from weft.host.blocks import Tell, copy_blocks, say_nothing, sum_bytes
from weft.model.errors import NoRoom, Unavailable, WeftError

T = TypeVar("T")
FORMAT = 1
MAX_HEAD = 4 << 20
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class Piece(BaseModel):
    """Size in bytes and sum of a file."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    size: int
    sum: str


class Head(BaseModel):
    """What a folder is about, and what belongs to it."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    format: int = FORMAT
    about: dict[str, Any]
    pieces: dict[str, Piece]

    def dump(self) -> bytes:
        """As it is written."""
        line = json.dumps(self.model_dump(mode="json"), sort_keys=True).encode()
        return b"%b\n%b\n" % (line, hashlib.sha256(line).hexdigest().encode())


class Sealed:
    """A sealed folder whose head is whole and whose files are all there; what is in them is looked at when it is read.

    Made by `open_sealed`.
    """

    def __init__(self, folder: Path, head: Head) -> None:
        self.folder = folder
        self.head = head
        self.about = head.about
        self.pieces = head.pieces

    async def read(self, name: str) -> bytes:
        """A small piece. Raises Unavailable when it is damaged."""
        return await work_on(self.folder, self._read, name)

    async def copy(self, name: str, target: int | None = None, *, tell: Tell = say_nothing) -> None:
        """Copy a piece into an empty open file, or only look whether it is whole.

        Raises Unavailable when it is damaged: the target is worth nothing then. NoRoom when it does not fit.
        """
        await work_on(self.folder, self._copy, name, target, tell)

    def _read(self, name: str) -> bytes:
        data = (self.folder / name).read_bytes()
        self._compare(name, Piece(size=len(data), sum=sum_bytes(data)))
        return data

    def _copy(self, name: str, target: int | None, tell: Tell) -> None:
        size = self.pieces[name].size
        with opened(self.folder / name) as source:
            self._compare(name, Piece(size=size, sum=copy_blocks(source, size, target, tell=tell)))

    def _compare(self, name: str, found: Piece) -> None:
        if found != self.pieces[name]:
            raise _damaged(self.folder, f"{name} is not as it was saved")


async def open_sealed(folder: Path, head: str) -> Sealed:
    """A sealed folder with its head. Raises Unavailable when it is damaged."""
    return await work_on(folder, _open_sealed, folder, head)


def read_head(folder: Path, head: str) -> Head:
    """What a folder says that it is. Raises Unavailable when that is damaged."""
    path = folder / head
    try:
        if path.stat().st_size > MAX_HEAD:
            raise _damaged(folder, f"{head} is too long")
        return _parse_head(folder, path.read_bytes())
    except OSError as err:
        raise _damaged(folder, f"{head} cannot be read: {err.strerror}") from err


async def work_on(folder: Path, act: Callable[..., T], *args: Any) -> T:
    """Act in a thread, to the end even when nobody waits any more: files are open. Raises NoRoom, Unavailable."""
    task = asyncio.ensure_future(asyncio.to_thread(act, *args))
    try:
        with translated(folder):
            return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise


@contextmanager
def translated(folder: Path) -> Iterator[None]:
    """What goes wrong with files as errors of ours."""
    try:
        yield
    except WeftError:
        raise
    except OSError as err:
        if err.errno in _FULL:
            raise NoRoom(f"no room for {folder}: {err.strerror}", hint="nothing of it was kept") from err
        raise Unavailable(f"{folder} cannot be worked on: {err.strerror}") from err


@contextmanager
def opened(path: Path, flags: int = os.O_RDONLY) -> Iterator[int]:
    """A file, open as long as it is needed."""
    fd = os.open(path, flags | os.O_CLOEXEC, 0o600)
    try:
        yield fd
    finally:
        os.close(fd)


def _open_sealed(folder: Path, head: str) -> Sealed:
    found = read_head(folder, head)
    files = {entry.name: entry for entry in os.scandir(folder) if entry.name != head}
    if different := files.keys() ^ found.pieces.keys():
        words = [f"{name} is {'not part of it' if name in files else 'missing'}" for name in sorted(different)]
        raise _damaged(folder, ", ".join(words))
    for name, piece in found.pieces.items():
        entry = files[name]
        if not entry.is_file(follow_symlinks=False) or entry.stat(follow_symlinks=False).st_size != piece.size:
            raise _damaged(folder, f"{name} has not its size")
    return Sealed(folder, found)


def _parse_head(folder: Path, text: bytes) -> Head:
    line, _, rest = text.partition(b"\n")
    if rest != hashlib.sha256(line).hexdigest().encode() + b"\n":
        raise _damaged(folder, "its head is not as it was saved")
    try:
        head = Head.model_validate_json(line)
    except ValidationError as err:
        raise Unavailable(f"{folder} is of a version of Weft that this one does not know") from err
    if head.format != FORMAT:
        raise Unavailable(f"{folder} is in format {head.format}", hint=f"this version of Weft reads format {FORMAT}")
    return head


def _damaged(folder: Path, why: str) -> Unavailable:
    return Unavailable(f"{folder} is damaged: {why}", hint="nothing of it was used")
