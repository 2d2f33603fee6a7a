"""Who gives memory back when the host is short of it, and gets it again when there is some.

What rooms have beyond their guarantee is taken first, since it may be others' that is lent to them; within that from
idle machines first, and from those first that a balloon takes it from: that is done within a moment. All who are alike
give in proportion to what they have above their minimum and do not need.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from weft.model.elastic import MemoryMode
from weft.plan.elastic.memory import BLOCK
from weft.plan.ledger.accounts import Ledger, MachineAccount
from weft.plan.ledger.shares import divide


@dataclass(frozen=True, slots=True)
class Change:
    """A machine is to have another size."""

    room: str
    name: str
    before: int
    after: int

    @property
    def gives(self) -> int:
        """Bytes; negative: it gets some."""
        return self.before - self.after


def reclaim(ledger: Ledger, shortage: int) -> list[Change]:
    """What each machine gives so that `shortage` bytes come together, or as much as there is.

    Nobody goes below its minimum, nor below what it uses and some headroom.
    """
    gifts: dict[tuple[str, str], int] = {}
    for beyond in (True, False):
        for rung in _rungs(ledger):
            left = shortage - sum(gifts.values())
            if left > 0:
                _collect(ledger, rung, left, beyond, gifts)
    changes = [_change(machine, gifts.get(machine.key, 0)) for machine in ledger.machines]
    return [change for change in changes if change.gives]


def give_back(ledger: Ledger, plenty: int) -> list[Change]:
    """What those get again who gave, in proportion, of `plenty` bytes that the host can spare."""
    givers = [machine for machine in ledger.machines if machine.gave]
    blocks = divide(min(plenty, ledger.free) // BLOCK, [-(-machine.gave // BLOCK) for machine in givers])
    changes = [
        Change(machine.room, machine.name, machine.granted, min(machine.before, machine.granted + part * BLOCK))
        for machine, part in zip(givers, blocks, strict=True)
        if part
    ]
    return list(_within_limits(ledger, changes))


def _rungs(ledger: Ledger) -> Iterator[list[MachineAccount]]:
    for idle in (True, False):
        for mode in (MemoryMode.BALLOON, MemoryMode.VIRTIO_MEM):
            yield [machine for machine in ledger.machines if machine.idle is idle and machine.mode is mode]


def _collect(
    ledger: Ledger, rung: list[MachineAccount], left: int, beyond: bool, gifts: dict[tuple[str, str], int]
) -> None:
    """Take from the machines of a rung. `beyond`: no room is taken below its guarantee by that."""
    claims = [(machine.granted - machine.needs - gifts.get(machine.key, 0)) // BLOCK for machine in rung]
    if beyond:
        claims = _bound(ledger, rung, claims, gifts)
    for machine, part in zip(rung, divide(-(-left // BLOCK), claims), strict=True):
        gifts[machine.key] = gifts.get(machine.key, 0) + part * BLOCK


def _bound(
    ledger: Ledger, rung: list[MachineAccount], claims: list[int], gifts: dict[tuple[str, str], int]
) -> list[int]:
    """What is asked of each room's machines, no more than the room has beyond its guarantee."""
    bounded = list(claims)
    for room in {machine.room for machine in rung}:
        given = sum(gift for (of, _), gift in gifts.items() if of == room)
        most = max(0, ledger.granted_to(room) - given - ledger.room(room).memory) // BLOCK
        indices = [index for index, machine in enumerate(rung) if machine.room == room]
        for index, part in zip(indices, divide(most, [claims[index] for index in indices]), strict=True):
            bounded[index] = part
    return bounded


def _change(machine: MachineAccount, gift: int) -> Change:
    return Change(machine.room, machine.name, machine.granted, machine.granted - gift)


def _within_limits(ledger: Ledger, changes: list[Change]) -> Iterator[Change]:
    """Rooms stay below what they may have at most; who comes first gets it."""
    for change in changes:
        machine, limit = ledger.find(change.room, change.name), ledger.room(change.room).max_memory
        after = change.after
        if limit is not None:
            after = min(after, change.before + max(0, limit - ledger.granted_to(change.room)))
        if machine is not None and after > change.before:
            ledger = ledger.with_machine(replace(machine, granted=after))
            yield replace(change, after=after)
