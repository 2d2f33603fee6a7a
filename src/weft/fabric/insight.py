"""Looking into machines that run: what they use, and what runs in them."""

import asyncio
import time
from collections.abc import Mapping, Sequence

from weft.fabric.history.recording import Recording
from weft.fabric.pins import Pins
from weft.fabric.records.machine import MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.guest.facts import Facts
from weft.guest.processes import parse_processes
from weft.host.cgroup import Usage
from weft.host.links import Traffic
from weft.host.usage import AdditionalMemory, ProcessUsage, find_usage
from weft.model.errors import Unavailable, WeftError, WrongState
from weft.model.stats import NicStats, ProcessView, StatsView
from weft.plan.forgeries import Counts
from weft.plan.linknames import bridge_side_name, tap_name

Forged = Mapping[str, Counts]

_PATIENCE = 2.0
"""Seconds a guest has to say what it uses; a table is not to wait for one that hangs."""


class Insight:
    """Questions to running machines and to the host about them."""

    def __init__(self, site: Site, runs: Runs, pins: Pins, recording: Recording) -> None:
        self._site = site
        self._pins = pins
        self._recording = recording
        self._runs = runs
        self._additional = AdditionalMemory(time.monotonic)

    async def stats(self, names: Sequence[str]) -> list[StatsView]:
        """What these machines use, or all that run. Raises NotFound, and WrongState for one that does not run."""
        shelf = self._site.shelves.machines
        machines = [shelf.get(name) for name in names] or sorted(shelf, key=lambda machine: machine.created)
        live = [machine for machine in machines if machine.state.is_live]
        for machine in machines if names else ():
            if not machine.state.is_live:
                raise WrongState(f"machine {machine.name!r} is {machine.state}, not running")
        traffic, forged = await asyncio.gather(self._site.links.count_traffic(), self._pins.count_forged())
        return list(await asyncio.gather(*(self._look(machine, traffic, forged) for machine in live)))

    async def processes(self, name: str) -> list[ProcessView]:
        """What runs in a machine, but for its kernel's own threads."""
        agent = await self._runs.reach(name)
        async with await agent.exec(["processes"], builtin=True) as process:
            status, out, complaints = await process.collect()
        if status.shell_code:
            raise Unavailable(f"machine {name!r}: {complaints.decode(errors='replace').strip() or 'no answer'}")
        return parse_processes(out)

    async def _look(self, machine: MachineRecord, traffic: Mapping[str, Traffic], forged: Forged) -> StatsView:
        facts = await self._ask(machine.name)
        stamp = machine.qemu or machine.monitor
        usage = find_usage(stamp.pid) if stamp else None
        group = self._site.cgroups.group(machine.group_name).usage()
        return StatsView(
            name=machine.name,
            time=self._site.clock(),
            cpus=machine.granted_cpus,
            cpu_seconds=_find_cpu(group, usage),
            resident=usage.resident if usage else None,
            additional=await self._additional.find(stamp.id) if stamp else None,
            memory_total=facts.memory_own if facts else None,
            memory_used=facts.memory_used if facts else None,
            processes=facts.processes if facts else None,
            read_bytes=usage.read_bytes if usage else None,
            written_bytes=usage.written_bytes if usage else None,
            nics=list(_count_nics(machine, traffic, forged)),
        )

    async def _ask(self, name: str) -> Facts | None:
        try:
            facts = await self._runs.agent(name).facts(timeout=_PATIENCE)
        except WeftError:
            return None
        self._recording.note(name, facts)
        return facts


def _find_cpu(group: Usage | None, process: ProcessUsage | None) -> float | None:
    """The group also counts what is around QEMU; where nobody counts for it, QEMU's own time has to do."""
    if group is not None and group.cpu_seconds > 0:
        return group.cpu_seconds
    return process.cpu_seconds if process else None


def _count_nics(machine: MachineRecord, traffic: Mapping[str, Traffic], forged: Forged) -> list[NicStats]:
    """What the tap has sent is what the machine has received."""
    return [
        NicStats(
            nic=number,
            network=nic.network,
            received=link.sent,
            sent=link.received,
            forged=sum(forged.get(bridge_side_name(machine.slot, number), {}).values()),
        )
        for number, nic in enumerate(machine.nics)
        if (link := traffic.get(tap_name(machine.slot, number)))
    ]
