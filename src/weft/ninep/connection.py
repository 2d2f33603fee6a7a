"""One client's connection: bytes to requests, requests to replies, and which of them wait.

A request that need not wait is answered at once. One that does is a task until it ends: others overtake it, and a flush
cancels it. Nothing is read while replies are not fetched, or while there is more to do than one turn may take, so that
a client is served as the others are, however much it asks.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from weft.ninep.codec import dump, find_tag, parse
from weft.ninep.cursor import Malformed
from weft.ninep.driving import Ended, begin
from weft.ninep.frames import Frames
from weft.ninep.limits import MIN_MSIZE, Limits
from weft.ninep.messages import VERSION, Message, Reply, Rerror, Rflush, Rversion, Tflush, Tversion
from weft.ninep.session import Session
from weft.ninep.words import NinepError

TURN = 16
"""Requests of one connection that are carried out before others get their turn."""
TOGETHER = 256 * 1024
"""Bytes of replies that are sent in one piece."""
INTERRUPTED = "interrupted"

logger = logging.getLogger(__name__)


class Waiting:
    """A request that was not answered at once; `flushes` are those who want to know when it has ended."""

    def __init__(self, tag: int, cancel: Callable[[], object] | None = None) -> None:
        self.tag = tag
        self.flushes: list[Waiting] = []
        self._cancel = cancel

    def cancel(self) -> None:
        """Once: what it does in the end is not to be interrupted."""
        if self._cancel is not None:
            # Behind the first step of its task, before which it could not let go of what it holds.
            asyncio.get_running_loop().call_soon(self._cancel)
            self._cancel = None

    @property
    def cancelled(self) -> bool:
        return self._cancel is None


class Connection(asyncio.BufferedProtocol):
    """`buffer` is where bytes arrive: it may be that of all connections of a loop, for each takes them out at once."""

    def __init__(self, session: Session, limits: Limits, buffer: bytearray) -> None:
        self._session = session
        self._limits = limits
        self._buffer = memoryview(buffer)
        self._frames = Frames(limits.msize)
        self._waiting: dict[int, Waiting] = {}
        self._tasks: set[asyncio.Task[Reply]] = set()
        self._reset_task: asyncio.Task[None] | None = None
        self._replies: list[bytes] = []
        self._size = 0
        self._transport: asyncio.Transport | None = None
        self._agreed = self._resetting = self._stalled = self._turn_due = False
        self.lost = asyncio.Event()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        self._transport = None
        self.lost.set()

    def get_buffer(self, sizehint: int) -> memoryview:
        return self._buffer

    def buffer_updated(self, nbytes: int) -> None:
        self._frames.feed(bytes(self._buffer[:nbytes]))
        if not self._turn_due:
            self._work()

    def pause_writing(self) -> None:
        self._stalled = True

    def resume_writing(self) -> None:
        self._stalled = False
        self._plan_turn()

    async def clean(self) -> None:
        """End the connection and what waits, and let go of everything."""
        if self._transport is not None:
            self._transport.abort()
        if self._reset_task is not None:
            await asyncio.wait([self._reset_task])
        await self._end_all()

    def _plan_turn(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_due = False
        self._work()

    def _work(self) -> None:
        """Carry out what has come, but not more than is one's turn."""
        done = self._work_some()
        self._send()
        if self._transport is None:
            return
        if done:
            self._transport.resume_reading()
        else:
            self._transport.pause_reading()
            if not self._is_held_up:
                self._plan_turn()

    def _work_some(self) -> bool:
        """Whether all is done that has come."""
        for _ in range(TURN):
            if self._is_held_up:
                return False
            try:
                frame = self._frames.take()
            except Malformed as err:
                self._hang_up(err.text)
                return False
            if frame is None:
                return True
            self._receive(frame)
        return False

    @property
    def _is_held_up(self) -> bool:
        """Whether nothing is to be begun now: replies are not fetched, or all that was begun is being ended."""
        return self._stalled or self._resetting or self._transport is None or self._transport.is_closing()

    def _receive(self, frame: bytes) -> None:
        try:
            tag, message = parse(frame)
        except Malformed as err:
            self._reply(find_tag(frame), Rerror(err.text))
            return
        if isinstance(message, Tflush):
            self._flush(tag, message.oldtag)
        elif isinstance(message, Tversion):
            self._reset(tag, message)
        elif problem := self._find_problem(tag, message):
            self._reply(tag, Rerror(problem))
        else:
            self._start(tag, message)

    def _find_problem(self, tag: int, message: Message) -> str | None:
        if message.code % 2:
            return f"{type(message).__name__} is not a request"
        if not self._agreed:
            return "no version was agreed on"
        if tag in self._waiting:
            return "tag in use"
        if len(self._waiting) >= self._limits.pending:
            return "too many requests at once"
        return None

    def _start(self, tag: int, message: Any) -> None:
        try:
            begun = begin(self._answer(message))
        except asyncio.CancelledError:
            begun = Ended(Rerror(INTERRUPTED))
        if isinstance(begun, Ended):
            self._reply(tag, begun.value)
            return
        task = asyncio.get_running_loop().create_task(begun)
        waiting = self._waiting[tag] = Waiting(tag, task.cancel)
        self._tasks.add(task)
        task.add_done_callback(partial(self._end, waiting))

    async def _answer(self, message: Any) -> Reply:
        """What the client gets in any case, unless it has asked no longer."""
        try:
            return await self._session.carry(message)
        except NinepError as err:
            return Rerror(err.text)
        except Exception:
            logger.exception("%s could not be carried out", type(message).__name__)
            return Rerror("internal error")

    def _end(self, waiting: Waiting, task: asyncio.Task[Reply]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            self._settle(waiting, task.result())
        else:
            self._settle(waiting, None if waiting.cancelled else Rerror(INTERRUPTED))
        self._send()

    def _settle(self, waiting: Waiting, reply: Reply | None) -> None:
        """A request has ended: it is answered, and then those who flushed it are."""
        if self._waiting.get(waiting.tag) is waiting:
            del self._waiting[waiting.tag]
        if reply is not None:
            self._reply(waiting.tag, reply)
        for flush in waiting.flushes:
            self._settle(flush, Rflush())

    def _flush(self, tag: int, oldtag: int) -> None:
        """Answered when the old request has ended, which it is told to do at once: before, its tag is not free.

        A flush cannot be refused (flush(5)), so one that makes no sense ends the connection.
        """
        old = self._waiting.get(oldtag)
        if old is None:
            self._reply(tag, Rflush())
        elif tag in self._waiting or len(self._waiting) >= 2 * self._limits.pending:
            self._hang_up("the tag of a flush is in use, or there are too many")
        else:
            flush = self._waiting[tag] = Waiting(tag)
            old.flushes.append(flush)
            old.cancel()

    def _reset(self, tag: int, request: Tversion) -> None:
        """A version is the beginning of everything: what was before it is ended, and not answered any more."""
        self._resetting = True
        begun = begin(self._end_all())
        if isinstance(begun, Ended):
            self._agree(tag, request)
            return
        self._reset_task = asyncio.get_running_loop().create_task(begun)
        self._reset_task.add_done_callback(lambda _: self._begin_anew(tag, request))

    def _begin_anew(self, tag: int, request: Tversion) -> None:
        self._reset_task = None
        self._agree(tag, request)
        self._plan_turn()

    async def _end_all(self) -> None:
        for waiting in self._waiting.values():
            waiting.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._waiting.clear()
        await self._session.clear()

    def _agree(self, tag: int, request: Tversion) -> None:
        self._resetting = False
        msize = min(request.msize, self._limits.msize)
        self._agreed = request.version.partition(".")[0] == VERSION and msize >= MIN_MSIZE
        if self._agreed:
            self._session.msize = self._frames.limit = msize
            self._reply(tag, Rversion(msize, VERSION))
        elif msize < MIN_MSIZE:
            self._reply(tag, Rerror(f"msize is too small, {MIN_MSIZE} at least"))
        else:
            self._reply(tag, Rversion(msize, "unknown"))

    def _reply(self, tag: int, reply: Reply) -> None:
        if self._resetting:
            return
        frame = self._dump(tag, reply)
        self._replies.append(frame)
        self._size += len(frame)
        if self._size > TOGETHER:
            self._send()

    def _dump(self, tag: int, reply: Reply) -> bytes:
        try:
            frame = dump(tag, reply)
        except Malformed as err:
            return dump(tag, Rerror(err.text))
        if len(frame) > max(self._session.msize, MIN_MSIZE):
            return dump(tag, Rerror("the reply is larger than a message may be"))
        return frame

    def _send(self) -> None:
        if self._replies and self._transport is not None and not self._transport.is_closing():
            self._transport.writelines(self._replies)
        self._replies.clear()
        self._size = 0

    def _hang_up(self, reason: str) -> None:
        logger.debug("a client is hung up on: %s", reason)
        self._send()
        if self._transport is not None:
            self._transport.close()
