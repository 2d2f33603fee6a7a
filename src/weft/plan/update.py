"""What a change of a machine's spec asks for: what is done while it runs, and what has to wait for a start. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass

from weft.model.errors import Invalid
from weft.model.machine import MachineSpec, NicSpec

LIVE = frozenset({"labels", "restart", "max_restarts", "stop_timeout", "health", "no_health", "remove", "cold"})
"""Parts of a spec that only the fabric uses: a machine that runs need not know of a change. All others are told to it
at its start, or are what it is started with."""


@dataclass(frozen=True, slots=True)
class SpecChange:
    """The parts of a spec that change, by their names: at once, or with a start of the machine."""

    live: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()

    @property
    def parts(self) -> tuple[str, ...]:
        """All that change."""
        return self.live + self.restart


def plan_update(before: MachineSpec, after: MachineSpec) -> SpecChange:
    """What leads from one spec to the other. Raises Invalid for another name: that is another machine."""
    if before.name != after.name:
        raise Invalid(f"machine {before.name!r} cannot become {after.name!r}", hint="names stay")
    changed = [part for part in MachineSpec.model_fields if getattr(before, part) != getattr(after, part)]
    return SpecChange(
        live=tuple(part for part in changed if part in LIVE),
        restart=tuple(part for part in changed if part not in LIVE),
    )


def match_nics(before: Sequence[NicSpec], after: Sequence[NicSpec]) -> list[int | None]:
    """For each NIC of a new spec the earlier one whose place on a network it takes over; None for a new one.

    The first of the same network and role that nobody has taken; one in the same position before all others.
    """
    left = set(range(len(before)))
    found: list[int | None] = [None] * len(after)
    for number, nic in enumerate(after):
        if number in left and _alike(before[number], nic):
            found[number] = number
            left.discard(number)
    for number, nic in enumerate(after):
        if (
            found[number] is None
            and (old := next((n for n in sorted(left) if _alike(before[n], nic)), None)) is not None
        ):
            found[number] = old
            left.discard(old)
    return found


def _alike(one: NicSpec, other: NicSpec) -> bool:
    return (one.network, one.role) == (other.network, other.role)
