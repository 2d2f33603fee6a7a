"""Machines that change their sizes by themselves: before a kernel kills a program it takes from its balloon."""

import asyncio
from contextlib import suppress

from weft.fabric.elastic.driving import count
from weft.fabric.elastic.granting import granted
from weft.fabric.elastic.scaling import Scaling
from weft.fabric.records.machine import MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.model.elastic import Resource
from weft.model.errors import WeftError
from weft.model.machine import State

PERIOD = 5.0
"""Seconds between two looks at a machine."""


class Tending:
    """Looks whether elastic machines of one room have what they were granted. They may take; the host notes it."""

    def __init__(self, site: Site, runs: Runs, scaling: Scaling, period: float = PERIOD) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._runs = runs
        self._scaling = scaling
        self._period = period
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def on_ready(self, machine: MachineRecord) -> None:
        """A machine runs, perhaps since before this daemon."""
        if machine.elastic is not None and machine.elastic.total is not None and machine.name not in self._tasks:
            self._tasks[machine.name] = self._site.tasks.start(self._tend(machine.name), f"tend-{machine.name}")

    async def on_end(self, machine: MachineRecord) -> None:
        """It has ended."""
        if task := self._tasks.pop(machine.name, None):
            task.cancel()

    async def _tend(self, name: str) -> None:
        while (machine := self._shelf.find(name)) is not None:
            with suppress(WeftError):  # one that is silent is looked at again
                if machine.state is State.RUNNING and await self._differs(machine):
                    await self._scaling.correct(name, Resource.MEMORY)
            await asyncio.sleep(self._period)

    async def _differs(self, machine: MachineRecord) -> bool:
        record, agent = machine.elastic, self._runs.find_agent(machine.name)
        if record is None or record.total is None or agent is None:
            return False
        return count(record.boot, record.total, await agent.facts()) != granted(machine, Resource.MEMORY)
