"""Chains as pictures."""

from collections.abc import Mapping
from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.params import PORT
from weft.cli.printing import can_print, print_json
from weft.model.names import parse_port

_LINE, _CUT, _TAP = "──", "─✕─", "─┴─"
_PLAIN = str.maketrans({"─": "-", "✕": "x", "┴": "+"})


def draw_chain(port: Mapping[str, Any]) -> str:
    """One port from its network to its machine or gateway: `net lan ── sniffer ── web`.

    Inserts that are not simply in the path say so: `sniffer[copy]` beside it, `sniffer[bypassed]`, and between the
    crosses of a cut line `firewall[blocked]`.
    """
    drawing, before = f"net {port['network']}", None
    for insert in port["chain"]:
        drawing += f" {_find_joint(before, insert)} {_dump_insert(insert)}"
        before = insert
    return f"{drawing} {_find_joint(before, None)} {_dump_machine(port)}"


def _find_joint(before: Mapping[str, Any] | None, after: Mapping[str, Any] | None) -> str:
    """What joins two neighbours of a chain; None stands for the network or the machine at its ends."""
    if any(insert and insert["state"] == "blocked" for insert in (before, after)):
        return _CUT
    return _TAP if after and after["mode"] == "copy" else _LINE


def _dump_insert(insert: Mapping[str, Any]) -> str:
    marks = ["copy"] if insert["mode"] == "copy" else []
    marks += [insert["state"]] if insert["state"] != "active" else []
    return f"{insert['name']}[{','.join(marks)}]" if marks else str(insert["name"])


def _dump_machine(port: Mapping[str, Any]) -> str:
    if port["machine"] is None:
        return "gateway"
    name = f"{port['machine']}:{port['nic']}" if port["nic"] else str(port["machine"])
    return name if port["state"] == "running" else f"{name} ({port['state']})"


@click.command(short_help="Draw what is in front of machines and gateways.")
@click.argument("port", required=False, type=PORT, metavar="[MACHINE[:NIC]|network:NETWORK]")
@format_option
@click.pass_obj
def links(face: Face, port: str | None, output: str) -> None:
    """Draw chains from the network side to the machine side: of every port, of those of MACHINE, or of one."""
    ports = _ask(face, port)
    if output == "json":
        print_json(ports)
        return
    for view in ports:
        drawing = draw_chain(view)
        print(drawing if can_print(drawing) else drawing.translate(_PLAIN))


def _ask(face: Face, port: str | None) -> list[dict[str, Any]]:
    if port is None:
        return face.client().ports()
    place = parse_port(port)
    ports = face.client().ports(place.machine or None, network=place.network)
    return [view for view in ports if ":" not in port or view["port"] == port]
