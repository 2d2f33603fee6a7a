"""What does not have the shape that a fabric file has: pydantic's findings in our words. Pure."""

import difflib
from collections.abc import Callable, Mapping
from typing import Any

from pydantic import BaseModel

from weft.model.elastic import ElasticPolicy
from weft.model.fabric_file import FabricFile, InsertFile, NetworkFile, PoolFile, ResourcesFile, RoomFile, VolumeFile
from weft.model.foreign_file import ForeignFile, Plan9File
from weft.model.machine_file import HealthFile, MachineFile, NicFile
from weft.model.units import dump_size
from weft.plan.fabric_file.places import Finding, Path

_PARTS: dict[tuple[str, ...], type[BaseModel]] = {
    (): FabricFile,
    ("rooms", "*"): RoomFile,
    ("rooms", "*", "networks", "*"): NetworkFile,
    ("rooms", "*", "machines", "*"): MachineFile,
    ("rooms", "*", "machines", "*", "networks", "*"): NicFile,
    ("rooms", "*", "resources"): ResourcesFile,
    ("rooms", "*", "machines", "*", "health"): HealthFile,
    ("rooms", "*", "machines", "*", "elastic"): ElasticPolicy,
    ("rooms", "*", "machines", "*", "foreign"): ForeignFile,
    ("rooms", "*", "machines", "*", "foreign", "plan9"): Plan9File,
    ("rooms", "*", "inserts", "*"): InsertFile,
    ("rooms", "*", "volumes", "*"): VolumeFile,
    ("rooms", "*", "pool", "*"): PoolFile,
}
"""Which part of the model is where; a star stands for any name or number."""
_SIZES = ("memory", "max_memory", "size")
Error = Mapping[str, Any]


def find_shape_fault(error: Error) -> Finding:
    """What one of pydantic's errors says."""
    path: Path = tuple(error["loc"])
    if path[-1:] == ("[key]",):
        return Finding(path[:-1], dump_fault(error), at_key=True)
    if error["type"] == "extra_forbidden":
        return Finding(path, _dump_unknown(path), at_key=True)
    if error["type"] == "missing":
        return Finding(path[:-1], f"`{path[-1]}` is needed", at_key=True)
    return Finding(path, dump_fault(error))


def find_keys(path: Path) -> list[str]:
    """The keys that can be at a path; none where any can be, or nothing below."""
    part = next((part for pattern, part in _PARTS.items() if _matches(pattern, path)), None)
    return [field.alias or name for name, field in part.model_fields.items()] if part else []


def _matches(pattern: tuple[str, ...], path: Path) -> bool:
    return len(pattern) == len(path) and all(p in ("*", step) for p, step in zip(pattern, path, strict=True))


def _dump_unknown(path: Path) -> str:
    key, known = str(path[-1]), find_keys(path[:-1])
    return f"unknown key {key!r}{suggest(key, known)}"


def suggest(word: str, known: list[str]) -> str:
    """The question whether another word was meant, if there is one like it; else which there are, if they are few."""
    close = difflib.get_close_matches(word.replace("-", "_"), known, 1, 0.6) or difflib.get_close_matches(
        word, known, 1
    )
    if close:
        return f"; did you mean {close[0]!r}?"
    return f"; there are {', '.join(known)}" if 0 < len(known) <= 6 else ""


def dump_fault(error: Error) -> str:
    """What does not fit, in our words where there are some."""
    kind, context = error["type"], error.get("ctx", {})
    if kind in _MESSAGES:
        return _MESSAGES[kind](error, context)
    return str(error["msg"]).removeprefix("Value error, ")


def _dump_bound(words: str, key: str) -> Callable[[Error, Error], str]:
    def dump(error: Error, context: Error) -> str:
        bound, value = context[key], error["input"]
        if error["loc"][-1] in _SIZES:
            return f"must be {words} {dump_size(int(bound))}, not {dump_size(value) if _is_number(value) else value}"
        return f"must be {words} {bound:g}, not {value}"

    return dump


def _is_number(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _expects(what: str) -> Callable[[Error, Error], str]:
    return lambda error, _context: f"must be {what}, not {dump_kind(error['input'])}"


def dump_kind(value: Any) -> str:
    """A value in a few words: its text if it is short, else its kind."""
    if value is None:
        return "nothing"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, Mapping):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    return repr(value) if len(str(value)) <= 60 else "a longer text"


_PATTERNS = {
    "mac": "the hardware address of one station, like 02:00:00:00:00:01",
    "user": "USER or USER:GROUP",
}
_SORTS = {"cpus": "a number, or a range like 1..4", "memory": "a size, or a range like 128M..2G"}
_MESSAGES: dict[str, Callable[[Error, Error], str]] = {
    "greater_than": _dump_bound("more than", "gt"),
    "greater_than_equal": _dump_bound("at least", "ge"),
    "less_than_equal": _dump_bound("at most", "le"),
    "string_type": _expects("a text"),
    "int_type": _expects("a whole number"),
    "int_parsing": _expects("a whole number"),
    "int_from_float": _expects("a whole number"),
    "float_type": _expects("a number"),
    "float_parsing": _expects("a number"),
    "bool_type": _expects("true or false"),
    "bool_parsing": _expects("true or false"),
    "tuple_type": _expects("a list"),
    "dict_type": _expects("a mapping"),
    "model_type": _expects("a mapping"),
    "enum": lambda error, context: f"must be {context['expected']}, not {dump_kind(error['input'])}",
    "literal_error": lambda error, context: f"must be {context['expected']}, not {dump_kind(error['input'])}",
    "ip_v4_network": _expects("an IPv4 network like 10.1.2.0/24"),
    "ip_v6_network": _expects("an IPv6 network like fd00:1::/64"),
    "ip_v4_address": _expects("an IPv4 address"),
    "ip_v6_address": _expects("an IPv6 address"),
    "too_long": lambda _error, context: f"must be at most {context['max_length']}, not {context['actual_length']}",
    "string_too_short": lambda _error, _context: "must not be empty",
    "is_instance_of": lambda error, _context: f"must be {_SORTS[error['loc'][-1]]}, not {dump_kind(error['input'])}",
    "string_pattern_mismatch": lambda error, _context: _dump_pattern(error),
}


def _dump_pattern(error: Error) -> str:
    what = _PATTERNS.get(str(error["loc"][-1]), "of another form")
    return f"must be {what}, not {dump_kind(error['input'])}"
