"""The lever for processors: all are there and the guest switches them, or they come and go by hot-plug."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial

from weft.fabric.elastic.levers import Effective, Floor, Outcome
from weft.fabric.elastic.plugging import count_processors, replug
from weft.fabric.elastic.switching import Switched, Switching
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.guest.cpus import count_cpus
from weft.host.qemu import Qmp, open_qmp
from weft.model.elastic import CpuMode, ScaleState
from weft.model.errors import Unavailable

log = logging.getLogger(__name__)

PREPARE = 5.0
"""Seconds that a machine which has just booted has to switch processors."""
MONITOR = 15.0
"""Seconds to wait for QEMU's monitor, which somebody else may be talking to."""


class CpuLever:
    """Changes the processors of machines of one room.

    What enforces their number is the quota of the machine's control group; a guest that plays along knows it.
    """

    def __init__(self, site: Site, runs: Runs) -> None:
        self._site = site
        self._runs = runs
        self._switching = Switching()

    async def prepare(self, machine: MachineRecord) -> MachineRecord:
        """Has the guest use as many as it was granted. Raises Unavailable when it can never change that."""
        record = _elastic(machine)
        if record.mode is not CpuMode.FIXED:
            outcome = await self.move(machine, record.cpus, PREPARE)
            if outcome.lost:
                raise Unavailable(outcome.reason)
            if outcome.state is not ScaleState.APPLIED:
                log.warning("machine %s has not %d cpus: %s", machine.name, record.cpus, outcome.reason)
        return machine

    async def read(self, machine: MachineRecord) -> Effective:
        """By QEMU those that are plugged: which of parked ones are in use it cannot say. By the guest those online."""
        record = _elastic(machine)
        qemu = record.cpus if record.mode is CpuMode.FIXED else None
        if record.mode is CpuMode.HOTPLUG:
            async with self._monitor(machine) as qmp:
                qemu = await count_processors(qmp)
        agent = self._runs.find_agent(machine.name)
        facts = await agent.facts() if agent else None
        return Effective(qemu=qemu, guest=count_cpus(facts.cpus_online) if facts else None)

    async def find_floor(self, machine: MachineRecord) -> Floor:
        """Any guest can do with one; which of them cannot go only trying tells."""
        return Floor(1)

    async def move(self, machine: MachineRecord, size: int, seconds: float) -> Outcome:
        """Have the guest use so many."""
        switch = partial(self._switch, machine.name)
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                if _elastic(machine).mode is CpuMode.HOTPLUG:
                    return await replug(partial(self._monitor, machine), switch, size)
                return (await switch(size)).judge(size)
        except TimeoutError:
            return Outcome(ScaleState.FAILED, "the guest did not come to an end with it in time")

    async def _switch(self, name: str, wanted: int | None) -> Switched:
        agent = self._runs.find_agent(name)
        if agent is None:
            raise Unavailable(f"the agent of machine {name!r} does not answer")
        return await self._switching.switch(name, agent, wanted)

    @asynccontextmanager
    async def _monitor(self, machine: MachineRecord) -> AsyncIterator[Qmp]:
        qmp = await open_qmp(self._site.layout.machine(machine.name).qmp, timeout=MONITOR)
        try:
            yield qmp
        finally:
            await qmp.close()


def _elastic(machine: MachineRecord) -> ElasticRecord:
    assert machine.elastic is not None
    return machine.elastic
