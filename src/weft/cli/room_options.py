"""The options that say what a room is guaranteed of its host, and the part of its spec that they make."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from weft.cli.params import Parsed
from weft.model.errors import Invalid
from weft.model.units import parse_size

Command = TypeVar("Command", bound=Callable[..., Any])
NONE = "none"
"""What takes a guarantee or a bound away."""


def _parse_size(text: str) -> int | str:
    return NONE if text == NONE else parse_size(text)


def _parse_cpus(text: str) -> float | str:
    if text == NONE:
        return NONE
    try:
        return float(text)
    except ValueError as err:
        raise Invalid(f"{text!r} is no number of CPUs", hint="write it like 2 or 0.5") from err


_SIZE, _CPUS = Parsed("size", _parse_size), Parsed("cpus", _parse_cpus)
_OPTIONS = (
    click.option("--memory", type=_SIZE, metavar="SIZE", help="Guaranteed: kept for its machines, run they or not."),
    click.option("--max-memory", type=_SIZE, metavar="SIZE", help="Its machines have no more, all together."),
    click.option("--cpus", type=_CPUS, metavar="N", help="Guaranteed: it gets so many when all want more, like 1.5."),
    click.option("--max-cpus", type=_CPUS, metavar="N", help="It gets no more, whether or not others want any."),
    click.option("--cpu-weight", type=click.IntRange(1, 10_000), metavar="N",
                 help="Its share of CPUs that nobody is guaranteed, 1 to 10000. Default: 100."),
)  # fmt: skip
_NAMES = ("memory", "max_memory", "cpus", "max_cpus", "cpu_weight")


def resource_options(command: Command) -> Command:
    """All of them, in this order; their values are for `take_resources`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_resources(wanted: dict[str, Any]) -> dict[str, Any]:
    """What was said of resources, taken out of what was said at all; None for what is to be none."""
    said = {name: value for name in _NAMES if (value := wanted.pop(name)) is not None}
    return {name: None if value == NONE else value for name, value in said.items()}
