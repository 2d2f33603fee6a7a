"""Files and directories that are open."""

import asyncio
import errno
import os
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from weft.ninep.driving import finish
from weft.ninep.folder.errors import translating
from weft.ninep.folder.facts import LAST_OFFSET, Facts, read_facts
from weft.ninep.folder.places import Place, find_name
from weft.ninep.folder.root import Root, look_served
from weft.ninep.tree import Node, OpenDir, OpenFile
from weft.ninep.words import BAD_OFFSET, NOT_FOUND, Mode, NinepError, OpenMode, Stat

Done = TypeVar("Done")

READ_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY
_NOT_AT_ONCE = (errno.EAGAIN, errno.EOPNOTSUPP)
_AT_A_TIME = 256


def plan_flags(mode: OpenMode, marks: int) -> int:
    """How to open a file of the host. A pipe that has come in its place must not make the server wait."""
    access = os.O_RDONLY
    if mode.writes or mode.truncate:
        access = os.O_RDWR if mode.reads else os.O_WRONLY
    return access | os.O_NONBLOCK | os.O_NOCTTY | (os.O_APPEND if marks & Mode.APPEND else 0)


class FolderFile(OpenFile):
    """A file that is open, by a descriptor of its own.

    What may take long is done in a thread. A client that does not wait for a read any more leaves the thread alone: the
    descriptor is closed when the last one is done, and not before, for its number would be another file's then. A write
    that has begun is waited for in any case: it must not come after what is written when it was flushed.
    """

    def __init__(self, node: Node, root: Root, fd: int, mode: OpenMode) -> None:
        """Takes `fd` over. Raises NinepError; it is closed then."""
        super().__init__(node)
        self._root = root
        self._fd = fd
        self._mode = mode
        self._working: set[asyncio.Future[Any]] = set()
        self._closing = False
        try:
            with translating:
                self._number = self._begin().number
        except BaseException:
            os.close(fd)
            raise

    def _begin(self) -> Facts:
        facts = read_facts(self._fd, b"")
        if not facts.is_served or facts.is_dir:  # something else has come in its place
            raise NinepError(NOT_FOUND)
        uses = self._root.uses
        uses.begin(facts.number)
        if self._mode.truncate and not uses.marks(facts.number) & Mode.APPEND:
            try:
                os.ftruncate(self._fd, 0)
            except BaseException:
                uses.end(facts.number)
                raise
            uses.change(facts.number)
        return facts

    async def read(self, offset: int, count: int) -> bytes:
        if offset > LAST_OFFSET:
            return b""
        count = min(count, LAST_OFFSET - offset)
        with translating:
            data = self._read_at_once(offset, count)
            if data is None:
                data = await self._apart(lambda: os.pread(self._fd, count, offset))
            return data

    async def write(self, offset: int, data: bytes) -> int:
        if offset + len(data) > LAST_OFFSET:
            raise NinepError(BAD_OFFSET)
        with translating:
            return await self._apart(lambda: os.pwrite(self._fd, data, offset), changes=True)

    async def close(self) -> None:
        self._root.uses.end(self._number)
        self._closing = True
        self._close_when_done()

    def _read_at_once(self, offset: int, count: int) -> bytes | None:
        """What is in memory already; None when it has to be fetched, or not all of it is there."""
        buffer = bytearray(count)
        try:
            done = os.preadv(self._fd, [buffer], offset, os.RWF_NOWAIT)
        except OSError as err:
            if err.errno in _NOT_AT_ONCE:
                return None
            raise
        if done < count:
            if offset + done < os.fstat(self._fd).st_size:
                return None
            del buffer[done:]
        return bytes(buffer)

    async def _apart(self, act: Callable[[], Done], *, changes: bool = False) -> Done:
        """What a thread makes of it. Only so many are at work, also for clients that have given up waiting."""
        await self._root.hands.acquire()
        work = asyncio.get_running_loop().run_in_executor(None, act)
        self._working.add(work)
        work.add_done_callback(self._end_change if changes else self._end_work)
        return await (finish(_result(work)) if changes else asyncio.shield(work))

    def _end_change(self, work: asyncio.Future[Any]) -> None:
        self._root.uses.change(self._number)
        self._end_work(work)

    def _end_work(self, work: asyncio.Future[Any]) -> None:
        self._root.hands.release()
        self._working.discard(work)
        self._close_when_done()

    def _close_when_done(self) -> None:
        if self._closing and not self._working:
            self._closing = False
            os.close(self._fd)


async def _result(work: "asyncio.Future[Done]") -> Done:
    return await work


class FolderListing(OpenDir):
    """A directory that is open. It has no descriptor: what is in it is looked at when it is asked for."""

    def __init__(self, node: Node, root: Root, place: Place) -> None:
        super().__init__(node)
        self._root = root
        self._place = place

    async def entries(self) -> Sequence[Stat]:
        found = []
        with self._root.directory(self._place, READ_DIRECTORY) as fd, os.scandir(fd) as names:
            for number, listed in enumerate(names, 1):
                if number % _AT_A_TIME == 0:
                    await asyncio.sleep(0)  # others have their turn
                if entry := self._find_entry(fd, os.fsencode(listed.name)):
                    found.append(entry)
        return found

    def _find_entry(self, directory: int, name: bytes) -> Stat | None:
        """None for what clients do not see, and for what has gone meanwhile."""
        if find_name(name) is None:
            return None
        try:
            return self._root.stat(look_served(directory, name), name)
        except (NinepError, FileNotFoundError):
            return None
