"""From records and settings to accounts."""

from dataclasses import dataclass

from weft.fabric.records.machine import MachineRecord
from weft.host.facts import HostFacts
from weft.model.elastic import MemoryMode, Resource
from weft.model.room import RoomSpec
from weft.plan.ledger.accounts import HostAccount, MachineAccount, RoomAccount
from weft.settings import Settings

HOST = "host"
"""Who asks when machines give memory back, and get it again."""
RESERVE_SHARE = 16
LEAST_RESERVE, MOST_RESERVE = 128 << 20, 1 << 30


@dataclass(frozen=True, slots=True)
class Seen:
    """What a machine was last seen to use: bytes that its guest cannot give up, bytes that its QEMU costs the host;
    None: nobody could say. `idle`: it has hardly used a processor.
    """

    used: int | None = None
    cost: int | None = None
    idle: bool = False


UNSEEN = Seen()


def host_account(facts: HostFacts, settings: Settings, available: int) -> HostAccount:
    """Of the whole host, or of the part of it that the settings leave to machines."""
    memory = min(facts.memory_bytes, settings.host_memory or facts.memory_bytes)
    reserve = settings.host_reserve
    if reserve is None:
        reserve = min(max(memory // RESERVE_SHARE, LEAST_RESERVE), MOST_RESERVE)
    return HostAccount(
        memory=memory,
        cpus=facts.cpus,
        available=max(0, available),
        reserve=reserve,
        memory_overcommit=settings.memory_overcommit,
        cpu_overcommit=settings.cpu_overcommit,
    )


def room_account(spec: RoomSpec) -> RoomAccount:
    """Of a room, as it was asked for."""
    wanted = spec.resources
    return RoomAccount(
        name=spec.name,
        memory=wanted.memory or 0,
        max_memory=wanted.max_memory,
        cpus=wanted.cpus or 0.0,
        max_cpus=wanted.max_cpus,
        weight=wanted.cpu_weight,
    )


def machine_account(room: str, machine: MachineRecord, seen: Seen = UNSEEN) -> MachineAccount:
    """Of a machine that runs, by its record; of one that does not: as it would be when it is started."""
    runs = machine.state.is_live
    return MachineAccount(
        room=room,
        name=machine.name,
        minimum=machine.memory,
        granted=machine.granted_memory if runs else machine.memory,
        cpus_minimum=machine.spec.cpus,
        cpus_granted=machine.granted_cpus if runs else machine.spec.cpus,
        used=None if _is_changing(machine) else seen.used,
        cost=seen.cost or 0,
        idle=seen.idle,
        mode=_find_mode(machine) if runs else MemoryMode.FIXED,
        before=find_before(machine) if runs else 0,
    )


def _is_changing(machine: MachineRecord) -> bool:
    """Whoever has asked last is not to be interrupted."""
    request = machine.find_request(Resource.MEMORY)
    return request is not None and not request.state.is_settled


def _find_mode(machine: MachineRecord) -> MemoryMode:
    """How memory can be taken back from it."""
    lost = machine.elastic is None or machine.elastic.lost.get(Resource.MEMORY)
    return MemoryMode.FIXED if lost else machine.memory_mode


def find_before(machine: MachineRecord) -> int:
    """Whoever has had another size since then, on somebody else's wish, has that for good."""
    request = machine.find_request(Resource.MEMORY)
    return machine.elastic.gave_from if machine.elastic and request and request.by == HOST else 0
