"""What a server of files has to be: a tree to attach to, its nodes, and what is open of them.

The server (`server.py`) keeps fids, tags and flushes; a tree knows files only. Every method may raise NinepError, whose
text the client gets. A method that waits is cancelled when the client flushes its request or goes away, so it must hold
nothing then that it would not let go of by itself. Methods that need not wait do not: the server carries such a request
out at once, without a task. So there is no current task before a method's first wait: what wants one (asyncio.timeout,
TaskGroup) comes after an `await asyncio.sleep(0)`.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Protocol

from weft.ninep.words import (
    NOT_DIR,
    PERMISSION,
    NinepError,
    OpenMode,
    Qid,
    Stat,
    StatChange,
)


class OpenFile:
    """A file that a fid has open: only read, or written, if opened for that. `node` is what it is a file of, which
    need not be what was walked to: opening `clone` opens another file (open(5) lets the qid change).
    """

    def __init__(self, node: "Node") -> None:
        self.node = node

    async def read(self, offset: int, count: int) -> bytes:
        """At most `count` bytes from `offset`; fewer or none at the end. May wait for there to be something."""
        raise NinepError(PERMISSION)

    async def write(self, offset: int, data: bytes) -> int:
        """How many bytes of `data` were taken. With `Mode.APPEND` the offset means nothing."""
        raise NinepError(PERMISSION)

    async def close(self) -> None:
        """The fid goes; told once. Raises nothing: nobody would hear of it."""
        return


class OpenDir(OpenFile):
    """A directory that is open. The server cuts what it says into replies, and keeps to legal offsets."""

    async def entries(self) -> Sequence[Stat]:
        """What is in it now. Asked at offset 0, and kept for the reads that follow."""
        raise NotImplementedError


class Node(ABC):
    """A file that was walked to. It is a name for it rather than the file: it may be gone meanwhile."""

    @property
    @abstractmethod
    def qid(self) -> Qid:
        """What it is, with the version that it has now, or had last. Raises nothing."""

    @abstractmethod
    async def stat(self) -> Stat:
        """All about it."""

    async def walk(self, name: str) -> "Node":
        """The file of this name in it; `..` is its parent, at the root the root itself. Never `.` or a name with a
        slash: the server has seen to that.
        """
        raise NinepError(NOT_DIR)

    @abstractmethod
    async def open(self, mode: OpenMode) -> OpenFile:
        """Open it, if the user of its attach may. A directory gives an `OpenDir`, and is only ever read: the server has
        seen to that, here and in `create`.
        """

    async def create(self, name: str, perm: int, mode: OpenMode) -> OpenFile:
        """Make a file, or with `Mode.DIR` in `perm` a directory, and open it. It must not be there yet. `name` is never
        `.`, `..` or one with a slash.
        """
        raise NinepError(NOT_DIR if not self.qid.is_dir else PERMISSION)

    async def remove(self) -> None:
        """Remove it. Its fid goes in any case."""
        raise NinepError(PERMISSION)

    async def wstat(self, change: StatChange) -> None:
        """Change what is about it: all of it or, with an error, nothing. Never to what nobody can be called, nor from a
        directory to a file: the server has seen to that.
        """
        raise NinepError(PERMISSION)

    async def close(self) -> None:
        """A fid with this node goes; told once for each walk, attach or create that gave it."""
        return


class Tree(Protocol):
    """Something that can be attached to."""

    async def attach(self, user: str, aname: str) -> Node:
        """The root, for a user, of the part called `aname`; empty is the whole. Raises NinepError."""
