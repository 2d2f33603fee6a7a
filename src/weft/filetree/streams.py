"""Files whose reads wait: for events, for what a machine writes, for packets."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager

from weft.filetree.files import Show, opened
from weft.filetree.nodes import READ, Entry, Make
from weft.filetree.tasks import end_task, refuse
from weft.ninep.tree import OpenFile
from weft.ninep.words import NinepError, OpenMode

AHEAD = 64
"""Pieces that wait to be read; then the source is not asked for more."""
Source = Callable[[], AbstractAsyncContextManager[AsyncIterator[bytes]]]
"""Opens what is read: it is begun when the context is entered, and ended when it is left."""


class Pump:
    """Takes pieces from a source, in a task of its own: a read that is given up takes nothing with it."""

    def __init__(self, source: Source) -> None:
        self._pieces: asyncio.Queue[bytes | None] = asyncio.Queue(AHEAD)
        self._source = source
        self._began: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._failure: NinepError | None = None
        self._rest = b""
        self._task = asyncio.create_task(self._run(), name="filetree-pump")

    async def begun(self) -> None:
        """Until the source is open. Raises NinepError if it cannot be."""
        try:
            await asyncio.shield(self._began)
        except BaseException:
            await self.close()
            raise

    async def take(self, count: int, *, lines: bool, one: bool = False) -> bytes:
        """At most `count` bytes, when there are some; none at the end. `lines`: whole ones that fit, or only `one`."""
        if not self._rest:
            self._rest = await self._next()
        while lines and b"\n" not in self._rest and len(self._rest) < count and (more := await self._next()):
            self._rest += more
        size = min(count, len(self._rest))
        find = self._rest.find if one else self._rest.rfind
        if lines and (end := find(b"\n", 0, size)) >= 0:
            size = end + 1
        piece, self._rest = self._rest[:size], self._rest[size:]
        return piece

    async def close(self) -> None:
        """End the source."""
        await end_task(self._task)

    async def _next(self) -> bytes:
        piece = await self._pieces.get()
        if piece is None:
            self._pieces.put_nowait(None)
            if self._failure:
                raise self._failure
        return piece or b""

    async def _run(self) -> None:
        try:
            async with self._source() as pieces:
                self._began.set_result(None)
                async for piece in pieces:
                    if piece:
                        await self._pieces.put(piece)
        except NinepError as err:
            self._failure = err
            refuse(self._began, err)
        await self._pieces.put(None)


class OpenWaiting(OpenFile):
    """What comes is read once, in its order, when there is something; offsets mean nothing.

    A client that reads on has only what it asked for, or the end of a file, to know that it has read enough. So it is
    never given all that it asked for, but for a single byte, and then an end: it takes that for the end of the one read
    that its program is in, and its program sees what there is.
    """

    def __init__(self, node: Entry) -> None:
        super().__init__(node)
        self._reads_on = node.reads_on
        self._pauses = False

    async def read(self, offset: int, count: int) -> bytes:
        if self._pauses:
            self._pauses = False
            return b""
        piece = await self.take(count - 1 if self._reads_on and count > 1 else count)
        self._pauses = self._reads_on and len(piece) < count
        return piece

    async def take(self, count: int) -> bytes:
        """At most `count` bytes, when there are some; none at the end."""
        raise NotImplementedError


class OpenStream(OpenWaiting):
    """What a source gives."""

    def __init__(self, node: Entry, pump: Pump, *, lines: bool) -> None:
        super().__init__(node)
        self._pump = pump
        self._lines = lines

    async def take(self, count: int) -> bytes:
        """One line for a client that reads on: some shells go back in a file to what they did not need."""
        return await self._pump.take(count, lines=self._lines, one=self._reads_on)

    async def close(self) -> None:
        await self._pump.close()


def stream(source: Source, *, lines: bool = False) -> Make:
    """A file that is read as its source goes on; `lines`: each read gives whole lines."""

    async def opens(node: Entry, mode: OpenMode) -> OpenFile:
        pump = Pump(source)
        await pump.begun()
        return OpenStream(node, pump, lines=lines)

    return opened(READ, opens)


def awaited(show: Show) -> Make:
    """A text that is read once there is something to tell, from its opening on."""

    async def once() -> AsyncIterator[bytes]:
        yield (await show()).encode()

    @asynccontextmanager
    async def source() -> AsyncIterator[AsyncIterator[bytes]]:
        yield once()

    return stream(source)
