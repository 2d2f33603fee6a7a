"""The requests of one connection that are being carried out: their tags, which of them wait, and what ends them.

One that need not wait is answered at once. One that does is a task until it ends: others overtake it, and a flush
cancels it.
"""

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from typing import Any

from weft.ninep.cursor import Malformed
from weft.ninep.driving import Ended, begin
from weft.ninep.messages import Message, Reply, Rerror, Rflush
from weft.ninep.session import Session
from weft.ninep.words import INTERRUPTED, NinepError

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


class Requests:
    """`reply` gets a tag and what is to be answered to it. `limit`: how many may wait."""

    def __init__(self, session: Session, limit: int, reply: Callable[[int, Reply], None]) -> None:
        self._session = session
        self._limit = limit
        self._reply = reply
        self._waiting: dict[int, Waiting] = {}
        self._tasks: set[asyncio.Task[Reply]] = set()

    def start(self, tag: int, message: Message) -> None:
        """Carry it out, as far as it goes without waiting."""
        if problem := self._find_problem(tag, message):
            self._reply(tag, Rerror(problem))
            return
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

    def flush(self, tag: int, oldtag: int) -> None:
        """Answered when the old request has ended, which it is told to do at once: before, its tag is not free.

        A flush cannot be refused (flush(5)): one that makes no sense raises Malformed.
        """
        if tag in self._waiting:
            raise Malformed("the tag of a flush is in use")
        old = self._waiting.get(oldtag)
        if old is None:
            self._reply(tag, Rflush())
            return
        if len(self._waiting) >= 2 * self._limit:
            raise Malformed("too many flushes wait")
        flush = self._waiting[tag] = Waiting(tag)
        old.flushes.append(flush)
        old.cancel()

    async def end(self) -> None:
        """All of them, whatever they are at; then let go of all that the client has."""
        for waiting in self._waiting.values():
            waiting.cancel()
        while self._tasks:
            await asyncio.wait(self._tasks)
        self._waiting.clear()
        await self._session.clear()

    def _find_problem(self, tag: int, message: Message) -> str | None:
        if message.code % 2:
            return f"{type(message).__name__} is not a request"
        if tag in self._waiting:
            return "tag in use"
        if len(self._waiting) >= self._limit:
            return "too many requests at once"
        return None

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

    def _settle(self, waiting: Waiting, reply: Reply | None) -> None:
        """A request has ended: it is answered, and then those who flushed it are."""
        if self._waiting.get(waiting.tag) is waiting:
            del self._waiting[waiting.tag]
        if reply is not None:
            self._reply(waiting.tag, reply)
        for flush in waiting.flushes:
            self._settle(flush, Rflush())
