"""Settings that are lists of lines: their items, and what is wrong with one, named by setting and item. Pure."""

import re
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeVar

Values = Mapping[str, Any]
Parsed = TypeVar("Parsed")

LABEL = re.compile(r"[a-z0-9_]([a-z0-9_-]{0,61}[a-z0-9_])?")
"""One part of a name of the DNS, in lower case."""


def list_items(values: Values, name: str) -> Iterator[tuple[str, str]]:
    """The lines of a list setting, each with its own name, like `dhcp[0]`. Empty lines are passed over."""
    for index, line in enumerate(values.get(name) or ()):
        if line.strip():
            yield f"{name}[{index}]", line.strip()


def parse_items(
    values: Values, name: str, parse: Callable[[str], Parsed], problems: list[str] | None = None
) -> dict[str, Parsed]:
    """The items of a list setting by their names. What cannot be read is left out, and told in `problems`."""
    parsed: dict[str, Parsed] = {}
    for where, line in list_items(values, name):
        try:
            parsed[where] = parse(line)
        except ValueError as err:
            if problems is not None:
                problems.append(f"{where}: {err}")
    return parsed


def find_twice(items: Mapping[str, Any], what: str) -> list[str]:
    """A problem for each item whose value another one before it has, too; None is no value."""
    first: dict[Any, str] = {}
    problems = []
    for where, value in items.items():
        if value is None:
            continue
        if value in first:
            problems.append(f"{where}: {what} {value} is that of {first[value]}")
        first.setdefault(value, where)
    return problems
