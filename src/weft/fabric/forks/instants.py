"""What forks of one machine go on from. Many who ask at once share one capture, so the machine stands still once."""

import asyncio
import itertools
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from weft.fabric.forks.disks import DiskClones, find_written
from weft.fabric.moments.capturing import Capturing
from weft.fabric.moments.subject import Captured
from weft.fabric.site import Site
from weft.fabric.volumes import Volumes

FOLDER = "instants"
"""In a machine's folder: copies of its disks that its forks have yet to take."""


@dataclass(frozen=True, slots=True)
class Instant:
    """A machine's moment, and its disks at the same instant."""

    captured: Captured
    disks: DiskClones

    def close(self) -> None:
        """Nobody goes on from it any more."""
        self.captured.moment.close()
        self.disks.close()


@dataclass(slots=True)
class _Taking:
    task: "asyncio.Task[Instant]"
    users: int = 0


class Instants:
    """Takes instants of a room's machines."""

    def __init__(self, site: Site, capturing: Capturing, volumes: Volumes) -> None:
        self._site = site
        self._capturing = capturing
        self._volumes = volumes
        self._waiting: dict[str, _Taking] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._numbers = itertools.count(1)

    @asynccontextmanager
    async def take(self, name: str) -> AsyncIterator[Instant]:
        """What a machine is now, or a moment from now. Those who ask while a capture of it runs share the next one.

        Raises what capturing raises, and NoRoom, Unavailable for its disks.
        """
        taking = self._waiting.get(name)
        if taking is None:
            task = self._site.tasks.start(self._take(name), f"capture-{name}")
            taking = self._waiting[name] = _Taking(task)
        taking.users += 1
        try:
            yield await asyncio.shield(taking.task)
        finally:
            taking.users -= 1
            if not taking.users:
                self._give_up(name, taking)

    def _give_up(self, name: str, taking: _Taking) -> None:
        """Nobody wants it any more. One that has not begun is not taken; one that has is for nobody."""
        if self._waiting.get(name) is taking:
            del self._waiting[name]
            taking.task.cancel()
        if taking.task.done():
            _close(taking.task)
        else:
            taking.task.add_done_callback(_close)

    async def _take(self, name: str) -> Instant:
        async with self._locks[name]:
            del self._waiting[name]
            machine = self._site.shelves.machines.get(name)
            folder = self._site.layout.machine(name).folder / FOLDER / str(next(self._numbers))
            disks = DiskClones(folder, find_written(self._site, self._volumes, machine))
            try:
                captured = await self._capturing.capture([name], at_instant=disks.make)
            except BaseException:
                disks.close()
                raise
            return Instant(captured[name], disks)


def _close(task: "asyncio.Task[Instant]") -> None:
    if not task.cancelled() and task.exception() is None:
        task.result().close()
