"""Directories with numbers for names, each made by opening `clone`, as Plan 9's networks have them."""

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

from weft.filetree.files import OpenCommands, commands, opened, says
from weft.filetree.nodes import CHANGE, READ_WRITE, Entry, Fixed, Listed, Make
from weft.ninep.tree import OpenFile
from weft.ninep.words import OpenMode

KEPT = 32
"""So many are remembered in a directory; a new one drives out the oldest, and ends it."""


class Conversation(Protocol):
    """What one is about."""

    async def run(self, words: list[str]) -> None:
        """A command of its `ctl`. Raises NinepError."""

    def files(self) -> Mapping[str, Make]:
        """Its files beside `ctl`."""

    async def end(self) -> None:
        """It is forgotten."""


class Conversations:
    """All of a directory; `make` begins one. Beside them there is what is in `fixed`."""

    def __init__(self, make: Callable[[], Conversation], fixed: Mapping[str, Make] | None = None) -> None:
        self._begin = make
        self._fixed = fixed or {}
        self._going_on: dict[str, Conversation] = {}
        self._next = 0

    async def names(self) -> Sequence[str]:
        return list(self._going_on)

    async def remove(self, name: str) -> None:
        """End one."""
        if (conversation := self._going_on.pop(name, None)) is not None:
            await conversation.end()

    async def close(self) -> None:
        """End all."""
        for name in list(self._going_on):
            await self.remove(name)

    def folder(self, parent: Entry, name: str) -> Listed:
        """The directory."""
        fixed = {"clone": opened(READ_WRITE, self._open_clone), **self._fixed}
        return Listed(parent, name, self.names, self._make, fixed, CHANGE)

    async def _open_clone(self, node: Entry, mode: OpenMode) -> OpenFile:
        name = str(self._next)
        self._next += 1
        conversation = self._going_on[name] = self._begin()
        while len(self._going_on) > KEPT:
            await self.remove(next(iter(self._going_on)))
        return OpenCommands(node, f"{name}\n".encode(), conversation.run)

    def _make(self, parent: Entry, name: str) -> Entry:
        conversation = self._going_on[name]

        files = {"ctl": commands(conversation.run, says(name)), **conversation.files()}
        return Fixed(parent, name, files, CHANGE, lambda: self.remove(name))
