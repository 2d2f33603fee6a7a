"""Whether a machine may start, or grow, or a room be guaranteed something. Each answer is None, or why not."""

from dataclasses import dataclass, replace

from weft.model.elastic import Resource
from weft.plan.ledger.accounts import Ledger, MachineAccount, RoomAccount

MIB = 1 << 20
PROMISES = "weft host top shows who has it; memory_overcommit allows more promises"
AVAILABLE = "stop something, or let elastic machines give back: weft host top"


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something cannot be. `shortage`: so many bytes that machines have lent would make it possible; 0: they would
    not help.
    """

    reason: str
    hint: str
    shortage: int = 0


def admit(ledger: Ledger, start: MachineAccount) -> Refusal | None:
    """Whether a machine may start: its minimum has to be promised, and to be there."""
    after = ledger.with_machine(start)
    room, host = ledger.room(start.room), ledger.host
    if room.max_memory is not None and after.granted_to(start.room) > room.max_memory:
        return _over_limit(ledger, start.room, start.minimum, start.key)
    if after.promised > max(host.capacity, ledger.promised):
        without = ledger.without([start.key])
        return Refusal(
            f"the host has no memory to promise: {_mib(start.minimum)} are wanted, {_mib(without.promised)} of "
            f"{_mib(host.capacity)} are promised",
            PROMISES,
        )
    if host.cpu_capacity is not None and after.cpus_promised > max(host.cpu_capacity, ledger.cpus_promised):
        return Refusal(
            f"the host has no processors to promise: {start.cpus_minimum} are wanted, {ledger.cpus_promised:g} of "
            f"{host.cpu_capacity:g} are promised",
            "cpu_overcommit allows more promises",
        )
    return check_available(ledger, start.minimum)


def grow(ledger: Ledger, machine: MachineAccount, resource: Resource, by: int) -> Refusal | None:
    """Whether a machine may have so much more than its account says."""
    return _grow_memory(ledger, machine, by) if resource is Resource.MEMORY else _grow_cpus(ledger, machine, by)


def guarantee(ledger: Ledger, room: RoomAccount) -> Refusal | None:
    """Whether a room may be guaranteed this, and limited to it."""
    after, host = ledger.with_room(room), ledger.host
    if after.promised > max(host.capacity, ledger.promised):
        others = after.promised - after.promised_to(room.name)
        return Refusal(
            f"room {room.name!r} cannot be guaranteed {_mib(room.memory)}: {_mib(others)} of {_mib(host.capacity)} are "
            "promised to others",
            PROMISES,
        )
    cpus = sum(other.cpus for other in after.rooms.values())
    if room.cpus and cpus > max(float(host.cpus), sum(other.cpus for other in ledger.rooms.values())):
        return Refusal(
            f"room {room.name!r} cannot be guaranteed {room.cpus:g} processors: with those of other rooms they are "
            f"{cpus:g}, and the host has {host.cpus}",
            "guarantees of processors go as far as there are some",
        )
    return None


def _grow_memory(ledger: Ledger, machine: MachineAccount, by: int) -> Refusal | None:
    room, host = ledger.room(machine.room), ledger.host
    after = ledger.with_machine(replace(machine, granted=machine.granted + by))
    if room.max_memory is not None and after.granted_to(machine.room) > room.max_memory:
        return _over_limit(ledger, machine.room, by)
    over = after.granted - host.capacity
    if over > 0 and after.granted_to(machine.room) > room.memory:
        return Refusal(
            f"the host has no memory to grant: {_mib(by)} are wanted, {_mib(ledger.granted)} of {_mib(host.capacity)} "
            "are granted",
            AVAILABLE,
            min(over, by),
        )
    return check_available(ledger, by)


def _grow_cpus(ledger: Ledger, machine: MachineAccount, by: int) -> Refusal | None:
    room, host = ledger.room(machine.room), ledger.host
    after = machine.cpus_granted + by
    if room.max_cpus is not None and after - room.max_cpus >= 1:
        return Refusal(
            f"room {machine.room!r} may use {room.max_cpus:g} processors: {after} are too many for a machine of it",
            f"weft room set {machine.room} --max-cpus",
        )
    if host.cpu_capacity is not None and ledger.cpus_granted + by > host.cpu_capacity:
        return Refusal(
            f"the host has no processors to grant: {by} are wanted, {ledger.cpus_granted} of {host.cpu_capacity:g} are "
            "granted",
            "cpu_overcommit allows more",
        )
    return None


def check_available(ledger: Ledger, wanted: int) -> Refusal | None:
    """Whether the host itself has so many bytes beside its reserve.

    What others than we have promised on it is known by what is left of its memory alone.
    """
    spare = int(ledger.host.spare * max(1.0, ledger.host.memory_overcommit))
    if wanted <= spare:
        return None
    return Refusal(
        f"the host is short of memory: {_mib(wanted)} are wanted, and {_mib(ledger.host.available)} are left, of which "
        f"it keeps {_mib(ledger.host.reserve)}",
        AVAILABLE,
        wanted - spare,
    )


def _over_limit(ledger: Ledger, room: str, by: int, but: tuple[str, str] = ("", "")) -> Refusal:
    limit, others = ledger.room(room).max_memory or 0, ledger.without([but]).granted_to(room)
    return Refusal(
        f"room {room!r} may have {_mib(limit)}: {_mib(by)} more are too much, its machines have {_mib(others)}",
        f"weft room set {room} --max-memory",
    )


def _mib(size: int) -> str:
    return f"{size // MIB} MiB"
