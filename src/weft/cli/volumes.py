"""Volumes: create, ls, inspect, resize, rm, prune."""

from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.lifecycle import for_each
from weft.cli.params import SIZE, VOLUME
from weft.cli.printing import dump_age, dump_memory, print_json, print_table, print_view
from weft.model.errors import Invalid

_TITLES = ("NAME", "SIZE", "STORED", "USED BY", "AGE")


@click.group(short_help="Make and look at volumes.")
def volume() -> None:
    """Volumes: disks with a file system, kept when the machines that use them go."""


@volume.command(short_help="Make a volume.")
@click.argument("name")
@click.option("--size", type=SIZE, help="How much it can hold, like 10G. Default: 1G.")
@click.option("--label", "labels", multiple=True, metavar="KEY=VALUE", help="A remark to find it by; repeat for more.")
@format_option
@click.pass_obj
def create(face: Face, name: str, size: int | None, labels: tuple[str, ...], output: str) -> None:
    """Make the empty volume NAME and print its name.

    On the host it takes only what is written to it.
    """
    spec: dict[str, Any] = {"name": name, "labels": dict(map(_split_label, labels))}
    view = face.client().create_volume(spec if size is None else spec | {"size": size})
    if output == "json":
        print_json(view)
    else:
        print(view["name"])


def _split_label(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not key or not equals:
        raise Invalid(f"label {text!r} is not KEY=VALUE")
    return key, value


@volume.command(short_help="List volumes.")
@format_option
@click.pass_obj
def ls(face: Face, output: str) -> None:
    """List the volumes, with what they take of the host's disk and the machines that use them."""
    views = face.client().volumes()
    if output == "json":
        print_json(views)
    else:
        print_table(_TITLES, map(_row, views))


def _row(view: dict[str, Any]) -> tuple[object, ...]:
    users = list(dict.fromkeys(user["machine"] for user in view.get("users", [])))
    size, stored = dump_memory(view["size"]), dump_memory(view["stored"])
    return (view["name"], size, stored, users, dump_age(view["created"]))


@volume.command(short_help="Show all that is known of a volume.")
@click.argument("name", type=VOLUME)
@format_option
@click.pass_obj
def inspect(face: Face, name: str, output: str) -> None:
    """Show all that is known of volume NAME."""
    view = face.client().volume(name)
    if output == "json":
        print_json(view)
    else:
        print_view(view)


@volume.command(short_help="Make a volume larger.")
@click.argument("name", type=VOLUME)
@click.argument("size", type=SIZE)
@format_option
@click.pass_obj
def resize(face: Face, name: str, size: int, output: str) -> None:
    """Let volume NAME hold SIZE, more than before. No machine that uses it may run."""
    view = face.client().resize_volume(name, size)
    if output == "json":
        print_json(view)
    else:
        print(view["name"], dump_memory(view["size"]))


@volume.command(short_help="Remove volumes.")
@click.argument("names", nargs=-1, required=True, type=VOLUME, metavar="NAME...")
@format_option
@click.pass_obj
def rm(face: Face, names: tuple[str, ...], output: str) -> None:
    """Remove volumes that no machine uses, with all that is on them."""
    client = face.client()
    for_each(names, client.remove_volume, output)


@volume.command(short_help="Remove all volumes that no machine uses.")
@format_option
@click.pass_obj
def prune(face: Face, output: str) -> None:
    """Remove all volumes that no machine uses, running or not, and print their names."""
    names = face.client().prune_volumes()
    if output == "json":
        print_json(names)
    else:
        print(*names, sep="\n", end="\n" if names else "")
