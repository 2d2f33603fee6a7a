"""Networks: create, ls, inspect, rm."""

from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.lifecycle import for_each
from weft.cli.params import NETWORK
from weft.cli.printing import print_json, print_table, print_view


@click.group(short_help="Make and look at networks.")
def network() -> None:
    """Networks: one layer-2 segment each, with an address range."""


@network.command(short_help="Make a network.")
@click.argument("name")
@click.option("--subnet", metavar="CIDR", help="Its address range. Default: a free one.")
@click.option("--mtu", type=int, metavar="BYTES", help="Largest packet. Default: 1500.")
@click.option("--uplink", is_flag=True, help="Its machines reach the outside.")
@format_option
@click.pass_obj
def create(face: Face, name: str, subnet: str | None, mtu: int | None, uplink: bool, output: str) -> None:
    """Make network NAME and print its name and address range."""
    spec: dict[str, Any] = {"name": name, "uplink": uplink}
    spec |= {key: value for key, value in (("subnet", subnet), ("mtu", mtu)) if value is not None}
    view = face.client().create_network(spec)
    if output == "json":
        print_json(view)
    else:
        print(view["name"], view["subnet"])


@network.command(short_help="List networks.")
@format_option
@click.pass_obj
def ls(face: Face, output: str) -> None:
    """List the networks."""
    views = face.client().networks()
    if output == "json":
        print_json(views)
        return
    rows = ((v["name"], v["subnet"], v["gateway"], v["mtu"], v["uplink"], len(v.get("members", []))) for v in views)
    print_table(("NAME", "SUBNET", "GATEWAY", "MTU", "UPLINK", "MACHINES"), rows)


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
