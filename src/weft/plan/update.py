"""What a change of a machine's spec asks for: what is done while it runs, and what has to wait for a start. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weft.model.elastic import ElasticSpec
from weft.model.errors import Invalid
from weft.model.foreign import ForeignSpec
from weft.model.machine import MachineSpec, NicSpec

LIVE = frozenset(
    {"labels", "restart", "max_restarts", "stop_timeout", "health", "no_health", "remove", "cold", "limits", "expose"}
)
"""Parts of a spec that only the fabric and the host use: a machine that runs need not know of a change. All others are
told to it at its start, or are what it is started with. Of `elastic` only the policy is like that, of `foreign` what is
in its drives."""

_SYSTEM = {
    "cdroms": "CD",
    "floppy_drive": "floppy",
    "disks": "disk",
    "nic_model": "kind of NIC",
    "boot_files": "boot file",
    "plan9": "way to boot",
}


@dataclass(frozen=True, slots=True)
class SpecChange:
    """The parts of a spec that change, by their names: at once, or with a start of the machine. `system`: what of a
    system of its own does, in words."""

    live: tuple[str, ...] = ()
    restart: tuple[str, ...] = ()
    system: str = "system"

    @property
    def parts(self) -> tuple[str, ...]:
        """All that change."""
        return self.live + self.restart


def name_parts(parts: Iterable[str], elastic: str = "range", system: str = "system") -> str:
    """Parts of a spec in a sentence, like `another memory, range`. `elastic`, `system`: which part of that changes."""
    words = {"elastic": elastic, "foreign": system}
    return ", ".join(words.get(part, part) for part in parts)


def plan_update(before: MachineSpec, after: MachineSpec) -> SpecChange:
    """What leads from one spec to the other. Raises Invalid for another name: that is another machine."""
    if before.name != after.name:
        raise Invalid(f"machine {before.name!r} cannot become {after.name!r}", hint="names stay")
    changed = [part for part in MachineSpec.model_fields if getattr(before, part) != getattr(after, part)]
    live = LIVE | {"elastic"} if has_same_ends(before.elastic, after.elastic) else LIVE
    live |= {"foreign"} if has_same_drives(before.foreign, after.foreign) else set()
    return SpecChange(
        live=tuple(part for part in changed if part in live),
        restart=tuple(part for part in changed if part not in live),
        system=_name_system(before.foreign, after.foreign),
    )


def has_same_ends(before: ElasticSpec | None, after: ElasticSpec | None) -> bool:
    """Whether machines could grow as far, by whichever policy."""
    if before is None or after is None:
        return before is after
    return (before.max_cpus, before.max_memory) == (after.max_cpus, after.max_memory)


def has_same_drives(before: ForeignSpec | None, after: ForeignSpec | None) -> bool:
    """Whether two systems differ in nothing but which CDs and floppy are in their drives."""
    if before is None or after is None:
        return before is after
    emptied = [one.model_copy(update={"cdroms": (), "floppy_drive": None}) for one in (before, after)]
    drives = [(len(one.cdroms), one.floppy_drive is None) for one in (before, after)]
    return emptied[0] == emptied[1] and drives[0] == drives[1]


def _name_system(before: ForeignSpec | None, after: ForeignSpec | None) -> str:
    if before is None or after is None:
        return "system"
    changed = [part for part in ForeignSpec.model_fields if getattr(before, part) != getattr(after, part)]
    return ", ".join(_SYSTEM.get(part, part) for part in changed)


def change_spec(spec: MachineSpec, changes: Mapping[str, Any]) -> dict[str, Any]:
    """A spec with other values, as yet unchecked. Of `elastic` and `foreign` what the changes do not name stays, too.

    One that becomes elastic is of the profile that can grow, unless another is asked for.
    """
    wanted = {**spec.model_dump(), **changes}
    if isinstance(growth := changes.get("elastic"), Mapping):
        wanted["elastic"] = _change_growth(spec.elastic, growth)
    if isinstance(system := changes.get("foreign"), Mapping):
        wanted["foreign"] = _change_system(spec.foreign, system)
    if spec.elastic is None and wanted["elastic"] is not None and "profile" not in changes:
        del wanted["profile"]
    return wanted


def _change_growth(now: ElasticSpec | None, changes: Mapping[str, Any]) -> dict[str, Any] | None:
    """None: nothing is left that could grow. To say a policy for that is wrong, which the check of the spec tells."""
    growth: dict[str, Any] = {**(now.model_dump() if now else {}), **changes}
    if now is not None and isinstance(policy := changes.get("policy"), Mapping):
        growth["policy"] = {**now.policy.model_dump(), **policy}
    can_grow = growth.get("max_cpus") is not None or growth.get("max_memory") is not None
    return growth if can_grow or "policy" in changes else None


def _change_system(now: ForeignSpec | None, changes: Mapping[str, Any]) -> dict[str, Any]:
    system: dict[str, Any] = {**(now.model_dump() if now else {}), **changes}
    if now is not None and now.plan9 is not None and isinstance(plan9 := changes.get("plan9"), Mapping):
        system["plan9"] = {**now.plan9.model_dump(), **plan9}
    return system


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
