"""Forking machines: many copies from one instant, each ready as itself before anybody is told of it."""

import asyncio
import time
from dataclasses import dataclass

from weft.fabric.forks.copies import Copies
from weft.fabric.forks.instants import Instant, Instants
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.model.errors import WeftError, WrongState
from weft.model.fork import ForkFailure, ForkSpec
from weft.model.machine import State
from weft.plan.forks import plan_names

AT_ONCE = 2
"""Copies that start at the same time, for each CPU of the host: more would only make each of them later."""


@dataclass(frozen=True, slots=True)
class Forked:
    """What came of a fork: names, what failed and why, and times in seconds."""

    names: list[str]
    failed: list[ForkFailure]
    pause: float
    disks: float
    took: float


class Forks:
    """Forks machines of a room."""

    def __init__(self, site: Site, copies: Copies, instants: Instants) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self.copies = copies
        self._instants = instants
        self._named: set[str] = set()
        self._starting = asyncio.Semaphore(AT_ONCE * site.facts.cpus)

    async def fork(self, name: str, wanted: ForkSpec) -> Forked:
        """Make copies of a machine that runs. Those that fail are taken back and told; the others stand.

        Raises NotFound, WrongState, Exists (a name), NoRoom and whatever capturing raises, with nothing left behind;
        and what the first copy failed of, when all have.
        """
        begin = time.monotonic()
        original = self._shelf.get(name)
        if original.state is not State.RUNNING or original.becoming:
            raise WrongState(f"machine {name!r} is {original.state}, not running", hint=f"weft start {name}")
        taken = {*self._named, *(machine.name for machine in self._shelf)}
        names = plan_names(name, wanted.name, wanted.count, taken)
        self._named |= set(names)
        try:
            copies = await self._make_all(original, names, wanted)
            instant, failed = await self._start_all(original, copies)
        finally:
            self._named -= set(names)
        if len(failed) == len(copies):
            raise failed[copies[0].name]
        stand = [copy.name for copy in copies if copy.name not in failed]
        self._site.events.publish("machine.forked", name, f"machine {name} was forked: {', '.join(stand)}")
        return Forked(
            names=stand,
            failed=[ForkFailure(name=one, code=err.code, message=err.message) for one, err in failed.items()],
            pause=instant.captured.pause,
            disks=instant.disks.took,
            took=time.monotonic() - begin,
        )

    async def _make_all(self, original: MachineRecord, names: list[str], wanted: ForkSpec) -> list[MachineRecord]:
        """All of them or none."""
        tasks = [asyncio.create_task(self.copies.make(original, name, wanted)) for name in names]
        try:
            return await asyncio.gather(*tasks)
        except BaseException:
            await asyncio.wait(tasks)
            await self._discard([task.result().name for task in tasks if not task.cancelled() and not task.exception()])
            raise

    async def _start_all(
        self, original: MachineRecord, copies: list[MachineRecord]
    ) -> tuple[Instant, dict[str, WeftError]]:
        """The instant they go on from, and why which of them do not; those are gone. Any other error takes all back."""
        failed: dict[str, WeftError] = {}
        try:
            async with self._instants.take(original.name) as instant:
                starts = [self._start(copy, original, instant) for copy in copies]
                for copy, err in zip(copies, await asyncio.gather(*starts), strict=True):
                    if err is not None:
                        failed[copy.name] = err
        except BaseException:
            await self._discard([copy.name for copy in copies])
            raise
        await self._discard(list(failed))
        return instant, failed

    async def _start(self, copy: MachineRecord, original: MachineRecord, instant: Instant) -> WeftError | None:
        async with self._starting:
            try:
                await self.copies.start(copy, original, instant)
            except WeftError as err:
                return err
        return None

    async def _discard(self, names: list[str]) -> None:
        await asyncio.gather(*(self.copies.discard(name) for name in names))
