"""Looking at fabric files: plan, render."""

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


@click.command(short_help="Write a file out in full.")
@file_argument
@click.pass_obj
def render(face: Face, name: str | None) -> None:
    """Print FILE, `weft.yaml` here by default, with everything that it leaves to defaults, in long forms, and with the
    files that it names. It means the same."""
    file = read_fabric_file(name)
    with telling_problems(file):
        print(face.client().render_file(**file.request), end="")
