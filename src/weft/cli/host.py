"""The host: show, top."""

import json
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.printing import dump_bytes, dump_table, print_json
from weft.model.names import DEFAULT_ROOM

_EVERY = 1.0
_HOME_AND_CLEAR = "\x1b[H\x1b[J"
_HOST_TITLES = ("", "HAS", "FOR MACHINES", "PROMISED", "GRANTED", "FREE", "USED", "ON HOST", "AVAILABLE")
_ROOM_TITLES = (
    *("ROOM", "MACHINES", "GUARANTEED", "AT MOST", "PROMISED", "GRANTED", "USED", "ON HOST"),
    *("LENDS", "BORROWS", "GAVE", "CPUS"),
)
_MACHINE_TITLES = ("MACHINE", "PROMISED", "GRANTED", "LENT", "USED", "ON HOST", "GAVE", "CPUS", "IDLE")


@click.group(short_help="Show who has what of this host.")
def host() -> None:
    """The computer that machines run on, and its ledger: what is promised to rooms and machines and cannot be taken
    back, what is granted to machines now, and what they use.
    """


@host.command(short_help="Show it once.")
@format_option
@click.pass_obj
def show(face: Face, output: str) -> None:
    """Show what is promised, granted and used, of all rooms.

    Columns are those of `weft host top`.
    """
    view = face.client().host()
    if output == "json":
        print_json(view)
    else:
        print(dump_host(view))


@host.command(short_help="Show it, and go on.")
@click.option("--stream/--no-stream", default=True, help="Go on (default), or show it once.")
@format_option
@click.pass_obj
def top(face: Face, stream: bool, output: str) -> None:
    """Show who has what of this host, and who has lent what to whom. As JSON: an object for each look, a line each.

    PROMISED cannot be taken back: minima of machines that run, guarantees of rooms. GRANTED is what machines have; LENT
    is above their minimum and can be asked back, GAVE is what they gave and have not got again. USED is what guests
    cannot give up, ON HOST what their control groups hold of the host's memory. A room LENDS what it is promised and
    others have; it BORROWS what it has of others.
    """
    client = face.client()
    while True:
        view = client.host()
        if output == "json":
            print(json.dumps(view), flush=True)
        else:
            live = stream and sys.stdout.isatty()
            print(f"{_HOME_AND_CLEAR if live else ''}{dump_host(view)}", flush=True)
        if not stream:
            return
        time.sleep(_EVERY)


def dump_host(view: Mapping[str, Any]) -> str:
    """Tables of the host, its rooms and its machines, and a line for each loan."""
    parts = [dump_table(_HOST_TITLES, _host_rows(view)), dump_table(_ROOM_TITLES, map(_room_row, view["rooms"]))]
    if view["machines"]:
        parts.append(dump_table(_MACHINE_TITLES, map(_machine_row, view["machines"])))
    if words := list(_tell(view)):
        parts.append("\n".join(words))
    return "\n\n".join(parts)


def _host_rows(view: Mapping[str, Any]) -> Iterator[tuple[object, ...]]:
    sizes = ("memory", "capacity", "promised", "granted", "free", "used", "cost", "available")
    yield "memory", *(dump_bytes(view[key]) for key in sizes)
    overcommit = view["cpu_overcommit"]
    capacity = None if overcommit is None else f"{overcommit * view['cpus']:g}"
    yield "cpus", view["cpus"], capacity, f"{view['cpus_promised']:g}", view["cpus_granted"], None, None, None, None


def _room_row(room: Mapping[str, Any]) -> tuple[object, ...]:
    wanted = room["resources"]
    sizes = ("promised", "granted", "used", "cost", "lends", "borrows", "gave")
    return (
        room["name"],
        room["machines"],
        dump_bytes(wanted["memory"]),
        dump_bytes(wanted["max_memory"]),
        *(_dump_size(room[key]) for key in sizes),
        room["cpus_granted"],
    )


def _machine_row(machine: Mapping[str, Any]) -> tuple[object, ...]:
    prefix = "" if machine["room"] == DEFAULT_ROOM else f"{machine['room']}:"
    return (
        f"{prefix}{machine['name']}",
        *(_dump_size(machine[key]) for key in ("promised", "granted", "lent", "used", "cost", "gave")),
        f"{machine['cpus_granted']}/{machine['cpus_promised']}",
        machine["idle"],
    )


def _tell(view: Mapping[str, Any]) -> Iterator[str]:
    if view["tight"]:
        yield "The host is short of memory, or was a moment ago: machines give back what they were lent."
    for loan in view["loans"]:
        yield f"{loan['lender']} lends {dump_bytes(loan['memory'])} to {loan['borrower']}"


def _dump_size(size: int | None) -> str:
    return dump_bytes(size or None)
