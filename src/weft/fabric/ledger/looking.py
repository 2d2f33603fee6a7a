"""What machines use of their host."""

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

from weft.fabric.ledger.entries import UNSEEN, Seen
from weft.fabric.ledger.host_ledger import HostLedger, Key
from weft.fabric.records.machine import MachineRecord
from weft.fabric.room import Room
from weft.fabric.site import Site
from weft.guest.facts import Facts
from weft.host.usage import find_usage
from weft.model.errors import WeftError

IDLE_SHARE = 0.05
"""Of one processor: a machine that uses less between two looks is idle."""
APART = 1.0
"""Seconds between two looks that say something."""
PATIENCE = 2.0
"""Seconds a guest has to say what it uses."""


class Looking:
    """Looks at machines, and tells the ledger what it has seen. `clock` goes on by itself, in seconds."""

    def __init__(self, rooms: Iterable[Room], ledger: HostLedger, clock: Callable[[], float]) -> None:
        self._rooms = rooms
        self._ledger = ledger
        self._clock = clock
        self._times: dict[Key, tuple[float, float, bool]] = {}

    def glance(self) -> None:
        """What control groups tell: what machines cost, and whether they are idle."""
        seen: dict[Key, Seen] = {}
        for room, machine in self._live():
            key = (room.site.room, machine.name)
            before = self._ledger.seen.get(key, UNSEEN)
            seen[key] = replace(before, cost=find_cost(room.site, machine), idle=self._is_idle(key, room.site, machine))
        self._ledger.seen = seen
        self._times = {key: found for key, found in self._times.items() if key in seen}

    async def ask(self, *, elastic: bool = False) -> None:
        """What guests tell: what they use. With `elastic` only those that could give something back."""
        self.glance()
        asked = [(room, machine) for room, machine in self._live() if machine.elastic is not None or not elastic]
        answers = await asyncio.gather(*(_ask(room, machine) for room, machine in asked))
        for (room, machine), used in zip(asked, answers, strict=True):
            key = (room.site.room, machine.name)
            self._ledger.seen[key] = replace(self._ledger.seen.get(key, UNSEEN), used=used)

    def _live(self) -> Iterator[tuple[Room, MachineRecord]]:
        for room in self._rooms:
            for machine in room.site.shelves.machines:
                if machine.state.is_live:
                    yield room, machine

    def _is_idle(self, key: Key, site: Site, machine: MachineRecord) -> bool:
        """Since the last look that was long enough ago; as it was then, before that."""
        now, used = self._clock(), _find_time(site, machine)
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
    return max(0, facts.memory_total - facts.memory_available - facts.memory_ballooned) + hidden


def count_used(rooms: Iterable[Room]) -> int:
    """Bytes of the host's memory, of all machines that run."""
    return sum(
        find_cost(room.site, machine) or 0
        for room in rooms
        for machine in room.site.shelves.machines
        if machine.state.is_live
    )


def find_cost(site: Site, machine: MachineRecord) -> int | None:
    """Bytes of the host's memory that a machine has, its QEMU's own included; None when nobody counts that.

    Its control group counts what it has together with others for who had it first.
    """
    group = site.cgroups.group(machine.group_name).usage()
    if group is not None and group.memory_bytes:
        return group.memory_bytes
    stamp = machine.qemu or machine.monitor
    usage = find_usage(stamp.pid) if stamp else None
    return usage.resident if usage else None


def _find_time(site: Site, machine: MachineRecord) -> float:
    """Seconds of processors, since its start."""
    group = site.cgroups.group(machine.group_name).usage()
    if group is not None and group.cpu_seconds:
        return group.cpu_seconds
    stamp = machine.qemu or machine.monitor
    usage = find_usage(stamp.pid) if stamp else None
    return usage.cpu_seconds if usage else 0.0
