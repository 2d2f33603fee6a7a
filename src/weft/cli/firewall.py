"""Firewalls: what they do, clients of their tunnels, and addresses that are kept out."""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

import click

from weft.cli.face import Face, format_option
from weft.cli.params import DURATION, MACHINE
from weft.cli.printing import dump_bytes, dump_time, print_json, print_table

_FIREWALL = click.argument("name", type=MACHINE)


@click.group(short_help="Look into firewalls, and tell them who may come in.")
def firewall() -> None:
    """What a firewall does: its rules, connections, log, leases. Clients of its tunnel; addresses that are kept out.

    Everything else about it is set with `weft config`.
    """


@firewall.command(short_help="List the rules with what they have counted.")
@_FIREWALL
@format_option
@click.pass_obj
def rules(face: Face, name: str, output: str) -> None:
    """List the rules of firewall NAME in their order, with the packets that each has decided about.

    Of a connection that is mostly the first packet: the others follow it. What no line of the settings says comes last.
    Counters begin anew with each change of the rules.
    """
    views = face.client().firewall_rules(name)
    if output == "json":
        print_json(views)
        return
    rows = [(view["rule"], view["packets"], dump_bytes(view["bytes"]), view["text"]) for view in views]
    print_table(("RULE", "PACKETS", "BYTES", "TEXT"), rows)


@firewall.command(short_help="List the open connections.")
@_FIREWALL
@format_option
@click.pass_obj
def connections(face: Face, name: str, output: str) -> None:
    """List the connections that firewall NAME follows. Where it translates an address, the other one stands behind."""
    views = face.client().firewall_connections(name)
    if output == "json":
        print_json(views)
        return
    print_table(("PROTOCOL", "STATE", "FROM", "TO", "PACKETS", "BYTES", "FORGOTTEN IN"), map(_connection_row, views))


@firewall.command(short_help="Show what the rules have logged.")
@click.option("-f", "--follow", is_flag=True, help="Go on as packets come, until Ctrl-C.")
@_FIREWALL
@format_option
@click.pass_obj
def log(face: Face, follow: bool, name: str, output: str) -> None:
    """Show the packets that firewall NAME has logged. The setting `log` says which these are. As JSON: one a line."""
    for view in face.client().firewall_log(name, follow=follow):
        print(json.dumps(view) if output == "json" else _dump_logged(view), flush=follow)


@firewall.command(short_help="List the addresses that it has given.")
@_FIREWALL
@format_option
@click.pass_obj
def leases(face: Face, name: str, output: str) -> None:
    """List the addresses that machines have from firewall NAME."""
    views = face.client().firewall_leases(name)
    if output == "json":
        print_json(views)
        return
    print_table(("ADDRESS", "MAC", "NAME", "UNTIL", "FIXED"), map(_lease_row, views))


@firewall.command(short_help="List the other ends of the tunnel.")
@_FIREWALL
@format_option
@click.pass_obj
def clients(face: Face, name: str, output: str) -> None:
    """List the clients and sites of the tunnel of firewall NAME, and when they were last heard of."""
    views = face.client().firewall_clients(name)
    if output == "json":
        print_json(views)
        return
    print_table(("PEER", "NETWORKS", "ENDPOINT", "HEARD OF", "RECEIVED", "SENT"), map(_peer_row, views))


@firewall.group(short_help="Add and remove clients of the tunnel.")
def client() -> None:
    """Clients of a firewall's tunnel: a telephone, a laptop, another site."""


@client.command(short_help="Add a client.")
@click.option("--address", metavar="ADDRESS", help="Its address in the tunnel. Default: a free one.")
@click.option("--endpoint", metavar="HOST:PORT", help="How it reaches the firewall. Default: its address outside.")
@click.option("--qr", is_flag=True, help="Show the file as a QR code, for telephones.")
@click.option("-o", "--output-file", type=click.Path(dir_okay=False), metavar="FILE", help="Write the file to FILE.")
@_FIREWALL
@click.argument("peer")
@format_option
@click.pass_obj
def add(
    face: Face,
    address: str | None,
    endpoint: str | None,
    qr: bool,
    output_file: str | None,
    name: str,
    peer: str,
    output: str,
) -> None:
    """Give the tunnel of firewall NAME a client called PEER, and print the file for its WireGuard.

    Makes the keys, and the tunnel if there is none yet. The client's private key is in the file and kept nowhere else:
    whoever loses it adds the client anew.
    """
    with _open_secret(output_file) as file:
        view = face.client().add_firewall_client(name, peer, address=address, endpoint=endpoint)
        print(view["file"], end="", file=file)
    if output == "json":
        print_json(view)
    elif qr:
        _show_qr(view["file"])
    elif output_file is None:
        print(view["file"], end="")
    print(f"weft: {view['peer']} is {view['address']}, revision {view['revision']}", file=sys.stderr)
    for note in view["notes"]:
        print(f"note: {note}", file=sys.stderr)


@client.command(short_help="Remove a client.")
@_FIREWALL
@click.argument("peer")
@format_option
@click.pass_obj
def rm(face: Face, name: str, peer: str, output: str) -> None:
    """Take PEER, a client or a site, away from the tunnel of firewall NAME."""
    _print_saved(face.client().remove_firewall_client(name, peer), output)


@firewall.command(short_help="Let nothing from an address through.")
@click.option("--for", "seconds", type=DURATION, help="For so long, to a whole minute. Default: until `unblock`.")
@_FIREWALL
@click.argument("address")
@format_option
@click.pass_obj
def block(face: Face, seconds: float | None, name: str, address: str, output: str) -> None:
    """Let nothing from ADDRESS, or a network, through firewall NAME: a rule before all others.

    Its open connections end, too.
    """
    _print_saved(face.client().block_address(name, address, seconds=seconds), output)


@firewall.command(short_help="Let an address through again.")
@_FIREWALL
@click.argument("address")
@format_option
@click.pass_obj
def unblock(face: Face, name: str, address: str, output: str) -> None:
    """Take away what `block` has put before the rules of firewall NAME."""
    _print_saved(face.client().unblock_address(name, address), output)


@contextmanager
def _open_secret(path: str | None) -> Iterator[IO[str]]:
    """A new file that only its owner may read; none: nowhere. It is made before there is anything to be lost."""
    if path is None:
        with Path(os.devnull).open("w") as file:
            yield file
        return
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as err:
        raise click.FileError(path, err.strerror) from err
    try:
        with os.fdopen(fd, "w") as file:
            yield file
    except BaseException:
        Path(path).unlink()
        raise


def _show_qr(text: str) -> None:
    import segno

    segno.make(text, micro=False, error="l").terminal(sys.stdout, compact=True)


def _print_saved(view: Mapping[str, Any], output: str) -> None:
    if output == "json":
        print_json(view)
    else:
        print(f"{view['machine']} revision {view['revision']}")


def _connection_row(view: Mapping[str, Any]) -> tuple[object, ...]:
    state = view["state"] or ("-" if view["answered"] else "unanswered")
    ways = (
        _dump_end(view["source"], view["sport"], view["translated_source"]),
        _dump_end(view["destination"], view["dport"], view["translated_destination"]),
    )
    return view["protocol"], state, *ways, view["packets"], dump_bytes(view["bytes"]), f"{view['timeout']}s"


def _dump_end(address: str, port: int | None, translated: str | None = None) -> str:
    name = f"[{address}]" if ":" in address and port is not None else address
    return name + (f":{port}" if port is not None else "") + (f" ({translated})" if translated else "")


def _dump_logged(view: Mapping[str, Any]) -> str:
    ends = [
        _dump_end(view[address], view[port]) if view[address] else "-"
        for address, port in (("source", "sport"), ("destination", "dport"))
    ]
    zones = f"{view['zone_in'] or 'self'} -> {view['zone_out'] or 'self'}"
    time = dump_time(view["time"])
    return f"{time} {view['action']} {view['rule']}: {zones} {view['protocol'] or '-'} {ends[0]} -> {ends[1]}"


def _lease_row(view: Mapping[str, Any]) -> tuple[object, ...]:
    until = "-" if view["expires"] is None else dump_time(view["expires"])
    return view["address"], view["mac"], view["name"], until, view["fixed"]


def _peer_row(view: Mapping[str, Any]) -> tuple[object, ...]:
    heard = "-" if view["handshake"] is None else dump_time(view["handshake"])
    counts = (dump_bytes(view["received"]), dump_bytes(view["sent"]))
    return view["name"], view["networks"], view["endpoint"], heard, *counts
