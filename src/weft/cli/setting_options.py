"""Settings on the command line: KEY=VALUE, and files of them."""

import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from weft.model.errors import Invalid

Command = TypeVar("Command", bound=Callable[..., Any])
_TABLES = ("weft", "unknown")
"""What an export says besides settings."""

_OPTIONS: Sequence[Callable[[Any], Any]] = (
    click.option("--set", "values", multiple=True, metavar="KEY=VALUE",
                 help="A setting of an appliance to begin with; repeat for more."),
    click.option("--settings", "settings_file", type=click.Path(exists=True, dir_okay=False, path_type=Path),
                 metavar="FILE", help="Settings of an appliance to begin with, as a TOML file."),
)  # fmt: skip


def settings_options(command: Command) -> Command:
    """`--set` and `--settings` of commands that make an appliance; `read_settings` takes what they give."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def read_settings(values: Sequence[str], file: Path | None) -> dict[str, Any]:
    """What both say together; KEY=VALUE counts more than the file. Raises Invalid for a file that is no TOML."""
    found = {key: value for key, value in _read(file).items() if key not in _TABLES} if file else {}
    return found | dict(map(split_setting, values))


def split_setting(text: str) -> tuple[str, str]:
    """Name and value of `KEY=VALUE`."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise click.UsageError(f"{text!r} is not KEY=VALUE", click.get_current_context())
    return key.strip(), value


def _read(file: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(file.read_text())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as err:
        raise Invalid(f"{file}: {err}") from err
