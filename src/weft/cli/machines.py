"""Looking at machines: ps, inspect, logs."""

from collections.abc import Callable, Mapping
from typing import Any

import click

from weft.cli.face import Face, all_rooms_option, format_option
from weft.cli.params import MACHINE, MOMENT
from weft.cli.printing import dump_age, dump_memory, print_json, print_table, print_view

PS_TITLES = ("NAME", "STATE", "IMAGE", "ADDRESS", "PORTS", "MEMORY", "CPUS", "PID", "AGE")


@click.command(short_help="List machines.")
@click.option("-a", "--all", "everything", is_flag=True, help="Also those that do not run.")
@click.option("--filter", "filters", multiple=True, metavar="KEY=VALUE",
              help="Only those with this label=KEY[=VALUE], state, health, image, network or name.")  # fmt: skip
@all_rooms_option
@format_option
@click.pass_obj
def ps(face: Face, everything: bool, filters: tuple[str, ...], all_rooms: bool, output: str) -> None:
    """List the machines that run, inserts included."""
    views = face.client().machines(all=everything, filters=filters, all_rooms=all_rooms)
    if output == "json":
        print_json(views)
    elif all_rooms:
        print_table(("ROOM", *PS_TITLES), ((view["room"], *ps_row(view)) for view in views))
    else:
        print_table(PS_TITLES, map(ps_row, views))


def ps_row(view: Mapping[str, Any]) -> tuple[object, ...]:
    """A machine's line, under `PS_TITLES`."""
    return (
        view["name"],
        dump_state(view),
        view["image"],
        dump_place(view),
        ", ".join(map(dump_port, view.get("ports", []))),
        *dump_sizes(view),
        view.get("pid"),
        dump_age(view["created"]),
    )


def dump_sizes(view: Mapping[str, Any]) -> tuple[str, str]:
    """Its memory and its number of CPUs; where that may change, of how much at most: `512M/2G`."""
    elastic = view.get("elastic") or {}
    return (
        dump_memory(view["memory"]) + _dump_most(elastic.get("memory"), dump_memory),
        str(view["cpus"]) + _dump_most(elastic.get("cpus"), str),
    )


def _dump_most(resource: Mapping[str, Any] | None, dump: Callable[[int], str]) -> str:
    return f"/{dump(resource['maximum'])}" if resource and resource["maximum"] > resource["minimum"] else ""


def describe_elastic(view: Mapping[str, Any] | None) -> list[dict[str, Any]]:
    """How far its size may change and how, in a few lines; none where it is fixed."""
    if view is None:
        return []
    lines: list[dict[str, Any]] = []
    for key, dump in (("cpus", str), ("memory", dump_memory)):
        part = view[key]
        if part["maximum"] > part["minimum"]:
            span = f"{dump(part['minimum'])}..{dump(part['maximum'])}"
            lines.append({key: span, "by": part["mechanism"] or None, "lost": part["lost"] or None})
    return [*lines, {"policy": view["policy"]["mode"]}]


def dump_state(view: Mapping[str, Any]) -> str:
    """A machine's state, and its health where something checks that."""
    health = view.get("health")
    return f"{view['state']} ({health['status']})" if health else str(view["state"])


def dump_port(port: Mapping[str, Any]) -> str:
    """A published port as `8080->80/tcp`, with the host's address where it is one in particular."""
    address = "" if port["host_address"] == "0.0.0.0" else f"{port['host_address']}:"
    return f"{address}{port['host_port'] or '?'}->{port['guest_port']}/{port['protocol']}"


def dump_place(view: Mapping[str, Any]) -> str:
    """Where a machine is: its addresses with their networks, or the port it is inserted at."""
    if port := view.get("insert"):
        return f"before {port}"
    places = [place for place in view.get("networks", []) if place.get("network")]
    return ", ".join(f"{place.get('address') or '?'} ({place['network']})" for place in places)


@click.command(short_help="Show all that is known of a machine.")
@click.argument("name", type=MACHINE)
@format_option
@click.pass_obj
def inspect(face: Face, name: str, output: str) -> None:
    """Show all that is known of machine NAME.

    In JSON sizes are in bytes, and times in seconds since the epoch.
    """
    view = face.client().machine(name)
    if output == "json":
        print_json(view)
    else:
        print_view({**view, "elastic": describe_elastic(view.get("elastic"))})


@click.command(short_help="Show a machine's published ports.")
@click.argument("name", type=MACHINE)
@format_option
@click.pass_obj
def port(face: Face, name: str, output: str) -> None:
    """Show which ports of the host lead to machine NAME."""
    ports = face.client().machine(name).get("ports", [])
    if output == "json":
        print_json(ports)
        return
    for published in ports:
        place = f"{published['host_address']}:{published['host_port'] or '?'}"
        print(f"{published['guest_port']}/{published['protocol']} -> {place}")


@click.command(short_help="Print a machine's serial log.")
@click.option("-f", "--follow", is_flag=True, help="Go on as it grows, until the machine ends.")
@click.option("--tail", "-n", type=click.IntRange(min=0), metavar="N", help="Only the last N lines.")
@click.option("--since", type=MOMENT, metavar="TIME", help="Only what was written since then: 10m, 2026-01-31T12:00.")
@click.option("--until", type=MOMENT, metavar="TIME", help="Only what was written until then.")
@click.option("-t", "--timestamps", is_flag=True, help="Put before each line when it was written.")
@click.argument("name", type=MACHINE)
@click.pass_obj
def logs(face: Face, /, name: str, **wanted: Any) -> None:
    """Print the serial log of machine NAME: what its kernel and its program wrote.

    Times are right to half a second. The log begins with the machine's start, or with its last rotation.
    """
    from weft.cli.terminal import write_all

    with face.client().open_logs(name, **wanted) as answer:
        for piece in answer.pieces():
            write_all(1, piece)
