"""What commands on fabric files have in common: which file it is, what is wanted of it, and how its errors are told."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import click

from weft.cli.face import Face
from weft.cli.params import ROOM
from weft.cli.report import USAGE_STATUS, dump_printable, report_error
from weft.model.errors import Invalid, NotFound

Command = TypeVar("Command", bound="Callable[..., Any]")
NAMES = ("weft.yaml", "weft.yml")
"""What a file is called that nobody names."""


@dataclass(frozen=True, slots=True)
class File:
    """A fabric file: as it was named, its absolute path, what it says."""

    name: str
    path: str
    text: str

    @property
    def request(self) -> dict[str, Any]:
        """As the client takes it."""
        return {"path": self.path, "text": self.text}


def read_fabric_file(name: str | None, *, missing: bool = False) -> File:
    """The file of this name, or the one in the working directory. Raises NotFound, Invalid.

    `missing`: it need not be there any more, where its path is all that is needed.
    """
    found = name or next(filter(os.path.isfile, NAMES), NAMES[0])
    path = os.path.abspath(found)  # noqa: PTH100 (links are the host's business, `..` is not)
    try:
        return File(found, path, Path(found).read_text("utf-8"))
    except FileNotFoundError as err:
        if missing:
            return File(found, path, "")
        hint = None if name else "name a file, or go where one is"
        raise NotFound(f"there is no {found}{'' if name else ' here'}", hint=hint) from err
    except OSError as err:
        raise NotFound(f"{found} cannot be read: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise Invalid(f"{found} is not a text in UTF-8") from err


def find_rooms(face: Face, rooms: tuple[str, ...]) -> list[str]:
    """The rooms that it is about, by the command's own option or that of `weft`; none: all of the file."""
    return [*rooms] or ([face.chosen_room] if face.chosen_room else [])


@contextmanager
def telling_problems(file: File) -> Iterator[None]:
    """What is wrong with a file is told by its lines, without indentation: editors find their way by them."""
    try:
        yield
    except Invalid as err:
        if not err.detail:
            raise
        for line in err.detail.splitlines():
            name = file.name if line.startswith(f"{file.path}:") else ""
            print(dump_printable(name + line.removeprefix(file.path) if name else line), file=sys.stderr)
        report_error(Invalid(err.message.replace(file.path, file.name)))
        raise click.exceptions.Exit(USAGE_STATUS) from err


def file_argument(command: Command) -> Command:
    """`[FILE]`, passed as `name`."""
    return click.argument("name", required=False, metavar="[FILE]", type=click.Path(dir_okay=False))(command)


def rooms_option(command: Command) -> Command:
    """`--room`, passed as `rooms`."""
    return click.option(
        "--room", "rooms", multiple=True, type=ROOM, metavar="ROOM", help="Of this room of it only. Can be repeated."
    )(command)


def images_options(command: Command) -> Command:
    """`--build` and `--pull`."""
    command = click.option("--pull", is_flag=True, help="Fetch images anew that registries have anew.")(command)
    return click.option("--build", is_flag=True, help="Build images anew whose recipes have changed.")(command)
