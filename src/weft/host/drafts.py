"""Writing sealed folders: a draft under another name, which takes its own when everything in it is on disk."""

import asyncio
import os
import shutil
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from weft.host.blocks import Tell, copy_blocks, say_nothing, sum_bytes
from weft.host.durable import put_in_place
from weft.host.sealed import Head, Piece, opened, translated, work_on

DRAFT = ".draft"
"""How the names of folders end that are being written; a leftover of that name is nothing."""


def draft_of(folder: Path) -> Path:
    """Where a folder is while it is being written."""
    return folder.with_name(f"{folder.name}{DRAFT}")


class Draft:
    """A folder that is being written. Made by `open_draft`; every method may raise NoRoom, Unavailable."""

    def __init__(self, folder: Path, head: str) -> None:
        self.folder = draft_of(folder)
        self._final = folder
        self._head = head
        self._pieces: dict[str, Piece] = {}

    async def put(self, name: str, data: bytes) -> None:
        """Write a small piece."""
        await work_on(self._final, self._put, name, data)

    async def copy(self, name: str, source: int, size: int, *, tell: Tell = say_nothing) -> None:
        """Write a piece from an open file; what is zero in it becomes holes."""
        await work_on(self._final, self._copy, name, source, size, tell)

    async def take(self, name: str, *, tell: Tell = say_nothing) -> None:
        """Make a piece of a file that lies in the draft already."""
        await work_on(self._final, self._take, name, tell)

    async def seal(self, about: Mapping[str, Any]) -> None:
        """Write the head, and let the folder take its name, in the place of one that has it."""
        await work_on(self._final, self._seal, dict(about))

    async def keep_as(self, folder: Path) -> None:
        """Let a folder take this name that was sealed elsewhere, head and all, and has been looked at."""
        await work_on(folder, self._place, folder)

    def _put(self, name: str, data: bytes) -> None:
        (self.folder / name).write_bytes(data)
        self._pieces[name] = Piece(size=len(data), sum=sum_bytes(data))

    def _copy(self, name: str, source: int, size: int, tell: Tell) -> None:
        with opened(self.folder / name, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as target:
            self._pieces[name] = Piece(size=size, sum=copy_blocks(source, size, target, tell=tell))

    def _take(self, name: str, tell: Tell) -> None:
        with opened(self.folder / name) as source:
            size = os.fstat(source).st_size
            self._pieces[name] = Piece(size=size, sum=copy_blocks(source, size, tell=tell))

    def _seal(self, about: dict[str, Any]) -> None:
        (self.folder / self._head).write_bytes(Head(about=about, pieces=self._pieces).dump())
        self._place(self._final)

    def _place(self, folder: Path) -> None:
        for path in self.folder.iterdir():
            with opened(path) as fd:
                os.fsync(fd)
        shutil.rmtree(folder, ignore_errors=True)
        put_in_place(self.folder, folder)


@asynccontextmanager
async def open_draft(folder: Path, head: str) -> AsyncIterator[Draft]:
    """A draft of a folder, whose head is in the file of this name. What is not sealed at the end goes."""
    draft = Draft(folder, head)
    try:
        with translated(folder):
            shutil.rmtree(draft.folder, ignore_errors=True)
            draft.folder.mkdir(mode=0o700, parents=True)
        yield draft
    finally:
        await asyncio.to_thread(shutil.rmtree, draft.folder, ignore_errors=True)


def sweep_drafts(folder: Path) -> None:
    """Remove what was being written when the daemon or the host died."""
    for draft in folder.glob(f"*{DRAFT}"):
        shutil.rmtree(draft, ignore_errors=True)
