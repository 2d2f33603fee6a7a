"""A tree of files in memory that counts what is held of it: for tests of servers, clients and hypotheses about them."""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import count

from weft.ninep.tree import Node, OpenDir, OpenFile
from weft.ninep.words import (
    EXISTS,
    NOT_DIR,
    NOT_EMPTY,
    NOT_FOUND,
    PERMISSION,
    Mode,
    NinepError,
    OpenMode,
    Qid,
    Stat,
    StatChange,
)

LARGEST = 1 << 20


@dataclass(eq=False)
class Entry:
    """A file or directory. `ready`: reads and opens of it wait for that; `turns`: how many turns of the loop anything
    takes that is done with it."""

    name: str
    mode: int
    path: int
    parent: "Entry | None" = None
    data: bytes = b""
    children: "dict[str, Entry]" = field(default_factory=dict)
    version: int = 0
    mtime: int = 0
    gid: str = "none"
    ready: asyncio.Event | None = None
    turns: int = 0

    async def wait(self) -> None:
        if self.ready is not None:
            await self.ready.wait()
        for _ in range(self.turns):
            await asyncio.sleep(0)

    @property
    def gone(self) -> bool:
        return self.parent is not None and self.parent.children.get(self.name) is not self


class MemoryTree:
    """`nodes` and `files`: how many have been given out and not been closed; -1 would be one closed twice."""

    def __init__(self, turns: int = 0) -> None:
        self.nodes = self.files = 0
        self.turns = turns
        self._paths = count(1)
        self.root = Entry("/", Mode.DIR | 0o755, 0, turns=turns)

    def add(self, name: str, data: bytes = b"", mode: int = 0o644, parent: Entry | None = None) -> Entry:
        parent = parent or self.root
        entry = Entry(name, mode, next(self._paths), parent, data, turns=self.turns)
        parent.children[name] = entry
        return entry

    async def attach(self, user: str, aname: str) -> Node:
        if aname not in ("", "/"):
            raise NinepError(NOT_FOUND)
        await self.root.wait()
        return Spot(self, self.root)


class Spot(Node):
    def __init__(self, tree: MemoryTree, entry: Entry) -> None:
        self.tree = tree
        self.entry = entry
        self.closed = False
        tree.nodes += 1

    @property
    def qid(self) -> Qid:
        return Qid(Mode.qid_type(self.entry.mode), self.entry.version, self.entry.path)

    async def stat(self) -> Stat:
        entry = self.entry
        self._want_there()
        await self._wait()
        return Stat(self.qid, entry.mode, entry.name, len(entry.data), mtime=entry.mtime, gid=entry.gid)

    async def walk(self, name: str) -> Node:
        self._want_dir()
        await self._wait()
        if name == "..":
            return Spot(self.tree, self.entry.parent or self.entry)
        if name not in self.entry.children:
            raise NinepError(NOT_FOUND)
        return Spot(self.tree, self.entry.children[name])

    async def open(self, mode: OpenMode) -> OpenFile:
        self._want_there()
        if mode.remove_on_close and self.entry is self.tree.root:
            raise NinepError(PERMISSION)
        await self._wait()
        if mode.truncate:
            self.entry.data = b""
            self.entry.version += 1
        return Folder(self) if self.qid.is_dir else Content(self)

    async def create(self, name: str, perm: int, mode: OpenMode) -> OpenFile:
        self._want_dir()
        self._want_there()
        await self._wait()
        if name in self.entry.children:
            raise NinepError(EXISTS)
        spot = Spot(self.tree, self.tree.add(name, mode=perm, parent=self.entry))
        return Folder(spot) if spot.qid.is_dir else Content(spot)

    async def remove(self) -> None:
        self._want_there()
        await self._wait()
        if self.entry.parent is None:
            raise NinepError(PERMISSION)
        if self.entry.children:
            raise NinepError(NOT_EMPTY)
        self._want_there()
        del self.entry.parent.children[self.entry.name]

    async def wstat(self, change: StatChange) -> None:
        entry, parent = self.entry, self.entry.parent
        self._want_there()
        await self._wait()
        if change.length is not None and change.length > LARGEST:
            raise NinepError("too large")
        if change.name is not None and change.name != entry.name:
            if parent is None or change.name in parent.children:
                raise NinepError(EXISTS)
            del parent.children[entry.name]
            parent.children[change.name] = entry
            entry.name = change.name
        entry.mode = entry.mode if change.mode is None else change.mode
        entry.mtime = entry.mtime if change.mtime is None else change.mtime
        entry.gid = entry.gid if change.gid is None else change.gid
        if change.length is not None:
            entry.data = entry.data[: change.length].ljust(change.length, b"\0")

    async def close(self) -> None:
        assert not self.closed
        self.closed = True
        self.tree.nodes -= 1

    async def _wait(self) -> None:
        """Nobody closes what is being used."""
        assert not self.closed
        await self.entry.wait()
        assert not self.closed

    def _want_dir(self) -> None:
        if not self.qid.is_dir:
            raise NinepError(NOT_DIR)

    def _want_there(self) -> None:
        if self.entry.gone:
            raise NinepError(NOT_FOUND)


class _Counted(OpenFile):
    def __init__(self, spot: Spot) -> None:
        super().__init__(spot)
        self.spot = spot
        self.closed = False
        spot.tree.files += 1

    async def wait(self) -> None:
        """Nobody closes what is being used."""
        assert not self.closed
        await self.spot.entry.wait()
        assert not self.closed

    async def close(self) -> None:
        assert not self.closed
        self.closed = True
        self.spot.tree.files -= 1


class Content(_Counted):
    async def read(self, offset: int, count: int) -> bytes:
        await self.wait()
        return self.spot.entry.data[offset : offset + count]

    async def write(self, offset: int, data: bytes) -> int:
        entry = self.spot.entry
        await self.wait()
        if offset + len(data) > LARGEST:
            raise NinepError("too large")
        entry.data = entry.data[:offset].ljust(offset, b"\0") + data + entry.data[offset + len(data) :]
        entry.version += 1
        return len(data)


class Folder(_Counted, OpenDir):
    async def entries(self) -> Sequence[Stat]:
        entry = self.spot.entry
        await self.wait()
        return [
            Stat(Qid(Mode.qid_type(one.mode), one.version, one.path), one.mode, one.name, len(one.data))
            for one in entry.children.values()
        ]
