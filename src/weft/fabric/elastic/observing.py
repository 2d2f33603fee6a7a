"""Looking at one machine for the policy: its agent is asked, or, while that is silent, the host."""

from collections.abc import Callable
from contextlib import suppress
from os import sysconf
from pathlib import Path

from weft.fabric.elastic.driving import count
from weft.fabric.history.recording import Recording
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.guest.cpus import count_cpus
from weft.guest.facts import Facts
from weft.host.qemu import open_qmp
from weft.model.errors import WeftError
from weft.plan.boot import BALLOON
from weft.plan.elastic.samples import Sample

PATIENCE = 2.0
"""Seconds that a guest has to answer."""
POLLING = 2
"""Seconds between two times that a balloon's driver is asked what its kernel knows of memory."""
_MICRO = 1e-6
Clock = Callable[[], float]


class Observing:
    """Samples of machines of one room."""

    def __init__(self, site: Site, runs: Runs, recording: Recording) -> None:
        self._site = site
        self._runs = runs
        self._recording = recording

    async def look(self, machine: MachineRecord, clock: Clock) -> Sample | None:
        """What a machine does now; None when nobody can say. `clock` is that of the policy.

        A sample is of the time when it came: a guest that does not get to run answers late.
        """
        elastic = machine.elastic
        if elastic is None:
            return None
        if (agent := self._runs.find_agent(machine.name)) is not None:
            with suppress(WeftError):
                facts = await agent.facts(timeout=PATIENCE)
                self._recording.note(machine.name, facts)
                return read_sample(elastic, facts, clock())
        with suppress(WeftError, OSError, ValueError):
            return await self._look_from_outside(machine, elastic, clock)
        return None

    async def _look_from_outside(self, machine: MachineRecord, elastic: ElasticRecord, clock: Clock) -> Sample:
        """Its processors' threads, as the host counts them, and what its balloon's driver says."""
        qmp = await open_qmp(self._site.layout.machine(machine.name).qmp, timeout=PATIENCE)
        try:
            threads = await qmp.find_processor_threads()
            free, available = await qmp.read_balloon_stats(BALLOON, POLLING)
        finally:
            await qmp.close()
        stamp = machine.qemu or machine.monitor
        busy = _sum_times(stamp.pid, threads) if stamp else None
        return Sample(clock(), elastic.cpus, elastic.memory, busy, free=free, available=available, outside=True)


def read_sample(elastic: ElasticRecord, facts: Facts, now: float) -> Sample:
    """What a guest's own words come to. Who answers is not counted among those that run."""
    pressure = {what: facts.pressure.get((what, "some")) for what in ("cpu", "memory")}
    stalled = {what: one.total_us * _MICRO if one else None for what, one in pressure.items()}
    memory = count(elastic.boot, elastic.total, facts) if elastic.total else elastic.memory
    return Sample(
        at=now,
        cpus=count_cpus(facts.cpus_online) or elastic.cpus,
        memory=memory,
        busy=None if facts.cpu_busy_us is None else facts.cpu_busy_us * _MICRO,
        idle=None if facts.cpu_idle_us is None else facts.cpu_idle_us * _MICRO,
        running=max(0, facts.running - 1),
        cpu_stalled=stalled["cpu"],
        free=facts.memory_free,
        available=facts.memory_available if facts.memory_total else None,
        memory_stalled=stalled["memory"],
        oom_kills=facts.oom_kills,
    )


def _sum_times(pid: int, threads: list[int]) -> float:
    """Seconds that threads of a process have run; QEMU may know them by the numbers of a namespace of its own."""
    total, ticks = 0, sysconf("SC_CLK_TCK")
    for task in Path(f"/proc/{pid}/task").iterdir():
        if _inner_number(task) in threads:
            fields = (task / "stat").read_text().rpartition(")")[2].split()
            total += int(fields[11]) + int(fields[12])
    return total / ticks


def _inner_number(task: Path) -> int:
    for line in (task / "status").read_text().splitlines():
        if line.startswith("NSpid:"):
            return int(line.split()[-1])
    return int(task.name)
