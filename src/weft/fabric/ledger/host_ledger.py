"""The one ledger of a fabric.

It remembers nothing: what was promised and granted is on the records of rooms and machines, so no end of a daemon can
lose it, or count it twice. Between a promise and its record, which is some milliseconds, it is kept here.
"""

import asyncio
import math
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace

from weft.fabric.ledger.entries import UNSEEN, Seen, host_account, machine_account, room_account
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.room import RoomRecord
from weft.host.facts import HostFacts, read_available
from weft.model.elastic import Resource
from weft.model.errors import NoRoom
from weft.model.room import RoomSpec
from weft.plan.ledger.accounts import Ledger, MachineAccount
from weft.plan.ledger.admission import Refusal, admit, check_available, grow, guarantee
from weft.settings import Settings

Key = tuple[str, str]
"""A machine: its room's name and its own."""
Entries = Iterable[tuple[RoomRecord, Iterable[MachineRecord]]]
SOON = 5.0
"""Seconds within which what was reserved is on record, or nobody wants it any more."""


async def _find_nothing(_shortage: int) -> None:
    """Nobody has lent anything."""


class HostLedger:
    """What is promised and granted in all rooms, and whether there is more."""

    def __init__(
        self,
        facts: HostFacts,
        settings: Settings,
        find_available: Callable[[], int] = read_available,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._facts = facts
        self._settings = settings
        self._find_available = find_available
        self._clock = clock
        self._starting: dict[Key, MachineAccount] = {}
        self._reserved: dict[tuple[Key, Resource], tuple[int, float]] = {}
        self._turn = asyncio.Lock()
        self.find_entries: Callable[[], Entries] = lambda: ()
        """All rooms, with their machines."""
        self.find_used: Callable[[], int] = lambda: 0
        """Bytes of the host's memory that all machines use."""
        self.collect: Callable[[int], Awaitable[None]] = _find_nothing
        """Has machines give back so many bytes of what they were lent, or as many as they can."""
        self.seen: dict[Key, Seen] = {}

    def read(self) -> Ledger:
        """As it stands now."""
        machines: dict[Key, MachineAccount] = dict(self._starting)
        rooms = {}
        for record, shelf in self.find_entries():
            rooms[record.name] = room_account(record.spec)
            for machine in shelf:
                if machine.state.is_live:
                    key = (record.name, machine.name)
                    machines[key] = machine_account(record.name, machine, self.seen.get(key, UNSEEN))
        for key, resource, size in self._list_reserved():
            if (account := machines.get(key)) is not None:
                machines[key] = _with_reserved(account, resource, size)
        host = host_account(self._facts, self._settings, self._read_available())
        return Ledger(host, tuple(machines.values()), rooms)

    @asynccontextmanager
    async def starting(self, room: str, machine: MachineRecord) -> AsyncIterator[None]:
        """A machine is about to start: it is promised its minimum. Its record, once it is live, is what counts.

        Raises NoRoom.
        """
        account = machine_account(room, machine)
        await self._check(lambda ledger: admit(ledger, account))
        self._starting[account.key] = account
        try:
            await self._settle()
            yield
        finally:
            self._starting.pop(account.key, None)

    async def reserve(self, key: Key, resource: Resource, size: int) -> None:
        """A machine that runs is to be granted `size`; its record will say so. Raises NoRoom."""

        def ask(ledger: Ledger) -> Refusal | None:
            account = ledger.find(*key)
            now = 0 if account is None else _granted(account, resource)
            return grow(ledger, account, resource, size - now) if account is not None and size > now else None

        await self._check(ask)
        self._reserved[key, resource] = (size, self._clock() + SOON)
        await self._settle()

    def release(self, key: Key, resource: Resource) -> None:
        """A machine's record says what it has, and nothing else is meant for it."""
        self._reserved.pop((key, resource), None)

    def check_available(self, size: int) -> None:
        """Raises NoRoom when the host has less: for what is promised to nobody, and nobody gives anything back for."""
        _raise(check_available(self.read(), size))

    def cpu_bound(self, room: str) -> float:
        """How many processors a room's machines may use."""
        bounds = (record.spec.resources.max_cpus for record, _ in self.find_entries() if record.name == room)
        return next(bounds, None) or math.inf

    def check_room(self, spec: RoomSpec) -> None:
        """Raises NoRoom for a room that cannot be guaranteed what it is to be."""
        _raise(guarantee(self.read(), room_account(spec)))

    async def _check(self, ask: Callable[[Ledger], Refusal | None]) -> None:
        """What is lent is asked back where that would help: for one at a time, the next may find that it is enough.

        Nothing else runs between the last look and what the caller does next.
        """
        if _find_shortage(ask(self.read())):
            async with self._turn:
                if shortage := _find_shortage(ask(self.read())):
                    await self.collect(shortage)
        _raise(ask(self.read()))

    async def _settle(self) -> None:
        """What others have borrowed of a guarantee that is claimed now is asked back; the claim holds in any case."""
        if self.read().excess:
            await self.collect(0)

    def _list_reserved(self) -> list[tuple[Key, Resource, int]]:
        now = self._clock()
        self._reserved = {what: entry for what, entry in self._reserved.items() if entry[1] > now}
        return [(key, resource, size) for (key, resource), (size, _) in self._reserved.items()]

    def _read_available(self) -> int:
        """An owner's bound is as a host's own: what machines use is not available."""
        available = self._find_available()
        if self._settings.host_memory is None:
            return available
        return min(available, self._settings.host_memory - self.find_used())


def _with_reserved(account: MachineAccount, resource: Resource, size: int) -> MachineAccount:
    if resource is Resource.MEMORY:
        return replace(account, granted=max(account.granted, size))
    return replace(account, cpus_granted=max(account.cpus_granted, size))


def _find_shortage(refusal: Refusal | None) -> int:
    return 0 if refusal is None else refusal.shortage


def _granted(account: MachineAccount, resource: Resource) -> int:
    return account.granted if resource is Resource.MEMORY else account.cpus_granted


def _raise(refusal: Refusal | None) -> None:
    if refusal is not None:
        raise NoRoom(refusal.reason, hint=refusal.hint)
