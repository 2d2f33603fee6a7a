"""Kernels: build, import, ls, rm."""

from pathlib import Path
from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.lifecycle import for_each
from weft.cli.params import KERNEL
from weft.cli.printing import dump_age, dump_digest, dump_memory, print_json, print_table

_name = click.option("--name", help="What to call it.")


@click.group(short_help="Build and look at kernels.")
def kernel() -> None:
    """Kernels: what machines run. Usually one, built from the distribution's source with a small configuration."""


@kernel.command(short_help="Build the machines' kernel.")
@click.option("--source", type=click.Path(exists=True, file_okay=False, path_type=Path), metavar="DIR",
              help="A kernel tree. Default: the Debian package linux-source.")  # fmt: skip
@_name
@format_option
@click.pass_obj
def build(face: Face, source: Path | None, name: str | None, output: str) -> None:
    """Build the machines' kernel. Takes some minutes the first time, nothing when it is already there."""
    from weft.cli.progress import open_progress

    with open_progress("kernel") as progress:
        tree = str(source.absolute()) if source else None
        info = face.client().build_kernel(progress, name=name, source=tree)
    _print_info(info, output)


@kernel.command("import", short_help="Take a kernel that you have.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@_name
@format_option
@click.pass_obj
def import_(face: Face, file: Path, name: str | None, output: str) -> None:
    """Take FILE: a vmlinux or a bzImage for x86-64 that starts by PVH, or a multiboot kernel such as Plan 9's."""
    _print_info(face.client().import_kernel(str(file.absolute()), name=name), output)


@kernel.command(short_help="List kernels.")
@format_option
@click.pass_obj
def ls(face: Face, output: str) -> None:
    """List the kernels."""
    views = face.client().kernels()
    if output == "json":
        print_json(views)
        return
    print_table(("NAME", "RELEASE", "FORMAT", "SIZE", "DIGEST", "ORIGIN", "AGE"), map(_row, views))


def _row(view: dict[str, Any]) -> tuple[object, ...]:
    return (
        view["name"],
        view["release"],
        view["format"],
        dump_memory(view["size"]),
        dump_digest(view["digest"]),
        view["origin"],
        dump_age(view["created"]),
    )


@kernel.command(short_help="Remove kernels.")
@click.argument("names", nargs=-1, required=True, type=KERNEL, metavar="NAME...")
@format_option
@click.pass_obj
def rm(face: Face, names: tuple[str, ...], output: str) -> None:
    """Remove kernels that no machine uses."""
    client = face.client()
    for_each(names, client.remove_kernel, output)


def _print_info(info: dict[str, Any], output: str) -> None:
    if output == "json":
        print_json(info)
    else:
        print(info["name"], dump_digest(info["digest"]))
