"""Pools: set, ls, inspect, rm."""

from collections.abc import Mapping
from typing import Any

import click

from weft.cli.face import Face, format_option, wait_option
from weft.cli.lifecycle import for_each
from weft.cli.params import IMAGE, POOL, SIZE
from weft.cli.printing import dump_age, dump_memory, print_json, print_table, print_view

_TITLES = ("IMAGE", "READY", "MEMORY", "CPUS", "AGE", "NOTE")


@click.group(short_help="Keep copies of images ready.")
def pool() -> None:
    """Pools: copies of an image's template, booted and held, for machines that are to be there at once.

    `weft run IMAGE` and `weft insert IMAGE` take one where it fits; another is started in its place afterwards.
    """


@pool.command("set", short_help="Make a pool, or change one.")
@click.argument("image", type=IMAGE)
@click.argument("size", type=click.IntRange(min=1), metavar="N")
@click.option("--memory", type=SIZE, help="Memory of its copies, like 64M. Default: what the image says.")
@click.option("--cpus", type=click.IntRange(min=1), default=1, show_default=True, help="CPUs of each.")
@wait_option
@format_option
@click.pass_obj
def set_(face: Face, image: str, size: int, memory: int | None, cpus: int, wait: bool, output: str) -> None:
    """Keep N copies of IMAGE ready, and print IMAGE when they are.

    A copy fits a machine of the same memory and CPUs that has no volumes.
    """
    spec = {"image": image, "size": size, "cpus": cpus}
    view = face.client().set_pool(spec if memory is None else spec | {"memory": memory}, wait=wait)
    if output == "json":
        print_json(view)
    else:
        print(view["image"])


@pool.command(short_help="List pools.")
@format_option
@click.pass_obj
def ls(face: Face, output: str) -> None:
    """List the pools: how many copies are ready of how many, and why some are not.

    The copies themselves are in `weft ps --all`.
    """
    views = face.client().pools()
    if output == "json":
        print_json(views)
    else:
        print_table(_TITLES, map(_row, views))


def _row(view: Mapping[str, Any]) -> tuple[object, ...]:
    ready, memory = f"{view['ready']}/{view['size']}", dump_memory(view["memory"])
    return view["image"], ready, memory, view["cpus"], dump_age(view["created"]), view.get("reason")


@pool.command(short_help="Show all that is known of a pool.")
@click.argument("image", type=POOL)
@format_option
@click.pass_obj
def inspect(face: Face, image: str, output: str) -> None:
    """Show all that is known of the pool of IMAGE."""
    view = face.client().pool(image)
    if output == "json":
        print_json(view)
    else:
        print_view(view)


@pool.command(short_help="Take pools away.")
@click.argument("images", nargs=-1, required=True, type=POOL, metavar="IMAGE...")
@format_option
@click.pass_obj
def rm(face: Face, images: tuple[str, ...], output: str) -> None:
    """Take the pools of IMAGEs away. Their copies end; machines that were taken from them stay."""
    client = face.client()
    for_each(images, client.remove_pool, output)
