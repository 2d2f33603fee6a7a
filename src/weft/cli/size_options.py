"""The options of `weft run` and `weft update` that say how large a machine is, and how far it may grow."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from weft.cli.params import Parsed
from weft.model.ranges import parse_cpus, parse_memory

Command = TypeVar("Command", bound=Callable[..., Any])
CPUS = Parsed("cpus", parse_cpus)
MEMORY = Parsed("memory", parse_memory)
_PROFILES = click.Choice(["microvm", "q35", "pc"])


def size_options(*, cpus: str, memory: str, profile: str) -> Callable[[Command], Command]:
    """`--cpus`, `--memory`, `--elastic` and `--profile`, with what is to be said of what is usual."""
    options = (
        click.option("--memory", type=MEMORY, metavar="SIZE|[MIN]..MAX",
                     help=f"Its memory, like 64M, or from what to what it may change, like 64M..2G. {memory}".rstrip()),
        click.option("--cpus", type=CPUS, metavar="N|[MIN]..MAX",
                     help=f"Its number of CPUs, or from what to what it may change, like 1..4. {cpus}".rstrip()),
        click.option("--elastic/--no-elastic", default=None,
                     help="Let it grow and shrink by itself when it needs to, or only by `weft scale` (default)."),
        click.option("--profile", type=_PROFILES, help=f"The cheapest kind of machine, or one with PCI. {profile}"),
    )  # fmt: skip

    def add(command: Command) -> Command:
        for option in reversed(options):
            command = option(command)
        return command

    return add
