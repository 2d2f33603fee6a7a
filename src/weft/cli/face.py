"""What every command starts from: the fabric it talks to, and the option that says how to print."""

from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import click

if TYPE_CHECKING:
    from collections.abc import Callable

    from weft.client import Client

Command = TypeVar("Command", bound="Callable[..., Any]")


class Face:
    """One invocation: which fabric and which room of it, and a client for it, made when it is first wanted."""

    def __init__(self, home: Path | None = None, room: str | None = None) -> None:
        self._home = home
        self._room = room

    @property
    def room(self) -> str:
        """The room that this is about."""
        return self.client().room

    @property
    def chosen_room(self) -> str | None:
        """The room that the command line names, if it does."""
        return self._room

    @property
    def home(self) -> Path:
        """The fabric's folder, absolute."""
        return self.client().home

    def client(self, *, room: str | None = None, start: bool = True, timeout: float = 30.0) -> "Client":
        """A client of our room or another; with `start`, it starts the daemon if none answers."""
        from weft.client import Client

        return Client(self._home, room=room or self._room, start=start, timeout=timeout)


def format_option(command: Command) -> Command:
    """`--format table|json`, passed as `output`."""
    return click.option(
        "--format",
        "output",
        type=click.Choice(["table", "json"]),
        default="table",
        show_default=True,
        help="How to print: for people, or for programs.",
    )(command)


def all_rooms_option(command: Command) -> Command:
    """`-A`, passed as `all_rooms`."""
    return click.option("-A", "--all-rooms", is_flag=True, help="Of all rooms.")(command)


def wait_option(command: Command) -> Command:
    """`--no-wait`, passed as `wait`."""
    return click.option(
        "--wait/--no-wait", default=True, help="Return when it is done (default), or as soon as it is asked for."
    )(command)
