"""The options that say what a machine may take of its host, and the part of its spec that they make."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from weft.cli.params import Parsed
from weft.model.errors import Invalid
from weft.model.units import parse_size

Command = TypeVar("Command", bound=Callable[..., Any])
NONE = "none"
"""What takes a limit away."""


def _parse_rate(text: str) -> int | str:
    return NONE if text == NONE else parse_size(text)


def _parse_count(text: str) -> int | str:
    if text != NONE and not text.isdecimal():
        raise Invalid(f"{text!r} is not a number")
    return text if text == NONE else int(text)


_RATE, _COUNT = Parsed("rate", _parse_rate), Parsed("number", _parse_count)
_OPTIONS = (
    click.option("--cpu-weight", type=_COUNT, metavar="N",
                 help="Its share of CPUs that others want too, 1 to 10000. Default: 100."),
    click.option("--disk-read", type=_RATE, metavar="SIZE", help="Bytes a second from its disks, like 10M."),
    click.option("--disk-write", type=_RATE, metavar="SIZE", help="Bytes a second to its disks."),
    click.option("--disk-read-ops", type=_COUNT, metavar="N", help="Reads a second."),
    click.option("--disk-write-ops", type=_COUNT, metavar="N", help="Writes a second."),
    click.option("--net-in", type=_RATE, metavar="SIZE", help="Bytes a second that it receives."),
    click.option("--net-out", type=_RATE, metavar="SIZE", help="Bytes a second that it sends."),
    click.option("--net-in-packets", type=_COUNT, metavar="N", help="Packets a second that it receives."),
    click.option("--net-out-packets", type=_COUNT, metavar="N", help="Packets a second that it sends."),
)  # fmt: skip
_NAMES = (
    "cpu_weight", "disk_read", "disk_write", "disk_read_ops", "disk_write_ops", "net_in", "net_out", "net_in_packets",
    "net_out_packets",
)  # fmt: skip


def limit_options(command: Command) -> Command:
    """All of them, in this order; their values are for `take_limits`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_limits(wanted: dict[str, Any]) -> dict[str, Any]:
    """What was said of limits, taken out of what was said at all; `none` stands for no limit."""
    return {name: value for name in _NAMES if (value := wanted.pop(name)) is not None}


def make_limits(said: Mapping[str, Any], before: Mapping[str, Any] | None = None) -> dict[str, Any] | None:
    """The limits of a spec: what was said, over those that there were; None when none are left."""
    limits = {**(before or {}), **said}
    return {name: value for name, value in limits.items() if value not in (NONE, None)} or None
