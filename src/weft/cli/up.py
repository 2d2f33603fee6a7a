"""Rooms from a file: up, down."""

import sys
from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.file_options import (
    File,
    file_argument,
    find_rooms,
    images_options,
    read_fabric_file,
    rooms_option,
    telling_problems,
)
from weft.cli.printing import print_json
from weft.cli.steps import dump_plan, open_show
from weft.model.errors import WrongState, error_from_dict

yes_option = click.option("-y", "--yes", is_flag=True, help="Agree to restarts and losses; on a terminal it asks.")


@click.command(short_help="Make rooms what a file says.")
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would be done.")
@yes_option
@rooms_option
@images_options
@file_argument
@format_option
@click.pass_obj
def up(
    face: Face, /, only_plan: bool, yes: bool, rooms: tuple[str, ...], name: str | None, output: str, **wish: Any
) -> None:
    """Make the rooms of the fabric file FILE, `weft.yaml` here by default, what it says.

    Only what differs is changed: at once where that can be, with a restart where it has to be. What the file named
    before and names no more is removed; what no file ever named is left alone. What fails is told, everything else goes
    on, and the same command goes on from there. After Ctrl-C nothing more is begun.
    """
    file = read_fabric_file(name)
    _carry_out(face, file, {**wish, "rooms": find_rooms(face, rooms)}, only_plan=only_plan, yes=yes, output=output)


@click.command(short_help="Take away what a file has made.")
@click.option("--volumes", is_flag=True, help="Volumes too, with all that is on them.")
@click.option("--plan", "only_plan", is_flag=True, help="Only show what would be done.")
@yes_option
@rooms_option
@file_argument
@format_option
@click.pass_obj
def down(
    face: Face, /, volumes: bool, only_plan: bool, yes: bool, rooms: tuple[str, ...], name: str | None, output: str
) -> None:
    """Take away everything that the fabric file FILE, `weft.yaml` here by default, has made, whatever it says now.

    Volumes stay, and a room that has some, unless --volumes is given. So does what somebody made by hand.
    """
    file = read_fabric_file(name, missing=True)
    wish = {"down": True, "volumes": volumes, "rooms": find_rooms(face, rooms)}
    _carry_out(face, file, wish, only_plan=only_plan, yes=yes, output=output)


def _carry_out(face: Face, file: File, wish: dict[str, Any], *, only_plan: bool, yes: bool, output: str) -> None:
    with telling_problems(file):
        view = face.client().plan_file(**file.request, **wish)
    show_warnings(file, view)
    if output == "json" and only_plan:
        print_json(view)
        return
    steps = view["plan"]["steps"]
    if output != "json":
        print(dump_plan(view["plan"]), flush=True)
    if only_plan or (not steps and output != "json"):
        return
    agreed = agree(steps, yes=yes)
    with telling_problems(file):
        report = follow(face, file, {**wish, "agreed": agreed})
    if output == "json":
        print_json(report)
    finish(report)


def show_warnings(file: File, view: dict[str, Any]) -> None:
    """What is remarkable about a file."""
    if view["warnings"]:  # the import is a heavy one
        from weft.model.problem import Problem
    for warning in view["warnings"]:
        print(Problem.model_validate(warning).dump(file.name), file=sys.stderr)


def agree(steps: list[dict[str, Any]], *, yes: bool) -> list[str]:
    """Keys of steps that may restart or lose something: all that do, if somebody agrees. Raises WrongState, Abort."""
    risky = [step for step in steps if step["restarts"] or step["loses"]]
    if not risky or yes:
        return [step["key"] for step in risky]
    if not sys.stdin.isatty():
        restarts = ", ".join(dict.fromkeys(name for step in risky for name in step["restarts"]))
        losses = ", ".join(loss for step in risky for loss in step["loses"])
        words = [f"restart {restarts}"] * bool(restarts) + [f"lose {losses}"] * bool(losses)
        raise WrongState(f"this would {' and '.join(words)}", hint="--yes agrees to it")
    click.confirm("This restarts or loses what is marked. Go on?", abort=True, err=True)
    return [step["key"] for step in risky]


def follow(face: Face, file: File, request: dict[str, Any]) -> dict[str, Any]:
    """Have it done, and tell of it as it goes; the report."""
    with open_show() as show:
        try:
            for message in face.client().apply_file(**file.request, **request):
                if "step" in message:
                    show.step(message["step"])
                elif "progress" in message:
                    show.murmur(message["key"], message["progress"], message.get("fraction"))
                elif "result" in message:
                    return dict(message["result"])
        except KeyboardInterrupt:
            print("weft: nothing more is begun; what was begun is done to its end", file=sys.stderr)
            raise
    raise AssertionError("the client tells when a stream ends too early")


def finish(report: dict[str, Any]) -> None:
    """Raises an error like the first one that there was, if any was."""
    failed = [step for step in report["steps"] if step["progress"] == "failed"]
    if not failed:
        return
    skipped = sum(step["progress"] == "skipped" for step in report["steps"])
    rest = f", {skipped} left out" if skipped else ""
    what = f"{len(failed)} of {len(report['steps'])} steps failed{rest}"
    raise error_from_dict({"code": failed[0]["error"]["code"], "message": what, "hint": "the same command goes on"})
