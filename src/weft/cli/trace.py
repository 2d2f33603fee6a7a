"""Traces as a table, hop by hop."""

import sys
from collections.abc import Iterable, Mapping
from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.params import DURATION, MACHINE
from weft.cli.printing import print_json, print_table
from weft.model.errors import Invalid

ARROW = "->"
_HINT = "weft trace client web:80; a shell takes '>' for itself, so the arrow is left out, or quoted"


class _Arrow(click.Command):
    """A command that may have an arrow among its arguments, which is no option."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        return super().parse_args(ctx, [arg for arg in args if arg != ARROW])


@click.command(cls=_Arrow, short_help="Say why something gets through, or does not.")
@click.option("--probe/--no-probe", default=True, help="Send a real packet too (default), or only say what would be.")
@click.option("--timeout", type=DURATION, default="2", show_default=True, help="How long its answer may take.")
@click.option("-6", "--ipv6", is_flag=True, help="By addresses of IPv6.")
@click.argument("ends", nargs=-1, required=True, type=MACHINE, metavar="SOURCE ['->'] DESTINATION")
@format_option
@click.pass_context
def trace(ctx: click.Context, probe: bool, timeout: float, ipv6: bool, ends: tuple[str, ...], output: str) -> None:
    """Say hop by hop what lies between SOURCE and DESTINATION, and which rule decides.

    An end is [ROOM:]MACHINE, network:NAME for what is beyond that network's gateway, an address, or outside. The
    destination may have a port and a protocol: web:80, web:53/udp; without, it is an echo request. From outside it is a
    published port of a machine, or one of the host: 8080. The status is 0 when it gets through, and 1 when not.
    """
    face: Face = ctx.obj
    source, destination = _split(ends)
    view = face.client().trace(source, destination, probe=probe, timeout=timeout, ipv6=ipv6)
    if output == "json":
        print_json(view)
    else:
        _print(view)
    if view["verdict"] != "passes":
        sys.stdout.flush()
        ctx.exit(1)


def _split(ends: Iterable[str]) -> tuple[str, str]:
    words = [word for end in ends for word in end.split() if word != ARROW]
    if len(words) != 2 or "-" in words:
        raise Invalid("a trace is from one place to another", hint=_HINT)
    return words[0], words[1]


def _print(view: Mapping[str, Any]) -> None:
    if view["packet"]:
        print(view["packet"])
    rows = [(hop["way"], hop["at"], hop["verdict"], hop["rule"], hop["why"]) for hop in view["hops"]]
    print_table(("WAY", "AT", "VERDICT", "RULE", "WHY"), rows)
    for hop in view["hops"]:
        for line in hop["seen"]:
            print(f"{hop['at']} saw it: {line}")
    for disagreement in view["disagreements"]:
        print(f"not as it should be: {disagreement}")
    print(f"{view['verdict']}: {view['why']}")
    print(_dump_probe(view))


def _dump_probe(view: Mapping[str, Any]) -> str:
    probe = view["probe"]
    if probe is None:
        return f"no packet was sent{': ' if view['unprobed'] else ''}{view['unprobed']}"
    detail = f": {probe['detail']}" if probe["detail"] else ""
    return f"a packet was sent: {probe['outcome']} in {probe['milliseconds']:.1f} ms{detail}"
