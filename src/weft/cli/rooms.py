"""Rooms: create, set, ls, inspect, top, logs, rm."""

import json
import sys
from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import click

from weft.cli.face import Face, format_option
from weft.cli.lifecycle import for_each
from weft.cli.params import MOMENT, ROOM
from weft.cli.printing import dump_age, dump_bytes, dump_memory, print_json, print_table, print_view
from weft.cli.room_options import resource_options, take_resources

_TITLES = ("NAME", "RUNNING", "NETWORKS", "INSERTS", "MEMORY", "FILE", "AGE")
Command = TypeVar("Command", bound="Callable[..., Any]")


def _room_argument(command: Command) -> Command:
    return click.argument("name", type=ROOM, required=False, metavar="[NAME]")(command)


@click.group(short_help="Make and look at rooms.")
def room() -> None:
    """Rooms: worlds of their own, with machines, networks, volumes and inserts.

    Names, addresses and address ranges are a room's own, and nothing crosses from one to another. Commands are about
    the room that `weft --room NAME` or $WEFT_ROOM names; without either, about `default`, which is always there.
    """


@room.command(short_help="Make a room.")
@click.argument("name")
@click.option("--description", default="", metavar="TEXT", help="What it is for.")
@click.option("--isolation", type=click.Choice(["normal", "strict"]),
              help="strict: it makes templates of its own, so its machines share no memory with others'.")  # fmt: skip
@resource_options
@format_option
@click.pass_obj
def create(face: Face, /, name: str, output: str, **wanted: Any) -> None:
    """Make the empty room NAME and print its name."""
    resources = take_resources(wanted)
    view = face.client().create_room(name, resources=resources, **wanted)
    if output == "json":
        print_json(view)
    else:
        print(view["name"])


@room.command("set", short_help="Change a room.")
@click.option("--description", metavar="TEXT", help="What it is for.")
@click.option("--isolation", type=click.Choice(["normal", "strict"]), help="As of a new room, from the next starts on.")
@resource_options
@_room_argument
@format_option
@click.pass_obj
def set_(face: Face, /, name: str | None, output: str, **wanted: Any) -> None:
    """Change what room NAME is guaranteed of the host, and the most that it gets, while its machines run. `none` takes
    a guarantee or a bound away.

    Guarantees are refused that the host has not. What machines have already stays when the most is less.
    """
    resources = take_resources(wanted)
    if not resources and all(value is None for value in wanted.values()):
        raise click.UsageError("nothing to change", click.get_current_context())
    client = face.client(room=name)
    view = client.change_room(client.room, resources=resources, **wanted)
    if output == "json":
        print_json(view)
    else:
        print(view["name"])


@room.command(short_help="List rooms.")
@format_option
@click.pass_obj
def ls(face: Face, output: str) -> None:
    """List the rooms. RUNNING is of how many machines; MEMORY is what those that run were promised."""
    views = face.client().rooms()
    if output == "json":
        print_json(views)
    else:
        print_table(_TITLES, map(_ls_row, views))


def _ls_row(view: Mapping[str, Any]) -> tuple[object, ...]:
    running = "broken" if view.get("broken") else f"{view['running']}/{view['machines']}"
    networks, memory = " ".join(view["networks"]), dump_memory(view["memory"])
    return view["name"], running, networks, view["inserts"], memory, view.get("file"), dump_age(view["created"])


@room.command(short_help="Show a room and all that is in it.")
@_room_argument
@format_option
@click.pass_obj
def inspect(face: Face, name: str | None, output: str) -> None:
    """Show all that is known of room NAME: its networks, its machines with their addresses and published ports, its
    inserts and volumes."""
    from weft.cli.machines import PS_TITLES, ps_row
    from weft.cli.networks import LS_TITLES, ls_row

    client = face.client(room=name)
    view = client.room_view(client.room)
    broken = view.get("broken") is not None
    parts: dict[str, list[dict[str, Any]]] = {
        "networks": [] if broken else client.networks(),
        "machines": [] if broken else client.machines(all=True),
        "inserts": [] if broken else client.inserts(),
        "volumes": [] if broken else client.volumes(),
    }
    if output == "json":
        print_json({"room": view, **parts})
        return
    print_view({**view, "resources": _dump_resources(view["resources"])})
    insert_titles = ("INSERT", "APPLIANCE", "PORT", "MODE", "FAIL", "STATE")
    tables = {
        "networks": (("NETWORK", *LS_TITLES[1:]), map(ls_row, parts["networks"])),
        "machines": (("MACHINE", *PS_TITLES[1:]), map(ps_row, parts["machines"])),
        "inserts": (insert_titles, map(_insert_row, parts["inserts"])),
        "volumes": (("VOLUME", "SIZE", "USED BY"), map(_volume_row, parts["volumes"])),
    }
    for key, (titles, rows) in tables.items():
        if parts[key]:
            print()
            print_table(titles, rows)


def _dump_resources(resources: Mapping[str, Any]) -> str:
    """What was said of them; sizes for people."""
    said = {key: value for key, value in resources.items() if value is not None}
    sizes = {key: dump_bytes(value) for key, value in said.items() if key in ("memory", "max_memory")}
    return " ".join(f"{key}={value}" for key, value in {**said, **sizes}.items())


def _insert_row(view: Mapping[str, Any]) -> tuple[object, ...]:
    return view["name"], view["appliance"], view["port"], view["mode"], view["fail"], view["state"]


def _volume_row(view: Mapping[str, Any]) -> tuple[object, ...]:
    users = dict.fromkeys(user["machine"] for user in view.get("users", []))
    return view["name"], dump_memory(view["size"]), " ".join(users)


@room.command(short_help="Show what a room's machines use.")
@click.option("--once", is_flag=True, help="Show it once; else it goes on.")
@_room_argument
@format_option
@click.pass_obj
def top(face: Face, once: bool, name: str | None, output: str) -> None:
    """Show what each machine of room NAME uses, and all together. As JSON: an object for each look, a line each.

    Columns are those of `weft stats`.
    """
    from weft.cli.insight import show_table, sum_samples, take_samples

    for views in take_samples(face.client(room=name), []):
        total = sum_samples(views)
        if output == "json":
            print(json.dumps({"machines": views, "total": total}), flush=True)
        else:
            show_table([*views, total], live=not once and sys.stdout.isatty())
        if once:
            return


@room.command(short_help="Print the logs of a room's machines.")
@click.option("-f", "--follow", is_flag=True, help="Go on as they grow, until Ctrl-C or the room's end.")
@click.option("--tail", "-n", type=click.IntRange(min=0), metavar="N", help="Only the last N lines of each machine.")
@click.option("--since", type=MOMENT, metavar="TIME", help="Only what was written since then: 10m, 2026-01-31T12:00.")
@click.option("--until", type=MOMENT, metavar="TIME", help="Only what was written until then.")
@click.option("-t", "--timestamps", is_flag=True, help="Put before each line when it was written.")
@_room_argument
@click.pass_obj
def logs(face: Face, /, name: str | None, **wanted: Any) -> None:
    """Print the serial logs of all machines of room NAME, each line with the machine's name before it.

    Lines are in the order in which they were written, right to half a second. With -f what was there before comes
    machine by machine, and machines that are made or started later join in.
    """
    from weft.cli.terminal import write_all

    client = face.client(room=name)
    width = max((len(view["name"]) for view in client.machines(all=True)), default=0)
    with client.open_room_logs(**wanted) as answer:
        rest = b""
        for piece in answer.pieces():
            *lines, rest = (rest + piece).split(b"\n")
            write_all(1, b"".join(_dump_line(line, width) for line in lines))


def _dump_line(line: bytes, width: int) -> bytes:
    name, _, text = line.partition(b"\t")
    return name.ljust(width) + b" | " + text + b"\n"


@room.command(short_help="Remove rooms.")
@click.option("-f", "--force", is_flag=True, help="With their machines and inserts.")
@click.option("--volumes", is_flag=True, help="With their volumes and snapshots.")
@click.argument("names", nargs=-1, required=True, type=ROOM, metavar="NAME...")
@format_option
@click.pass_obj
def rm(face: Face, force: bool, volumes: bool, names: tuple[str, ...], output: str) -> None:
    """Remove rooms with their networks. One that has machines or volumes stays, unless it is said that they go too."""
    client = face.client()
    for_each(names, lambda name: client.remove_room(name, force=force, volumes=volumes), output)
