"""What can be measured of all machines at one time, within a bounded time, for those who collect numbers."""

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field

from weft.fabric.fabric import Fabric
from weft.fabric.records.machine import MachineRecord
from weft.fabric.room import Room
from weft.guest.facts import Facts
from weft.host.links import Traffic
from weft.host.pids import ProcessId
from weft.host.usage import AdditionalMemory, ProcessUsage, find_usage
from weft.model.errors import WeftError
from weft.model.machine import State
from weft.plan.health import Status
from weft.plan.linknames import tap_name

PATIENCE = 1.0
"""Seconds a guest has to say what it uses."""
FRESH = 5.0
"""Seconds for which it is not asked again."""
WALKING = 0.25
"""Seconds for looking at the pages of machines; those that it does not suffice for are first the next time."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A machine; `facts` are the guest's own, and None when it was not asked or was silent. `traffic` by NIC, as the
    host sees it: what a tap has sent, the machine has received.
    """

    machine: MachineRecord
    usage: ProcessUsage | None = None
    cpu_seconds: float | None = None
    additional: int | None = None
    facts: Facts | None = None
    traffic: Mapping[int, Traffic] = field(default_factory=dict)
    healthy: bool | None = None


@dataclass(frozen=True, slots=True)
class RoomReading:
    """A room and its machines; `cpu_seconds` are those of all it has had since the group of its machines was made."""

    name: str
    is_open: bool
    machines: tuple[Reading, ...] = ()
    cpu_seconds: float | None = None
    inserts: Mapping[str, int] = field(default_factory=dict)


class Metering:
    """Measures the machines of all rooms."""

    def __init__(self, fabric: Fabric, clock: Callable[[], float] = time.monotonic) -> None:
        self._fabric = fabric
        self._costs = _Costs(clock)

    async def read(self, *, ask: bool) -> list[RoomReading]:
        """All rooms; with `ask`, guests say what only they know, and those that are idle wake up for it."""
        rooms = list(self._fabric.rooms)
        await self._costs.renew(stamp.id for room in rooms for one in _live(room) if (stamp := one.qemu or one.monitor))
        found = await asyncio.gather(*(self._read_room(room, ask) for room in rooms))
        names = {reading.name for reading in found}
        return [
            *found,
            *(RoomReading(one.name, False) for one in self._fabric.rooms.records() if one.name not in names),
        ]

    async def _read_room(self, room: Room, ask: bool) -> RoomReading:
        site = room.site
        traffic, facts = await asyncio.gather(_count_traffic(room), _ask_all(room, ask))
        inserts: dict[str, int] = {}
        for insert in site.shelves.inserts:
            inserts[insert.state] = inserts.get(insert.state, 0) + 1
        return RoomReading(
            name=site.room,
            is_open=True,
            machines=tuple(self._read(room, machine, traffic, facts) for machine in site.shelves.machines),
            cpu_seconds=site.cgroups.cpu_seconds() or None,  # zero where nobody counts
            inserts=inserts,
        )

    def _read(
        self, room: Room, machine: MachineRecord, traffic: Mapping[str, Traffic], facts: Mapping[str, Facts]
    ) -> Reading:
        stamp = (machine.qemu or machine.monitor) if machine.state.is_live else None
        usage = find_usage(stamp.pid) if stamp else None
        if stamp is None or usage is None:
            return Reading(machine)
        health = room.checks.view(machine.name)
        taps = {number: tap_name(machine.slot, number) for number in range(len(machine.nics))}
        return Reading(
            machine,
            usage=usage,
            cpu_seconds=room.site.cgroups.group(machine.group_name).cpu_seconds() or usage.cpu_seconds,
            additional=self._costs.find(stamp.id),
            facts=facts.get(machine.name),
            traffic={number: traffic[tap] for number, tap in taps.items() if tap in traffic},
            healthy=None if health is None else health.status == Status.HEALTHY,
        )


class _Costs:
    """What processes cost in addition, as last seen: to find that is dear, so it is not found for all at once."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._additional = AdditionalMemory(clock)
        self._clock = clock
        self._known: dict[ProcessId, tuple[float, int | None]] = {}

    def find(self, process: ProcessId) -> int | None:
        return self._known.get(process, (0.0, None))[1]

    async def renew(self, processes: Iterable[ProcessId]) -> None:
        """Those that were seen longest ago first, as far as the time goes."""
        self._known = {process: self._known.get(process, (0.0, None)) for process in processes}
        with suppress(TimeoutError):
            async with asyncio.timeout(WALKING):
                for process in sorted(self._known, key=lambda one: self._known[one][0]):
                    self._known[process] = (self._clock(), await self._additional.find(process))


def _live(room: Room) -> list[MachineRecord]:
    return [machine for machine in room.site.shelves.machines if machine.state.is_live]


async def _count_traffic(room: Room) -> Mapping[str, Traffic]:
    try:
        return await room.site.links.count_traffic() if _live(room) else {}
    except WeftError:
        return {}


async def _ask_all(room: Room, ask: bool) -> dict[str, Facts]:
    names = [machine.name for machine in _live(room) if machine.state is State.RUNNING]
    answers = await asyncio.gather(*(_ask(room, name, ask) for name in names))
    return {name: facts for name, facts in zip(names, answers, strict=True) if facts is not None}


async def _ask(room: Room, name: str, ask: bool) -> Facts | None:
    noted = room.recording.find_noted(name, within=FRESH)
    if noted is not None or not ask:
        return noted
    try:
        async with asyncio.timeout(PATIENCE):
            facts = await room.runs.agent(name).facts(timeout=PATIENCE)
    except (WeftError, TimeoutError):
        return None
    room.recording.note(name, facts)
    return facts
