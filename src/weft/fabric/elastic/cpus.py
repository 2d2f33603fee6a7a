"""The lever for processors: the guest brings them on- and offline; by hot-plug QEMU makes and removes them as well."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from weft.fabric.elastic.levers import APPLIED, Effective, Floor, Outcome
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.guest.cpus import Processors, count_cpus, cpus_argv, parse_processors
from weft.guest.streams import ExecStream
from weft.host.qemu import Qmp, open_qmp
from weft.model.elastic import CpuMode, ScaleState
from weft.model.errors import NotFound, Unavailable, WeftError

log = logging.getLogger(__name__)

DONE, INCOMPLETE = 0, 1
"""How the guest's tool ends when it could do all or some of it."""
PREPARE = 5.0
"""Seconds that a machine which has just booted has to switch processors."""
MOST_BYTES = 4096


class CpuLever:
    """Changes the processors of machines of one room.

    What enforces their number is the quota of the machine's control group; a guest that plays along knows it.
    """

    def __init__(self, site: Site, runs: Runs) -> None:
        self._site = site
        self._runs = runs
        self._tools: dict[str, ExecStream] = {}

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
        qemu = None
        if _elastic(machine).mode is not CpuMode.PARKED:
            async with self._monitor(machine) as qmp:
                qemu = await qmp.count_processors()
        agent = self._runs.find_agent(machine.name)
        facts = await agent.facts() if agent else None
        return Effective(qemu=qemu, guest=count_cpus(facts.cpus_online) if facts else None)

    async def find_floor(self, machine: MachineRecord) -> Floor:
        """Any guest can do with one; which of them cannot go only trying tells."""
        return Floor(1)

    async def move(self, machine: MachineRecord, size: int, seconds: float) -> Outcome:
        """Have the guest use so many."""
        try:
            async with asyncio.timeout(max(0.0, seconds)):
                return await self._switch(machine, size)
        except TimeoutError:
            return Outcome(ScaleState.FAILED, "the guest did not come to an end with it in time")

    async def _switch(self, machine: MachineRecord, wanted: int) -> Outcome:
        """A guest that is still at work on the last wish gets the next one after that."""
        if earlier := self._tools.get(machine.name):
            with suppress(WeftError):
                await earlier.wait()
        try:
            processors, complaint = await self._run(machine.name, wanted)
        except NotFound:
            return Outcome(
                ScaleState.FAILED, "its init is of an earlier version and cannot switch processors", lost=True
            )
        if processors is None:
            return Outcome(ScaleState.FAILED, f"the guest cannot switch processors: {complaint}", lost=True)
        if processors.online == wanted:
            return APPLIED
        if wanted > processors.present:
            complaint = f"its kernel knows of {processors.present} only"
        return Outcome(ScaleState.REFUSED, f"the guest uses {processors.online} processors: {complaint}")

    async def _run(self, name: str, wanted: int) -> tuple[Processors | None, str]:
        """What the guest's tool says, None when it can do nothing; and the last of its complaints.

        A tool that does not come to an end is left to itself: the kernel may be at it.
        """
        tool = await self._agent(name).exec(cpus_argv(wanted), builtin=True)
        self._tools[name] = tool
        said = {"stdout": bytearray(), "stderr": bytearray()}
        try:
            async for stream, data in tool:
                said[stream] += data
                del said[stream][:-MOST_BYTES]
            status = await tool.wait()
        finally:
            tool.abandon()
        complaint = said["stderr"].decode(errors="replace").strip().splitlines()[-1:] or ["it does not say why"]
        could = status.shell_code in (DONE, INCOMPLETE)
        return parse_processors(bytes(said["stdout"])) if could else None, complaint[0].removeprefix("cpus: ")

    def _agent(self, name: str) -> Agent:
        agent = self._runs.find_agent(name)
        if agent is None:
            raise Unavailable(f"the agent of machine {name!r} does not answer")
        return agent

    @asynccontextmanager
    async def _monitor(self, machine: MachineRecord) -> AsyncIterator[Qmp]:
        qmp = await open_qmp(self._site.layout.machine(machine.name).qmp)
        try:
            yield qmp
        finally:
            await qmp.close()


def _elastic(machine: MachineRecord) -> ElasticRecord:
    assert machine.elastic is not None
    return machine.elastic
