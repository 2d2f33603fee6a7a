"""Networks: create, ls, inspect, rm."""

from collections.abc import Mapping
from typing import Any

import click

from weft.cli.face import Face, all_rooms_option, format_option
from weft.cli.lifecycle import for_each
from weft.cli.params import MACHINE, NETWORK
from weft.cli.printing import print_json, print_table, print_view

LS_TITLES = ("NAME", "SUBNET", "GATEWAY", "MTU", "UPLINK", "MACHINES")


@click.group(short_help="Make and look at networks.")
def network() -> None:
    """Networks: one layer-2 segment each, with an address range."""


@network.command(short_help="Make a network.")
@click.argument("name")
@click.option("--subnet", metavar="CIDR", help="Its address range. Default: a free one.")
@click.option("--subnet6", metavar="CIDR", help="Its address range of IPv6. Default: none.")
@click.option(
    "--gateway", type=MACHINE, help="The machine that is its gateway; it may come later. Default: the fabric."
)
@click.option("--dns", multiple=True, metavar="ADDRESS|MACHINE",
              help="Whom its machines ask for names; repeat for more. Default: the gateway.")  # fmt: skip
@click.option("--mtu", type=int, metavar="BYTES", help="Largest packet. Default: 1500.")
@click.option("--uplink", is_flag=True, help="Its machines reach the outside.")
@format_option
@click.pass_obj
def create(face: Face, /, name: str, output: str, **wanted: Any) -> None:
    """Make network NAME and print its name and address range."""
    spec = {"name": name, **{key: value for key, value in wanted.items() if value is not None and value != ()}}
    view = face.client().create_network(spec)
    if output == "json":
        print_json(view)
    else:
        print(view["name"], view["subnet"])


@network.command(short_help="List networks.")
@all_rooms_option
@format_option
@click.pass_obj
def ls(face: Face, all_rooms: bool, output: str) -> None:
    """List the networks."""
    views = face.client().networks(all_rooms=all_rooms)
    if output == "json":
        print_json(views)
    elif all_rooms:
        print_table(("ROOM", *LS_TITLES), ((view["room"], *ls_row(view)) for view in views))
    else:
        print_table(LS_TITLES, map(ls_row, views))


def ls_row(view: Mapping[str, Any]) -> tuple[object, ...]:
    """A network's line, under `LS_TITLES`."""
    subnet = ", ".join(filter(None, (view["subnet"], view.get("subnet6"))))
    gateway = f"{view['gateway']} ({machine})" if (machine := view.get("gateway_machine")) else view["gateway"]
    return (view["name"], subnet, gateway, view["mtu"], view["uplink"], len(view.get("members", [])))


@network.command(short_help="Show a network and its members.")
@click.argument("name", type=NETWORK)
@format_option
@click.pass_obj
def inspect(face: Face, name: str, output: str) -> None:
    """Show all that is known of network NAME."""
    view = face.client().network(name)
    if output == "json":
        print_json(view)
    else:
        print_view(view)


@network.command(short_help="Remove networks.")
@click.argument("names", nargs=-1, required=True, type=NETWORK, metavar="NAME...")
@format_option
@click.pass_obj
def rm(face: Face, names: tuple[str, ...], output: str) -> None:
    """Remove networks that no machine is on."""
    client = face.client()
    for_each(names, client.remove_network, output)
