"""The lever for memory: a virtio-mem device for what is above the boot memory, the balloon for what is below it."""

import time
from dataclasses import replace
from functools import partial

from weft.fabric.elastic.driving import PACE, Drive, count
from weft.fabric.elastic.levers import Effective, Floor, Outcome
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.guest.facts import Facts
from weft.guest.kernel_log import read_kernel_log
from weft.host.qemu import open_qmp
from weft.model.elastic import ScaleState
from weft.model.errors import Unavailable, WeftError
from weft.plan.elastic.memory import find_floor

DRIVERS = {"balloon": "virtio-balloon", "mem": "virtio-mem"}
"""What drivers a guest has by its word, and what they are of."""
WORDS = ("virtio_mem", "virtio_balloon")
"""What lines of a kernel's log are about memory that comes and goes."""
CHATTER = ("requested size", "plugged size")
"""What it says whenever it is asked for something."""
BROKEN = "marking device as broken"
"""What virtio-mem's driver says when it gives up."""


class MemoryLever:
    """Changes the memory of machines of one room."""

    def __init__(self, site: Site, runs: Runs) -> None:
        self._site = site
        self._runs = runs

    async def prepare(self, machine: MachineRecord) -> MachineRecord:
        """Has the balloon take what the machine has at boot beyond what it was granted, unless it uses that."""
        record = _elastic(machine)
        facts = await self._ask(machine)
        prepared: MachineRecord = machine.with_(elastic=record.with_(total=facts.memory_total))
        if record.boot <= record.memory and not record.region:
            return prepared
        if lack := _find_lack(record, facts):
            raise Unavailable(lack)
        outcome = await self.move(prepared, record.memory, 2 * PACE.still)
        if outcome.lost or outcome.state is ScaleState.FAILED:
            raise Unavailable(outcome.reason)
        return prepared

    async def read(self, machine: MachineRecord) -> Effective:
        """By QEMU what is plugged and what the balloon leaves; by the guest what its kernel counts."""
        drive = self._drive(machine, 0)
        try:
            levers = await drive.read()
        finally:
            await drive.close()
        return Effective(qemu=levers.size, guest=await self._read_guest(machine))

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
        """The guest's own words, where it has any, are the end of the reason."""
        began = time.monotonic()
        outcome = await self._drive(machine, seconds).to(size)
        return outcome if outcome.state is ScaleState.APPLIED else await self._explain(machine, outcome, began)

    def _drive(self, machine: MachineRecord, seconds: float) -> Drive:
        path = self._site.layout.machine(machine.name).qmp
        return Drive(
            _elastic(machine), partial(open_qmp, path), partial(self._ask, machine), time.monotonic() + seconds
        )

    async def _explain(self, machine: MachineRecord, outcome: Outcome, began: float) -> Outcome:
        """Whether it will be so for good, and what its kernel says."""
        try:
            if lack := _find_lack(_elastic(machine), await self._ask(machine)):
                return replace(outcome, reason=lack, lost=True)
            log = await read_kernel_log(self._agent(machine), time.monotonic() - began, WORDS)
        except WeftError:
            return outcome
        lines = [line for line in log if not any(words in line for words in CHATTER)]
        said = f": {lines[-1]}" if lines else ""
        return replace(outcome, reason=outcome.reason + said, lost=any(BROKEN in line for line in lines))

    async def _read_guest(self, machine: MachineRecord) -> int | None:
        record = _elastic(machine)
        if record.total is None or self._runs.find_agent(machine.name) is None:
            return None
        return count(record.boot, record.total, await self._ask(machine))

    def _agent(self, machine: MachineRecord) -> Agent:
        agent = self._runs.find_agent(machine.name)
        if agent is None:
            raise Unavailable(f"the agent of machine {machine.name!r} does not answer")
        return agent

    async def _ask(self, machine: MachineRecord) -> Facts:
        facts = await self._agent(machine).facts()
        if not facts.memory_total:
            raise Unavailable("the guest does not say how much memory it has")
        return facts


def _find_lack(record: ElasticRecord, facts: Facts) -> str:
    """Which driver a guest has not; empty: none is missing, or it does not say."""
    wanted = ["balloon", "mem"] if record.region else ["balloon"]
    lacks = [DRIVERS[name] for name in wanted if name not in (facts.memory_drivers or wanted)]
    return f"its kernel has no driver at work for {' and '.join(lacks)}" if lacks else ""


def _elastic(machine: MachineRecord) -> ElasticRecord:
    assert machine.elastic is not None
    return machine.elastic
