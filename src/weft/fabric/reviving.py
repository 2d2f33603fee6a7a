"""Servers that somebody ends come back: at once, and later and later while they do not stay."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from typing import Protocol

from weft.fabric.site import Tasks
from weft.model.errors import WeftError
from weft.plan.restart import STEADY, plan_comeback

log = logging.getLogger(__name__)


class Server(Protocol):
    """What runs on its own, and is on record; it can be hashed."""

    @property
    def on_record(self) -> bool:
        """Whether it still is what is on record, be it there or not."""

    async def wait_end(self) -> None:
        """Until it is not there any more."""


class Reviving:
    """Watches servers of several places by name. `settle` makes those of a place what they are to be, under its lock,
    and raises a WeftError where it cannot; what it ends itself is not on record any more when it lets go of that.
    """

    def __init__(
        self,
        tasks: Tasks,
        what: str,
        locks: Mapping[str, asyncio.Lock],
        settle: Callable[[str], Awaitable[None]],
        *,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._tasks = tasks
        self._what = what
        self._locks = locks
        self._settle = settle
        self._sleep = sleep
        self._watched: set[Server] = set()
        self._reviving: dict[str, asyncio.Task[None]] = {}
        self._tries: dict[str, int] = {}

    def watch(self, place: str, servers: Iterable[Server]) -> None:
        """These run now."""
        for server in servers:
            if server not in self._watched:
                self._watched.add(server)
                self._tasks.start(self._await_end(place, server), f"{self._what}-{place}")

    def revive(self, place: str, *, lasted: float = 0.0) -> None:
        """Some are not there that ran for `lasted` seconds."""
        if place not in self._reviving:
            self._reviving[place] = self._tasks.start(self._revive(place, lasted), f"revive-{self._what}-{place}")

    def leave(self, place: str) -> None:
        """Nobody is to come back there for now."""
        if reviving := self._reviving.pop(place, None):
            reviving.cancel()

    async def _await_end(self, place: str, server: Server) -> None:
        began = time.monotonic()
        try:
            await server.wait_end()
        finally:
            self._watched.discard(server)
        async with self._locks[place]:
            on_record = server.on_record
        if on_record:
            self.revive(place, lasted=time.monotonic() - began)

    async def _revive(self, place: str, lasted: float) -> None:
        if lasted >= STEADY:
            self._tries.pop(place, None)
        try:
            while not await self._try(place):
                pass
        finally:
            if self._reviving.get(place) is asyncio.current_task():
                del self._reviving[place]

    async def _try(self, place: str) -> bool:
        tries = self._tries.get(place, 0)
        self._tries[place] = tries + 1
        await self._sleep(plan_comeback(tries))
        try:
            await self._settle(place)
        except WeftError as err:
            log.warning("%s of %s: %s", self._what, place, err)
            return False
        return True
