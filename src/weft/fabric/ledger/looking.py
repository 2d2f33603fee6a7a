"""What machines use of their host."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from weft.fabric.ledger.entries import UNSEEN, Seen
from weft.fabric.ledger.host_ledger import HostLedger, Key
from weft.fabric.records.machine import MachineRecord
from weft.fabric.room import Room
from weft.fabric.site import Site
from weft.guest.facts import Facts
from weft.host.usage import find_usage as find_process_usage
from weft.model.errors import WeftError

IDLE_SHARE = 0.05
"""Of one processor: a machine that uses less between two looks is idle."""
APART = 1.0
"""Seconds between two looks that say something."""
STALE = 60.0
"""Seconds after which a look says nothing any more."""
PATIENCE = 2.0
"""Seconds a guest has to say what it uses."""


@dataclass(frozen=True, slots=True)
class HostUsage:
    """Bytes of memory, None when nobody counts them, and seconds of processors since the start."""

    memory: int | None = None
    seconds: float = 0.0


class Looking:
    """Looks at machines, and tells the ledger what it has seen. `clock` goes on by itself, in seconds."""

    def __init__(self, rooms: Iterable[Room], ledger: HostLedger, clock: Callable[[], float]) -> None:
        self._rooms = rooms
        self._ledger = ledger
        self._clock = clock
        self._times: dict[Key, tuple[float, float, bool]] = {}

    def glance(self, *, elastic: bool = False) -> None:
        """What control groups tell: what machines cost, and whether they are idle. With `elastic` only of those that
        could give something back."""
        seen: dict[Key, Seen] = {}
        for room, machine in self._live(elastic=elastic):
            key = (room.site.room, machine.name)
            before, usage = self._ledger.seen.get(key, UNSEEN), find_usage(room.site, machine)
            seen[key] = replace(before, cost=usage.memory, idle=self._is_idle(key, usage.seconds))
        self._ledger.seen = seen
        now = self._clock()
        self._times = {key: found for key, found in self._times.items() if now - found[0] < STALE}

    async def ask(self, *, elastic: bool = False) -> None:
        """What guests tell: what they use. With `elastic` only those that could give something back."""
        self.glance(elastic=elastic)
        asked = list(self._live(elastic=elastic))
        answers = await asyncio.gather(*(_ask(room, machine) for room, machine in asked))
        for (room, machine), used in zip(asked, answers, strict=True):
            key = (room.site.room, machine.name)
            self._ledger.seen[key] = replace(self._ledger.seen.get(key, UNSEEN), used=used)

    def _live(self, *, elastic: bool) -> Iterator[tuple[Room, MachineRecord]]:
        for room in self._rooms:
            for machine in room.site.shelves.machines:
                if machine.state.is_live and (machine.elastic is not None or not elastic):
                    yield room, machine

    def _is_idle(self, key: Key, used: float) -> bool:
        """Since the last look that was long enough ago; as it was then, before that."""
        now = self._clock()
        at, before, idle = self._times.get(key, (now, used, False))
        if now - at >= APART:
            idle = 0 <= used - before < IDLE_SHARE * (now - at)
        elif key in self._times:
            return idle
        self._times[key] = (now, used, idle)
        return idle


async def _ask(room: Room, machine: MachineRecord) -> int | None:
    agent = room.runs.find_agent(machine.name)
    if agent is None:
        return None
    try:
        facts = await agent.facts(timeout=PATIENCE)
    except WeftError:
        return None
    room.recording.note(machine.name, facts)
    return find_used(machine, facts)


def find_used(machine: MachineRecord, facts: Facts) -> int:
    """Bytes that a guest cannot give up, what its kernel has taken before it counts included. Page cache is not among
    them, nor what the balloon holds."""
    elastic = machine.elastic
    hidden = elastic.boot - elastic.total if elastic is not None and elastic.total else 0
    return max(0, facts.memory_used) + hidden


def count_used(rooms: Iterable[Room]) -> int:
    """Bytes of the host's memory, of all machines that run."""
    return sum(
        find_usage(room.site, machine).memory or 0
        for room in rooms
        for machine in room.site.shelves.machines
        if machine.state.is_live
    )


def find_usage(site: Site, machine: MachineRecord) -> HostUsage:
    """What a machine uses, its QEMU's own included. Its control group counts what it has together with others for who
    had it first; where nobody counts for groups, QEMU's own numbers have to do."""
    group = site.cgroups.group(machine.group_name).usage()
    if group is not None and group.memory_bytes:
        return HostUsage(group.memory_bytes, group.cpu_seconds)
    stamp = machine.qemu or machine.monitor
    usage = find_process_usage(stamp.pid) if stamp else None
    return HostUsage(usage.resident, usage.cpu_seconds) if usage else HostUsage()
