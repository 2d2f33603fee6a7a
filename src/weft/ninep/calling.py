"""The client's end of a connection: requests with tags, any number at a time, each with its own reply."""

import asyncio
import contextlib
import os
from typing import Any

from weft.ninep.codec import dump, parse
from weft.ninep.cursor import Malformed
from weft.ninep.frames import Frames
from weft.ninep.listening import UnixAddress, parse_dial
from weft.ninep.messages import VERSION, Reply, Request, Rerror, Tflush, Tversion
from weft.ninep.words import NO_TAG, NinepError

_READ = 64 * 1024


class Disconnected(NinepError):
    """There is nobody there, or not any more."""


class Caller:
    """Made by `open_caller`. `msize` is what was agreed on."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, msize: int) -> None:
        self.msize = msize
        self._reader = reader
        self._writer = writer
        self._frames = Frames(msize)
        self._replies: dict[int, asyncio.Future[Any]] = {}
        self._last_tag = 0
        self._lost: str | None = None
        self._receiving = asyncio.create_task(self._receive(), name="9p replies")
        self._flushing: set[asyncio.Task[None]] = set()

    async def agree(self) -> None:
        """Say which version is spoken, and how large messages may be. Raises NinepError."""
        reply = await self._call(NO_TAG, Tversion(self.msize, VERSION))
        if reply.version != VERSION:
            raise NinepError("the server does not speak 9P2000")
        self.msize = self._frames.limit = min(self.msize, reply.msize)

    async def call(self, request: Request, undo: Request | None = None) -> Any:
        """The reply. When cancelled, the request is flushed; if the server was faster, `undo` is sent behind it.
        Raises NinepError: the server's, or Disconnected.
        """
        return await self._call(self._find_tag(), request, undo)

    async def _call(self, tag: int, request: Request, undo: Request | None = None) -> Any:
        if self._lost is not None:
            raise Disconnected(self._lost)
        frame = dump(tag, request)
        reply: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._replies[tag] = reply
        try:
            self._writer.write(frame)
            await self._writer.drain()
            got = await asyncio.shield(reply)
        except asyncio.CancelledError:
            self._begin_flush(tag, reply, undo)
            raise
        except ConnectionError as err:
            self._lose(f"the connection is lost: {err}")
            raise Disconnected(str(self._lost)) from None
        self._replies.pop(tag, None)
        if isinstance(got, Rerror):
            raise NinepError(got.ename)
        if got.code != request.code + 1:
            raise NinepError(f"the server has answered {type(request).__name__} with {type(got).__name__}")
        return got

    def _find_tag(self) -> int:
        for _ in range(NO_TAG):
            self._last_tag = (self._last_tag + 1) % NO_TAG
            if self._last_tag not in self._replies:
                return self._last_tag
        raise NinepError("too many requests at once")

    def _begin_flush(self, tag: int, reply: asyncio.Future[Reply], undo: Request | None) -> None:
        """Nobody waits for the reply any more; the tag is in use until the server says that it is not (flush(5))."""
        task = asyncio.create_task(self._flush(tag, reply, undo), name="9p flush")
        self._flushing.add(task)
        task.add_done_callback(self._flushing.discard)

    async def _flush(self, tag: int, reply: asyncio.Future[Reply], undo: Request | None) -> None:
        with contextlib.suppress(NinepError):
            if not reply.done():
                await self._call(self._find_tag(), Tflush(tag))
            if undo is not None and reply.done() and not isinstance(reply.result(), Rerror):
                await self.call(undo)
        self._replies.pop(tag, None)

    async def _receive(self) -> None:
        try:
            while data := await self._reader.read(_READ):
                self._frames.feed(data)
                while (frame := self._frames.take()) is not None:
                    self._settle(*parse(frame))
            self._lose("the server has ended the connection")
        except (OSError, Malformed) as err:
            self._lose(f"the connection is lost: {err}")

    def _settle(self, tag: int, reply: Any) -> None:
        waiting = self._replies.get(tag)
        if waiting is not None and not waiting.done():
            waiting.set_result(reply)

    def _lose(self, reason: str) -> None:
        """Everybody who waits is told; the first reason is the one."""
        self._lost = self._lost or reason
        for waiting in self._replies.values():
            if not waiting.done():
                waiting.set_exception(Disconnected(self._lost))
                waiting.exception()  # who has waited for it may be gone
        self._replies.clear()
        self._writer.close()

    async def close(self) -> None:
        """Hang up. Requests that wait get Disconnected."""
        self._receiving.cancel()
        await asyncio.wait([self._receiving])
        self._lose("the connection was closed")
        if self._flushing:
            await asyncio.wait(self._flushing)
        with contextlib.suppress(OSError):
            await self._writer.wait_closed()


async def open_caller(dial: str, msize: int) -> Caller:
    """Connect to a dial string, and agree on a version. Raises NinepError."""
    address = parse_dial(dial)
    try:
        if isinstance(address, UnixAddress):
            reader, writer = await asyncio.open_unix_connection(address.path)
        else:
            reader, writer = await asyncio.open_connection(address.host, address.port)
    except OSError as err:
        known = err.errno if err.errno and err.errno > 0 else None  # asyncio has a text of its own; resolving, numbers
        raise Disconnected(f"{dial}: {os.strerror(known) if known else err.strerror or err}") from None
    caller = Caller(reader, writer, msize)
    try:
        await caller.agree()
    except BaseException:
        await caller.close()
        raise
    return caller
