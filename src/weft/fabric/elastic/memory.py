"""The lever for memory: a virtio-mem device for what is above the boot memory, the balloon for what is below it."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from weft.fabric.elastic.levers import APPLIED, Effective, Floor, Outcome
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.guest.facts import Facts
from weft.host.qemu import Qmp, open_qmp
from weft.model.elastic import ScaleState
from weft.model.errors import Unavailable
from weft.plan.boot import PLUG
from weft.plan.elastic.memory import BLOCK, Levers, MemoryLayout, find_floor, plan_levers

LOOK = 0.02
"""Seconds between two looks at what has been done."""
STILL = 5.0
"""Seconds without any change after which a guest is said not to do what it was asked."""


class MemoryLever:
    """Changes the memory of machines of one room."""

    def __init__(self, site: Site, runs: Runs) -> None:
        self._site = site
        self._runs = runs

    async def prepare(self, machine: MachineRecord) -> MachineRecord:
        """Has the balloon take what the machine has at boot beyond what it was granted."""
        record = _elastic(machine)
        facts = await self._ask(machine)
        await self.move(machine, record.memory, 2 * STILL)
        prepared: MachineRecord = machine.with_(elastic=record.with_(total=facts.memory_total))
        return prepared

    async def read(self, machine: MachineRecord) -> Effective:
        """By QEMU what is plugged and what the balloon leaves; by the guest what its kernel counts."""
        record = _elastic(machine)
        async with self._monitor(machine) as qmp:
            levers = await _read_levers(qmp, record)
        return Effective(qemu=levers.plugged + levers.left, guest=await self._read_guest(machine, record))

    async def find_floor(self, machine: MachineRecord) -> Floor:
        """What the guest uses, and headroom. Page cache is not counted as used."""
        record = _elastic(machine)
        facts = await self._ask(machine)
        least, used = find_floor(
            boot=record.boot,
            total=record.total or facts.memory_total,
            now=facts.memory_total,
            available=facts.memory_available,
            ballooned=facts.memory_ballooned,
        )
        return Floor(least, f"the guest uses {used >> 20} MiB and needs some headroom")

    async def move(self, machine: MachineRecord, size: int, seconds: float) -> Outcome:
        """On the way up the balloon comes first, for the kernel needs its boot memory to describe more; down last."""
        record = _elastic(machine)
        goal = plan_levers(MemoryLayout(record.boot, record.region), size)
        until = time.monotonic() + seconds
        async with self._monitor(machine) as qmp:
            now = await _read_levers(qmp, record)
            steps = [_plug, _inflate] if goal.plugged < now.plugged else [_inflate, _plug]
            for step in steps:
                await step(qmp, record, goal)
                if reason := await _await_goal(qmp, record, step, goal, until):
                    return Outcome(ScaleState.FAILED, reason)
        return APPLIED

    async def _read_guest(self, machine: MachineRecord, record: ElasticRecord) -> int | None:
        if record.total is None or self._runs.find_agent(machine.name) is None:
            return None
        facts = await self._ask(machine)
        return record.boot + facts.memory_total - record.total - facts.memory_ballooned

    async def _ask(self, machine: MachineRecord) -> Facts:
        agent = self._runs.find_agent(machine.name)
        if agent is None:
            raise Unavailable(f"the agent of machine {machine.name!r} does not answer")
        facts = await agent.facts()
        if not facts.memory_total:
            raise Unavailable("the guest does not say how much memory it has")
        return facts

    @asynccontextmanager
    async def _monitor(self, machine: MachineRecord) -> AsyncIterator[Qmp]:
        qmp = await open_qmp(self._site.layout.machine(machine.name).qmp)
        try:
            yield qmp
        finally:
            await qmp.close()


Step = Callable[[Qmp, ElasticRecord, Levers], Awaitable[None]]


async def _plug(qmp: Qmp, record: ElasticRecord, goal: Levers) -> None:
    if record.region:
        await qmp.request_memory(PLUG, goal.plugged)


async def _inflate(qmp: Qmp, record: ElasticRecord, goal: Levers) -> None:
    await qmp.set_balloon(goal.left)


async def _read_levers(qmp: Qmp, record: ElasticRecord) -> Levers:
    return Levers(await qmp.plugged_memory() if record.region else 0, await qmp.balloon())


async def _await_goal(qmp: Qmp, record: ElasticRecord, step: Step, goal: Levers, until: float) -> str:
    """Why the step did not come to its goal; empty: it did."""
    before, since = -1, time.monotonic()
    while True:
        levers = await _read_levers(qmp, record)
        now, wanted = (levers.plugged, goal.plugged) if step is _plug else (levers.left, goal.left)
        if abs(now - wanted) < BLOCK:
            return ""
        clock = time.monotonic()
        if now != before:
            before, since = now, clock
        if clock > min(until, since + STILL):
            return f"the guest has stopped at {(levers.plugged + levers.left) >> 20} MiB"
        await asyncio.sleep(LOOK)


def _elastic(machine: MachineRecord) -> ElasticRecord:
    assert machine.elastic is not None
    return machine.elastic
