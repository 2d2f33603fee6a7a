"""Copies of what runs: fork."""

import sys
from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.params import FORKABLE
from weft.cli.printing import print_json
from weft.model.names import ROOM_MARK


@click.command(short_help="Copy a machine that runs, or a whole room.")
@click.argument("what", type=FORKABLE, metavar="MACHINE|room:ROOM")
@click.argument("new", required=False, metavar="[NEWROOM]")
@click.option("-n", "--count", type=click.IntRange(min=1), default=1, show_default=True, help="How many copies.")
@click.option("--name", help="Of the first copy; others have a number behind it. Default: MACHINE-fork-1 and so on.")
@click.option("--rm", "remove", is_flag=True, help="Remove each copy when it ends.")
@click.option(
    "--shadow", is_flag=True, help="With copies of all frames that reach MACHINE or ROOM; what it answers goes nowhere."
)
@click.option("--uplink", is_flag=True, help="Of a room: with the ways out that its networks have.")
@click.option("--description", metavar="TEXT", help="Of a room: what it is for. Default: as the original.")
@format_option
@click.pass_obj
def fork(face: Face, /, what: str, new: str | None, output: str, **options: Any) -> None:
    """Copy MACHINE while it runs: each copy goes on from its memory and disks, with a name, addresses, keys and random
    numbers of its own. Prints their names; they are ready then.

    `weft fork room:ROOM NEWROOM` copies all machines of a room at one instant, with networks, inserts and volumes, into
    a new room: with the same names and addresses, but isolated. Prints the names of its machines.
    """
    mark, colon, room = what.partition(":")
    if colon and mark == ROOM_MARK:
        _check_none(options, {"count": 1, "name": None, "remove": False}, "a room")
        _fork_room(face, room, new, options, output)
        return
    if new is not None:
        hint = f"`--name {new}` names the copy of a machine, `{ROOM_MARK}:{what}` is a room"
        raise click.UsageError(f"{what} is a machine: {hint}")
    _check_none(options, {"uplink": False, "description": None}, "a machine")
    _fork_machine(face, what, options, output)


def _fork_machine(face: Face, name: str, options: dict[str, Any], output: str) -> None:
    picked = {key: options[key] for key in ("count", "remove", "shadow")}
    view = face.client().fork_machine(name, copy=options["name"], **picked)
    if output == "json":
        print_json(view)
    else:
        for machine in view["machines"]:
            print(machine["name"])
        _tell(f"{name} stood still for {_milliseconds(view['pause'])}; ready after {_milliseconds(view['took'])}")
        for failure in view["failed"]:
            print(f"weft: {failure['code']}: {failure['name']}: {failure['message']}", file=sys.stderr)
    if view["failed"]:
        raise click.exceptions.Exit(1)


def _fork_room(face: Face, name: str, new: str | None, options: dict[str, Any], output: str) -> None:
    if new is None:
        raise click.UsageError(f"missing the name of the new room: weft fork {ROOM_MARK}:{name} NEWROOM")
    picked = {key: options[key] for key in ("uplink", "description", "shadow")}
    view = face.client().fork_room(name, new, **picked)
    if output == "json":
        print_json(view)
        return
    for machine in view["machines"]:
        print(machine["name"])
    pause = _milliseconds(max(view["pauses"].values(), default=0.0))
    _tell(f"room {name} stood still for {pause}; {new} is ready after {_milliseconds(view['took'])}")
    for what in view["left_out"]:
        _tell(f"not in {new}: {what}")


def _check_none(options: dict[str, Any], usual: dict[str, Any], what: str) -> None:
    for key, value in usual.items():
        if options[key] != value:
            option = {"remove": "--rm"}.get(key, f"--{key}")
            raise click.UsageError(f"{option} is not for a fork of {what}")


def _milliseconds(seconds: float) -> str:
    return f"{seconds * 1000:.0f} ms"


def _tell(text: str) -> None:
    """For people: the names alone are on standard output."""
    print(text, file=sys.stderr)
