"""The fabric as a whole: events, serve, shutdown, version, completion."""

import json
import os
import select
import sys
import time
from typing import Any

import click

from weft.cli.face import Face, all_rooms_option, format_option
from weft.cli.params import MOMENT
from weft.cli.printing import print_json
from weft.model.errors import Invalid, Unavailable, WeftError

_SHUTDOWN_TIMEOUT = 60.0


@click.command(short_help="Print what happened.")
@click.option("-f", "--follow", is_flag=True, help="Go on as things happen.")
@click.option("--since", type=MOMENT, metavar="TIME", help="Only what happened since then: 10m, 2026-01-31T12:00.")
@click.option("--until", type=MOMENT, metavar="TIME", help="Only until then; with -f, end then.")
@click.option("--after", type=int, metavar="ID", help="Only what came after the event with this id.")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE",
              help="`kind=machine.ready`, `kind=machine` or `machine=NAME`; of several with one KEY any.")  # fmt: skip
@all_rooms_option
@format_option
@click.pass_obj
def events(
    face: Face,
    /,
    *,
    follow: bool,
    since: float | None,
    until: float | None,
    after: int | None,
    filters: tuple[str, ...],
    all_rooms: bool,
    output: str,
) -> None:
    """Print what happened in the room, and to what all rooms share. As JSON: one object a line.

    The daemon keeps the last 2000 events of its own life. A filter for `machine` also takes inserts and networks.
    """
    kinds, machines = parse_filters(filters)
    wanted: dict[str, Any] = {"since": after, "after": since, "until": until, "kinds": kinds, "machines": machines}
    for event in face.client().events(follow=follow, all_rooms=all_rooms, **wanted):
        print(json.dumps(event) if output == "json" else _dump_event(event, all_rooms=all_rooms), flush=True)


def parse_filters(filters: tuple[str, ...]) -> tuple[list[str], list[str]]:
    """Kinds and names. Raises Invalid."""
    found: dict[str, list[str]] = {"kind": [], "machine": []}
    for text in filters:
        key, _, value = text.partition("=")
        if key not in found or not value:
            raise Invalid(f"filter {text!r} is neither kind=KIND nor machine=NAME")
        found[key].append(value)
    return found["kind"], found["machine"]


def _dump_event(event: dict[str, Any], *, all_rooms: bool) -> str:
    clock = time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(event.get("time") or 0))
    room = f"{event.get('room') or '-'}  " if all_rooms else ""
    kind, subject = event.get("kind", ""), event.get("subject") or "-"
    return f"{clock}  {kind:<18} {room}{subject}  {event.get('text') or ''}".rstrip()


@click.command(short_help="Run the daemon in the foreground.")
@click.pass_obj
def serve(face: Face) -> None:
    """Run the daemon in the foreground until it is told to end. Machines outlive it."""
    # The same process becomes the daemon: signals and a service manager's notices reach it without a go-between.
    sys.stdout.flush()
    os.execv(sys.executable, [sys.executable, "-m", "weft.daemon", "--home", str(face.home)])


@click.command(short_help="End the daemon.")
@click.option("--machines", is_flag=True, help="Also stop every machine and take the networks down.")
@click.pass_obj
def shutdown(face: Face, machines: bool) -> None:
    """End the daemon. Machines and their network run on unless --machines is given."""
    # Machines may run without a daemon, and it takes one to stop them.
    client = face.client(start=machines)
    daemon = os.pidfd_open(client.version()["pid"])
    client.shutdown(machines=machines)
    # The descriptor becomes readable when the process has ended: its lock is free then, and all it took down is down.
    if not select.select([daemon], [], [], _SHUTDOWN_TIMEOUT)[0]:
        raise Unavailable(f"the daemon of {client.home} still runs after {_SHUTDOWN_TIMEOUT:g} seconds")


@click.command(short_help="Print the versions of command and daemon.")
@format_option
@click.pass_obj
def version(face: Face, output: str) -> None:
    """Print the version of this command, and of the daemon if one runs."""
    from weft import __version__

    try:
        daemon: dict[str, Any] | None = face.client(start=False).version()
    except WeftError:
        daemon = None
    if output == "json":
        print_json({"client": __version__, "home": str(face.home), "daemon": daemon})
        return
    print(f"weft    {__version__}")
    print(f"daemon  {_dump_daemon(daemon)}")
    print(f"home    {face.home}")


def _dump_daemon(daemon: dict[str, Any] | None) -> str:
    if daemon is None:
        return "not running"
    return f"{daemon['version']} (API {daemon['api']}, pid {daemon['pid']}, {daemon['accel']})"


@click.command(short_help="Print a completion script for a shell.")
@click.argument("shell", type=click.Choice(["bash", "zsh", "fish"]))
def completion(shell: str) -> None:
    """Print the script that lets SHELL complete commands, options and names.

    For bash: eval "$(weft completion bash)".
    """
    from click.shell_completion import get_completion_class

    from weft.cli.main import weft

    if completer := get_completion_class(shell):
        print(completer(weft, {}, "weft", "_WEFT_COMPLETE").source())
