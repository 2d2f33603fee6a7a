"""Sizes of machines as people write them: one alone is fixed, `1..4` and `128M..2G` may change while it runs. Pure."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from weft.model.errors import Invalid
from weft.model.units import dump_size, parse_size

BETWEEN = ".."
NO_ROOM = "an elastic machine needs room to grow"


@dataclass(frozen=True, slots=True)
class Range:
    """Processors, or bytes of memory, from `least` to `most`. No `least`: as usual; no `most`: it is fixed."""

    least: int | None = None
    most: int | None = None


def parse_cpus(text: str) -> Range:
    """Numbers of processors from `2`, `1..4` or `..4`. Raises Invalid."""
    return _parse_range(text, _parse_number, "1..4")


def parse_memory(text: str) -> Range:
    """Sizes of memory from `64M`, `128M..2G` or `..2G`. Raises Invalid."""
    return _parse_range(text, parse_size, "128M..2G")


@dataclass(frozen=True, slots=True)
class Wish:
    """Another size: so many processors or bytes, or so much more, or less, than now."""

    size: int
    is_change: bool = False


def parse_cpus_wish(text: str) -> Wish:
    """Another number of processors from `2`, `+1` or `-1`. Raises Invalid."""
    return _parse_wish(text, _parse_number, "2, +1 or -1")


def parse_memory_wish(text: str) -> Wish:
    """Another size of memory from `1G`, `+512M` or `-512M`. Raises Invalid."""
    return _parse_wish(text, parse_size, "1G, +512M or -512M")


def _parse_wish(text: str, parse: Callable[[str], int], examples: str) -> Wish:
    if BETWEEN in text:
        raise Invalid(f"{text!r} is a range", hint=f"write it like {examples}; weft update changes ranges")
    sign = text[:1] if text[:1] in ("+", "-") else ""
    try:
        size = parse(text.removeprefix(sign))
    except Invalid as err:
        raise Invalid(err.message, hint=f"write it like {examples}") from err
    return Wish(-size if sign == "-" else size, bool(sign))


def _parse_range(text: str, parse: Callable[[str], int], example: str) -> Range:
    first, between, last = text.partition(BETWEEN)
    if not between:
        return Range(parse(text))
    if not last.strip():
        raise Invalid(f"range {text!r} has no end", hint=f"write it like {example}")
    least, most = parse(first) if first.strip() else None, parse(last)
    if least is not None and most < least:
        raise Invalid(f"range {text!r} ends below its beginning", hint=f"write it like {example}")
    return Range(least, None if most == least else most)


def _parse_number(text: str) -> int:
    if not (text.strip().isdecimal() and int(text)):
        raise Invalid(f"{text!r} is not a number of CPUs", hint="write it like 2 or 1..4")
    return int(text)


def dump_cpus(sizes: Range) -> str:
    """As it is written."""
    return _dump_range(sizes, str)


def dump_memory(sizes: Range) -> str:
    """As it is written."""
    return _dump_range(sizes, dump_size)


def _dump_range(sizes: Range, dump: Callable[[int], str]) -> str:
    least = "" if sizes.least is None else dump(sizes.least)
    return least if sizes.most is None else f"{least}{BETWEEN}{dump(sizes.most)}"


def make_sizes(cpus: Range | None, memory: Range | None, elastic: bool | None) -> dict[str, Any]:
    """The part of a new machine's spec. `elastic`: whether it is to grow and shrink by itself. Raises Invalid."""
    sizes = change_sizes(cpus, memory, elastic)
    growth = {key: value for key, value in sizes.pop("elastic", {}).items() if value is not None}
    if growth.keys() <= {"policy"}:
        if elastic:
            raise Invalid(NO_ROOM, hint="say how far: --cpus 1..4, or --memory ..2G")
        return sizes
    return {**sizes, "elastic": growth}


def change_sizes(cpus: Range | None, memory: Range | None, elastic: bool | None) -> dict[str, Any]:
    """Changes of a machine's spec: what a range does not say stays, and a size alone is fixed."""
    sizes: dict[str, Any] = {}
    growth: dict[str, Any] = {}
    for key, wanted in (("cpus", cpus), ("memory", memory)):
        if wanted is not None:
            growth[f"max_{key}"] = wanted.most
            sizes |= {} if wanted.least is None else {key: wanted.least}
    if elastic is not None:
        growth["policy"] = {"mode": "auto" if elastic else "manual"}
    return {**sizes, "elastic": growth} if growth else sizes
