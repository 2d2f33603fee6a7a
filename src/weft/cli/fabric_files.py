"""Looking at fabric files: plan, diff, render, export."""

from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.file_options import (
    file_argument,
    find_rooms,
    images_options,
    read_fabric_file,
    rooms_option,
    telling_problems,
)
from weft.cli.params import ROOM
from weft.cli.printing import print_json
from weft.cli.steps import dump_plan
from weft.cli.up import show_warnings


@click.command(short_help="Show what `weft up` would do.")
@rooms_option
@images_options
@file_argument
@format_option
@click.pass_obj
def plan(face: Face, /, rooms: tuple[str, ...], name: str | None, output: str, **wish: Any) -> None:
    """Show the steps that `weft up` would take for FILE, `weft.yaml` here by default, and why. Nothing is changed."""
    file = read_fabric_file(name)
    with telling_problems(file):
        view = face.client().plan_file(**file.request, **wish, rooms=find_rooms(face, rooms))
    show_warnings(file, view)
    if output == "json":
        print_json(view)
    else:
        print(dump_plan(view["plan"]))


@click.command(short_help="Show what differs from a file.")
@rooms_option
@file_argument
@format_option
@click.pass_obj
def diff(face: Face, rooms: tuple[str, ...], name: str | None, output: str) -> None:
    """Show what differs between the rooms as they are and FILE, `weft.yaml` here by default: what is not there yet (+),
    what is there and not in the file any more (-), and what is otherwise (~), field by field."""
    file = read_fabric_file(name)
    with telling_problems(file):
        view = face.client().diff_file(**file.request, rooms=find_rooms(face, rooms))
    show_warnings(file, view)
    if output == "json":
        print_json(view["differences"])
    else:
        print(view["text"].replace(f"+++ {file.path}\n", f"+++ {file.name}\n", 1), end="")


@click.command(short_help="Write a file out in full.")
@click.option("--schema", is_flag=True, help="Print the JSON Schema of fabric files instead, for editors.")
@file_argument
@click.pass_obj
def render(face: Face, schema: bool, name: str | None) -> None:
    """Print FILE, `weft.yaml` here by default, with everything that it leaves to defaults, in long forms, and with the
    files that it names. It means the same."""
    if schema:
        print_json(face.client().file_schema())
        return
    file = read_fabric_file(name)
    with telling_problems(file):
        print(face.client().render_file(**file.request), end="")


@click.command(short_help="Write a file of what is there.")
@click.option("--exact", is_flag=True, help="With addresses that the fabric chose, and hardware addresses.")
@click.argument("name", type=ROOM, required=False, metavar="[ROOM]")
@click.pass_obj
def export(face: Face, exact: bool, name: str | None) -> None:
    """Print a fabric file that says what ROOM is. `weft up` of it changes nothing."""
    client = face.client()
    print(client.export_room(name or client.room, exact=exact), end="")
