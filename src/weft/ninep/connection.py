"""One client's connection: bytes to requests, replies to bytes.

Nothing is read while replies are not fetched, or while there is more to do than one turn may take, so that a client is
served as the others are, however much it asks.
"""

import asyncio
import logging

from weft.ninep.codec import dump, find_tag, parse
from weft.ninep.cursor import Malformed
from weft.ninep.driving import Ended, begin
from weft.ninep.frames import Frames
from weft.ninep.limits import MIN_MSIZE, Limits
from weft.ninep.messages import VERSION, Reply, Rerror, Rversion, Tflush, Tversion
from weft.ninep.requests import Requests
from weft.ninep.session import Session

TURN = 16
"""Requests of one connection that are carried out before others get their turn."""
TOGETHER = 256 * 1024
"""Bytes of replies that are sent in one piece."""

logger = logging.getLogger(__name__)


class Connection(asyncio.BufferedProtocol):
    """`buffer` is where bytes arrive: it may be that of all connections of a loop, for each takes them out at once."""

    def __init__(self, session: Session, limits: Limits, buffer: bytearray) -> None:
        self._session = session
        self._limits = limits
        self._buffer = memoryview(buffer)
        self._frames = Frames(limits.msize)
        self._requests = Requests(session, limits.pending, self._reply)
        self._reset_task: asyncio.Task[None] | None = None
        self._replies: list[bytes] = []
        self._size = 0
        self._transport: asyncio.Transport | None = None
        self._agreed = self._resetting = self._stalled = self._turn_due = self._in_turn = False
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
        await self._requests.end()

    def _plan_turn(self) -> None:
        if not self._turn_due:
            self._turn_due = True
            asyncio.get_running_loop().call_soon(self._take_turn)

    def _take_turn(self) -> None:
        self._turn_due = False
        self._work()

    def _work(self) -> None:
        """Carry out what has come, but not more than is one's turn."""
        self._in_turn, problem = True, None
        try:
            done = self._work_some()
        except Malformed as err:
            done, problem = False, err
        self._in_turn = False
        self._send()
        if self._transport is not None:
            self._go_on(self._transport, done, problem)

    def _go_on(self, transport: asyncio.Transport, done: bool, problem: Malformed | None) -> None:
        """After a turn: read, or take another one, or hang up."""
        if problem is not None:
            logger.debug("a client is hung up on: %s", problem)
            transport.close()
        elif done:
            transport.resume_reading()
        else:
            transport.pause_reading()
            if not self._is_held_up:
                self._plan_turn()

    def _work_some(self) -> bool:
        """Whether all is done that has come. Raises Malformed where nothing that follows can be understood."""
        for _ in range(TURN):
            if self._is_held_up:
                return False
            frame = self._frames.take()
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
        if isinstance(message, Tversion):
            self._reset(tag, message)
        elif isinstance(message, Tflush):
            self._requests.flush(tag, message.oldtag)
        elif self._agreed:
            self._requests.start(tag, message)
        else:
            self._reply(tag, Rerror("no version was agreed on"))

    def _reset(self, tag: int, request: Tversion) -> None:
        """A version is the beginning of everything: what was before it is ended, and not answered any more."""
        self._resetting = True
        begun = begin(self._requests.end())
        if isinstance(begun, Ended):
            self._agree(tag, request)
            return
        self._reset_task = asyncio.get_running_loop().create_task(begun)
        self._reset_task.add_done_callback(lambda _: self._begin_anew(tag, request))

    def _begin_anew(self, tag: int, request: Tversion) -> None:
        self._reset_task = None
        self._agree(tag, request)
        self._plan_turn()

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
        """Sent at the end of the turn, with the others."""
        if self._resetting:
            return
        frame = self._dump(tag, reply)
        self._replies.append(frame)
        self._size += len(frame)
        if self._size > TOGETHER or not self._in_turn:
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
