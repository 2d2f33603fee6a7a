"""The options that put other media into a machine's drives."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from weft.cli.params import Parsed

Command = TypeVar("Command", bound=Callable[..., Any])
NONE = "none"
"""What takes a medium out."""


def _parse_file(text: str) -> str | None:
    """A path is of where we are; a file of that name is `./none`."""
    return None if text == NONE else str(Path.cwd() / text)


_FILE = Parsed("file", _parse_file)
_OPTIONS = (
    click.option("--cdrom", "cdroms", type=_FILE, multiple=True, metavar="FILE",
                 help="Of a machine with its own system: its CDs, in place of those it has; `none`."),
    click.option("--floppy-drive", type=_FILE, metavar="FILE", help="The floppy in its drive; `none`."),
    click.option("--disk", "disks", type=_FILE, multiple=True, metavar="FILE",
                 help="Its disks, in place of those it has; `none`."),
)  # fmt: skip


def media_options(command: Command) -> Command:
    """All of them, in this order; their values are for `take_media`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_media(wanted: dict[str, Any]) -> dict[str, Any]:
    """What they change of a machine's system, taken out of `wanted`."""
    context = click.get_current_context()
    said = {name: wanted.pop(name) for name in ("cdroms", "floppy_drive", "disks")}
    asked = {name: value for name, value in said.items() if _is_said(context, name)}
    return {name: list(filter(None, value)) if isinstance(value, tuple) else value for name, value in asked.items()}


def _is_said(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is not click.core.ParameterSource.DEFAULT
