"""The history of a room's machines: a look at each every ten seconds, by the host's numbers alone.

Guests are not asked, for an idle one is to sleep: what it says of itself is noted when somebody else has asked it.
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from weft.fabric.history.files import load_ring, write_pieces
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.guest.facts import Facts
from weft.host.links import Traffic
from weft.host.usage import find_usage
from weft.model.errors import Invalid, WeftError
from weft.model.history import HistoryEvent, HistoryView
from weft.plan.history import SHAPES, History, find_size_changes
from weft.plan.linknames import tap_name

STEP = float(SHAPES[0][0])
_TOLD = ("machine.ready", "machine.ended", "machine.suspended", "machine.resumed", "machine.restored", "machine.scale")
"""Beginnings of the kinds of events that are part of a history."""


@dataclass(slots=True)
class _Kept:
    """The history of the machine with this id; `noted`: what its guest said last, and when."""

    uuid: str
    history: History = field(default_factory=History)
    noted: tuple[float, Facts] | None = None


class Recording:
    """Keeps the histories."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._kept: dict[str, _Kept] = {}

    async def keep(self) -> None:
        """Look at all machines that run, for ever; at the end write down what there is."""
        try:
            while True:
                await self.look()
                # In the middle of each step, so that none is passed over.
                await asyncio.sleep(STEP - (self._site.clock() - STEP / 2) % STEP)
        finally:
            self._write(None)

    async def look(self) -> None:
        """Look at each machine that runs once, and write down the steps that are over."""
        machines = [machine for machine in self._site.shelves.machines if not machine.template]
        live = [machine for machine in machines if machine.state.is_live]
        traffic = await self._count_traffic() if live else {}
        for machine in live:
            self._look_at(machine, traffic)
            await asyncio.sleep(0)  # a hundred machines are not to hold up a heart
        self._forget({machine.uuid for machine in machines})
        self._write(self._site.clock())

    def note(self, name: str, facts: Facts) -> None:
        """A guest was asked, and has said this of itself."""
        machine = self._site.shelves.machines.find(name)
        if machine is None or machine.template:
            return
        kept, now = self._open(machine), self._site.clock()
        kept.noted = (now, facts)
        kept.history.note(now, _read_levels(facts))

    def find_noted(self, name: str, *, within: float) -> Facts | None:
        """What a guest has said of itself within so many seconds, if it has."""
        kept = self._kept.get(name)
        if kept is None or kept.noted is None or self._site.clock() - kept.noted[0] > within:
            return None
        return kept.noted[1]

    def view(self, name: str, since: float, until: float) -> HistoryView:
        """What a machine used between two times, of which the second is now at the latest.

        Raises NotFound, and Invalid for times that are not in order.
        """
        until = min(until, self._site.clock())
        if since >= until:
            raise Invalid("a history begins before it ends, and before now")
        history = self._open(self._site.shelves.machines.get(name)).history
        points = history.points(since, until)
        return HistoryView(
            name=name,
            since=since,
            until=until,
            points=points,
            changes=find_size_changes(points),
            events=[
                HistoryEvent(time=event.time, kind=event.kind, text=event.text)
                for event in self._site.events.since(0)
                if event.subject == name and event.kind.startswith(_TOLD) and since <= event.time <= until
            ],
        )

    async def _count_traffic(self) -> Mapping[str, Traffic]:
        try:
            return await self._site.links.count_traffic()
        except WeftError:
            return {}

    def _look_at(self, machine: MachineRecord, traffic: Mapping[str, Traffic]) -> None:
        stamp = machine.qemu or machine.monitor
        usage = find_usage(stamp.pid) if stamp else None
        if usage is None:
            return
        history, now = self._open(machine).history, self._site.clock()
        seconds = self._site.cgroups.group(machine.group_name).cpu_seconds() or usage.cpu_seconds
        counters = {"cpu": seconds, "read": usage.read_bytes, "written": usage.written_bytes}
        counters |= _sum_traffic(machine, traffic)
        history.count(now, machine.started, {key: value for key, value in counters.items() if value is not None})
        granted = {"cpus": machine.granted_cpus, "memory_granted": machine.granted_memory}
        history.note(now, {"resident": usage.resident, **granted})

    def _open(self, machine: MachineRecord) -> _Kept:
        kept = self._kept.get(machine.name)
        if kept is None or kept.uuid != machine.uuid:
            kept = self._kept[machine.name] = _Kept(machine.uuid)
            load_ring(self._site.layout.machine(machine.name).history, kept.history.lasting)
        return kept

    def _forget(self, present: set[str]) -> None:
        self._kept = {name: kept for name, kept in self._kept.items() if kept.uuid in present}

    def _write(self, now: float | None) -> None:
        """The steps that are over; with None the one that goes on, too."""
        for name, kept in self._kept.items():
            ring = kept.history.lasting
            if pieces := ring.take_finished(now):
                with suppress(OSError):  # a full disk costs history, and nothing else
                    write_pieces(self._site.layout.machine(name).history, ring, pieces)


def _sum_traffic(machine: MachineRecord, traffic: Mapping[str, Traffic]) -> dict[str, int]:
    """What taps have sent is what the machine has received."""
    found = [link for number in range(len(machine.nics)) if (link := traffic.get(tap_name(machine.slot, number)))]
    return {"received": sum(link.sent for link in found), "sent": sum(link.received for link in found)} if found else {}


def _read_levels(facts: Facts) -> dict[str, float]:
    levels: dict[str, float] = {}
    if facts.memory_total:
        levels["memory_total"] = facts.memory_own
        levels["memory_used"] = facts.memory_used
    for what in ("cpu", "memory", "io"):
        if (pressure := facts.pressure.get((what, "some"))) is not None:
            levels[f"{what}_pressure"] = pressure.avg10
    return levels
