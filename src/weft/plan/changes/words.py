"""Differences in words: which field, what it was, what it is to be. In the words of fabric files. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from pydantic import BaseModel

from weft.model.elastic import MANUAL
from weft.model.expose import ExposeSpec
from weft.model.foreign import ForeignSpec, Plan9Spec
from weft.model.limits import LimitsSpec
from weft.model.limits_file import RATES
from weft.model.machine import MachineSpec, NicSpec, Spec
from weft.model.mount import MountSpec
from weft.model.policy_words import dump_policy
from weft.model.publish import PublishSpec
from weft.model.ranges import Range, dump_cpus, dump_memory
from weft.model.room import RoomResources
from weft.model.units import dump_duration, dump_size
from weft.plan.fabric_file.write import dump_mount, dump_publish

_NAMES = {
    "cwd": "workdir",
    "nics": "networks",
    "mounts": "volumes",
    "no_health": "no_healthcheck",
    "lifetime": "for",
    "position": "at",
}
_SIZES = ("memory", "max_memory", "size", *RATES)
_TIMES = ("lifetime", "stop_timeout")
LONGEST = 60


def compare(before: Spec, after: Spec, parts: Iterable[str], effect: str = "") -> list[str]:
    """A line for each part that differs, like `memory 64M → 128M`, and what comes of it."""
    if isinstance(before, MachineSpec) and isinstance(after, MachineSpec):
        lines = [line for part in parts for line in compare_part(before, after, part)]
    else:
        lines = [_compare(part, getattr(before, part), getattr(after, part)) for part in parts]
    return [" ".join(filter(None, (line, effect))) for line in lines]


def compare_part(before: MachineSpec, after: MachineSpec, part: str) -> list[str]:
    """A part of a machine's spec: how large it is and how far it may grow are one range in a file."""
    if part == "elastic":
        sizes = [size for size in ("cpus", "memory") if getattr(before, size) == getattr(after, size)]
        return [*_compare_sizes(before, after, sizes), *_compare_policies(before, after)]
    if part in ("cpus", "memory"):
        return _compare_sizes(before, after, (part,))
    if part == "foreign":
        return _compare_foreign(before.foreign or ForeignSpec(), after.foreign or ForeignSpec())
    return [_compare(part, getattr(before, part), getattr(after, part))]


def _compare_foreign(before: ForeignSpec, after: ForeignSpec) -> list[str]:
    """A system of its own has many parts, few of which differ."""
    parts = [part for part in ForeignSpec.model_fields if part != "plan9"]
    return [*_compare_fields(before, after, parts), *_compare_plan9(before.plan9, after.plan9)]


def _compare_plan9(before: Plan9Spec | None, after: Plan9Spec | None) -> list[str]:
    """Of its plan9.ini the lines that differ."""
    one, other = before or Plan9Spec(), after or Plan9Spec()
    items = _compare_items(one.ini.splitlines(), other.ini.splitlines())
    ini = [] if one.ini == other.ini else [f"ini: {items or 'in another order'}"]
    return [*ini, *_compare_fields(one, other, [part for part in Plan9Spec.model_fields if part != "ini"])]


def _compare_fields(before: BaseModel, after: BaseModel, parts: Iterable[str]) -> list[str]:
    pairs = {part: (getattr(before, part), getattr(after, part)) for part in parts}
    return [_compare(part, one, other) for part, (one, other) in pairs.items() if one != other]


def _compare_sizes(before: MachineSpec, after: MachineSpec, parts: Iterable[str]) -> list[str]:
    dumped = [(part, _dump_size(before, part), _dump_size(after, part)) for part in parts]
    return [f"{part} {one} → {other}" for part, one, other in dumped if one != other]


def _dump_size(spec: MachineSpec, part: str) -> str:
    sizes = Range(getattr(spec, part), getattr(spec.elastic, f"max_{part}", None))
    return (dump_cpus if part == "cpus" else dump_memory)(sizes) or dump_value(part, None)


def _compare_policies(before: MachineSpec, after: MachineSpec) -> list[str]:
    one, other = (dump_policy(spec.elastic.policy if spec.elastic else MANUAL) for spec in (before, after))
    if after.elastic is None or one == other:
        return []
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return [f"elastic: {_compare_items(_pairs(one), _pairs(other))}"]
    return [f"elastic {_dump_policy(one)} → {_dump_policy(other)}"]


def _dump_policy(said: Any) -> str:
    return _shorten(", ".join(_pairs(said)) if isinstance(said, Mapping) else _dump_one(said))


def compare_settings(before: Mapping[str, Any], after: Mapping[str, Any], secrets: Collection[str]) -> list[str]:
    """A line for each setting that differs; of a list what comes and goes, of a secret nothing but that."""
    names = [name for name in sorted({**before, **after}) if _list(before.get(name)) != _list(after.get(name))]
    return [
        f"{name} is another secret" if name in secrets else _compare(name, before.get(name), after.get(name))
        for name in names
    ]


def _compare(part: str, before: Any, after: Any) -> str:
    name = _NAMES.get(part, part)
    if isinstance(before, Mapping) and isinstance(after, Mapping):
        return f"{name}: {_compare_items(_pairs(before), _pairs(after))}"
    if isinstance(before, list | tuple) and isinstance(after, list | tuple) and part not in ("command", "entrypoint"):
        one, other = ([dump_value(part, item) for item in items] for items in (before, after))
        if sorted(one) != sorted(other):
            return f"{name}: {_compare_items(one, other)}"
    return f"{name} {dump_value(part, before)} → {dump_value(part, after)}"


def _compare_items(before: list[str], after: list[str]) -> str:
    gone = [f"-{_shorten(item)}" for item in before if item not in after]
    new = [f"+{_shorten(item)}" for item in after if item not in before]
    return ", ".join([*gone, *new])


def _pairs(values: Mapping[str, Any]) -> list[str]:
    return [f"{name}={value}" for name, value in values.items()]


def dump_value(part: str, value: Any) -> str:
    """A value as it is written in a file, in one line that is not too long."""
    if value is None:
        return "default"
    if value in ((), []):
        return "none"
    if part in _SIZES:
        return dump_size(value)
    if part in _TIMES:
        return dump_duration(value)
    if isinstance(value, list | tuple):
        return _shorten(", ".join(dump_value("", item) for item in value))
    return _shorten(_dump_one(value))


def _dump_one(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, NicSpec):
        rest = [str(item) for item in (value.address, value.address6, value.mac) if item]
        return " ".join([value.network or "nowhere", *rest, *([] if value.pinned else ["not pinned"])])
    if isinstance(value, ExposeSpec):
        return str(value)
    if isinstance(value, MountSpec):
        return dump_mount(value)
    if isinstance(value, PublishSpec):
        return dump_publish(value)
    if isinstance(value, LimitsSpec | RoomResources):
        return ", ".join(f"{key} {dump_value(key, item)}" for key, item in value.model_dump(exclude_none=True).items())
    if isinstance(value, BaseModel):
        return ", ".join(f"{key} {_dump_one(item)}" for key, item in value.model_dump(exclude_none=True).items())
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)


def _shorten(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= LONGEST else f"{line[: LONGEST - 1]}…"


def _list(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value
