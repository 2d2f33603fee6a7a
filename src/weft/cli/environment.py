"""Environment variables as container users give them: `NAME=VALUE`, `NAME` for one of ours, and files of these."""

import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import click

from weft.model.errors import Invalid, NotFound

Command = TypeVar("Command", bound="Callable[..., Any]")


def environment_options(command: Command) -> Command:
    """`-e` and `--env-file`, passed as `environment` and `env_files`."""
    command = click.option(
        "--env-file",
        "env_files",
        type=click.Path(path_type=Path),
        multiple=True,
        metavar="FILE",
        help="Read variables from FILE, one a line; `#` begins a comment. `-e` goes over them.",
    )(command)
    return click.option(
        "-e",
        "--env",
        "environment",
        multiple=True,
        metavar="NAME[=VALUE]",
        help="Set in its environment; without a value: what it is in ours.",
    )(command)


def read_environment(pairs: Iterable[str], files: Iterable[Path] = ()) -> dict[str, str]:
    """Files first, in order, then pairs; a name without a value that is not set here is left out.

    Raises Invalid, or NotFound for a file that cannot be read.
    """
    words = [(f"{file}: {line!r}", line) for file in files for line in _read_lines(file)]
    words += [(f"environment {pair!r}", pair) for pair in pairs]
    return dict(found for where, text in words if (found := _parse_variable(text, where)))


def _parse_variable(text: str, where: str) -> tuple[str, str] | None:
    name, equals, value = text.partition("=")
    if not name or any(c.isspace() for c in name) or "\0" in text:
        raise Invalid(f"{where} is not NAME=VALUE")
    if equals:
        return name, value
    return (name, os.environ[name]) if name in os.environ else None


def _read_lines(file: Path) -> Iterator[str]:
    try:
        text = file.read_text()
    except (OSError, UnicodeDecodeError) as err:
        raise NotFound(f"environment file {file} cannot be read: {getattr(err, 'strerror', None) or err}") from err
    for line in text.splitlines():
        if line.strip() and not line.lstrip().startswith("#"):
            yield line.lstrip()
