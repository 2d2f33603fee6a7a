"""Nodes of a tree that is made up: directories, of which some ask what is in them, and what all files have in common.

A qid's path is a digest of the names that lead to it, so it stays the same for all clients and over restarts of the
daemon. Its version is always 0, since what is in a file is made when it is opened: Linux keeps nothing of such a file.
"""

import time
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import cached_property
from hashlib import blake2b

from weft.ninep.tree import Node, OpenDir, OpenFile
from weft.ninep.words import NOT_FOUND, PERMISSION, Access, Mode, NinepError, OpenMode, Qid, Stat, StatChange

OWNER = "weft"
LINUX = "linux"
"""What a client attaches to that reads on until it has all that was asked for: `linux`, or `linux/` and a part."""
_BEGAN = int(time.time())
"""The time that all files have: there is no other that is true of something made up."""
READ, WRITE, READ_WRITE, EXECUTE = 0o400, 0o200, 0o600, 0o100
LIST, CHANGE = 0o500, 0o700
"""Modes of directories: one that is only looked at, and one in which things are made or removed."""


class Entry(Node):
    """Something with a name in a directory; the root has no parent and is called `/`."""

    def __init__(self, parent: "Entry | None", name: str, mode: int) -> None:
        self.parent = parent
        self.name = name
        self.mode = mode
        self.reads_on: bool = parent.reads_on if parent else False
        """Whether who is attached reads on until all that was asked for has come."""

    @cached_property
    def names(self) -> tuple[str, ...]:
        """What leads to it from the root."""
        return (*self.parent.names, self.name) if self.parent else ()

    @cached_property
    def qid(self) -> Qid:
        digest = blake2b("/".join(self.names).encode(), digest_size=8).digest()
        return Qid(Mode.qid_type(self.mode), 0, int.from_bytes(digest, "big"))

    def uproot(self, *, reads_on: bool = False) -> None:
        """From now on it is the root of what somebody has attached to: it is called `/`, and `..` leads nowhere else.
        Its qid stays.
        """
        assert self.qid
        self.parent, self.name, self.reads_on = None, "/", reads_on

    def describe(self) -> Stat:
        """Its stat, which takes no waiting."""
        times = {"atime": _BEGAN, "mtime": _BEGAN}
        return Stat(self.qid, self.mode, self.name, uid=OWNER, gid=OWNER, muid=OWNER, **times)

    async def stat(self) -> Stat:
        return self.describe()

    def refuse(self, mode: OpenMode) -> None:
        """Raises NinepError if its mode is against opening it so."""
        wanted = (READ if mode.reads else 0) | (WRITE if mode.writes or mode.truncate else 0)
        wanted |= EXECUTE if mode.access is Access.EXEC else 0
        if wanted & ~self.mode or mode.remove_on_close:
            raise NinepError(PERMISSION)

    async def wstat(self, change: StatChange) -> None:
        """What some systems do when they open for writing is let pass: to empty it, or note a time. It does nothing."""
        about = StatChange(length=0, mtime=change.mtime)
        if not change.is_sync and (change != about or not self.mode & WRITE or self.qid.is_dir):
            raise NinepError(PERMISSION)


def parse_aname(aname: str) -> tuple[str, bool]:
    """What is attached to, and whether by one who reads on."""
    first, _, rest = aname.lstrip("/").partition("/")
    return (rest, True) if first == LINUX else (aname, False)


Make = Callable[[Entry, str], Entry]
"""Makes the entry of this name in a directory."""


class Folder(Entry):
    """A directory. `remove` is what is done to remove it, if that can be."""

    def __init__(
        self, parent: Entry | None, name: str, mode: int = LIST, remove: Callable[[], Awaitable[object]] | None = None
    ) -> None:
        super().__init__(parent, name, Mode.DIR | mode)
        self._remove = remove

    @abstractmethod
    async def find(self, name: str) -> Entry | None:
        """The entry of this name, or None."""

    @abstractmethod
    async def contents(self) -> Sequence[Entry]:
        """All entries, in the order they are shown."""

    async def walk(self, name: str) -> Node:
        if name == "..":
            return self.parent or self
        if (found := await self.find(name)) is None:
            raise NinepError(NOT_FOUND)
        return found

    async def open(self, mode: OpenMode) -> OpenFile:
        self.refuse(mode)
        return _OpenFolder(self)

    async def remove(self) -> None:
        if self._remove is None:
            raise NinepError(PERMISSION)
        await self._remove()


class _OpenFolder(OpenDir):
    def __init__(self, folder: Folder) -> None:
        super().__init__(folder)
        self._folder = folder

    async def entries(self) -> Sequence[Stat]:
        return [entry.describe() for entry in await self._folder.contents()]


class Fixed(Folder):
    """A directory in which there is always the same."""

    def __init__(
        self,
        parent: Entry | None,
        name: str,
        makes: Mapping[str, Make],
        mode: int = LIST,
        remove: Callable[[], Awaitable[object]] | None = None,
    ) -> None:
        super().__init__(parent, name, mode, remove)
        self._makes = makes

    async def find(self, name: str) -> Entry | None:
        make = self._makes.get(name)
        return make(self, name) if make else None

    async def contents(self) -> Sequence[Entry]:
        return [make(self, name) for name, make in self._makes.items()]


class Listed(Folder):
    """A directory of things that come and go: `ask` says which names there are, `make` makes the entry of one.

    Beside them there is always what is in `fixed`.
    """

    def __init__(
        self,
        parent: Entry | None,
        name: str,
        ask: Callable[[], Awaitable[Sequence[str]]],
        make: Make,
        fixed: Mapping[str, Make] | None = None,
        mode: int = LIST,
    ) -> None:
        super().__init__(parent, name, mode)
        self._ask, self._make, self._fixed = ask, make, fixed or {}

    async def find(self, name: str) -> Entry | None:
        if (make := self._fixed.get(name)) is not None:
            return make(self, name)
        return self._make(self, name) if name in await self._ask() else None

    async def contents(self) -> Sequence[Entry]:
        fixed = [make(self, name) for name, make in self._fixed.items()]
        return [*fixed, *(self._make(self, name) for name in sorted(await self._ask()) if name not in self._fixed)]
