"""Floppies by hand: create, ls, read, write, copy, rm."""

import os
import sys
from pathlib import Path
from typing import Any

import click

from weft.cli.face import Face, format_option
from weft.cli.printing import print_json, print_table

_FILE = click.argument("file", type=click.Path(dir_okay=False), metavar="FILE")
_FORCE = click.option("-f", "--force", is_flag=True, help="Also when the file is there already.")


@click.group(short_help="Make, read and write floppies.")
def floppy() -> None:
    """Floppies: 1.44 MB images with FAT12, which any system can mount. An appliance keeps its settings on one.

    PATHs are those on the floppy. A change is a new image that takes the old one's place.
    """


@floppy.command(short_help="Make an empty floppy.")
@_FILE
@click.option("--label", metavar="LABEL", help="Its label, 11 characters at most. Default: WEFT.")
@_FORCE
@format_option
@click.pass_obj
def create(face: Face, file: str, label: str | None, force: bool, output: str) -> None:
    """Make FILE an empty floppy."""
    _print(face.client().create_floppy(_absolute(file), label=label, force=force), output)


@floppy.command(short_help="List what is on a floppy.")
@_FILE
@format_option
@click.pass_obj
def ls(face: Face, file: str, output: str) -> None:
    """List what is on floppy FILE."""
    view = face.client().floppy(_absolute(file))
    if output == "json":
        print_json(view)
        return
    rows = [(f"{f['path']}/" if f["folder"] else f["path"], f["size"], f["modified"]) for f in view["files"]]
    print_table(("PATH", "SIZE", "MODIFIED"), [*rows, ("(free)", view["free"], "")])


@floppy.command(short_help="Print a file of a floppy.")
@_FILE
@click.argument("path")
@click.pass_obj
def read(face: Face, file: str, path: str) -> None:
    """Write PATH of floppy FILE to standard output."""
    sys.stdout.buffer.write(face.client().read_floppy(_absolute(file), path))


@floppy.command(short_help="Put a file on a floppy.")
@_FILE
@click.argument("path")
@click.argument("source", type=click.Path(exists=True, dir_okay=False, allow_dash=True), default="-")
@format_option
@click.pass_obj
def write(face: Face, file: str, path: str, source: str, output: str) -> None:
    """Put SOURCE (default: standard input) on floppy FILE as PATH, in place of what is there."""
    data = sys.stdin.buffer.read() if source == "-" else Path(source).read_bytes()
    _print(face.client().write_floppy(_absolute(file), path, data), output)


@floppy.command(short_help="Make a floppy like another one.")
@_FILE
@click.argument("target", type=click.Path(dir_okay=False))
@_FORCE
@format_option
@click.pass_obj
def copy(face: Face, file: str, target: str, force: bool, output: str) -> None:
    """Make TARGET a floppy like FILE."""
    _print(face.client().copy_floppy(_absolute(file), _absolute(target), force=force), output)


@floppy.command(short_help="Take files off a floppy.")
@_FILE
@click.argument("paths", nargs=-1, required=True, metavar="PATH...")
@format_option
@click.pass_obj
def rm(face: Face, file: str, paths: tuple[str, ...], output: str) -> None:
    """Take PATHs, or folders with all they hold, off floppy FILE."""
    for path in paths:
        face.client().remove_from_floppy(_absolute(file), path)
        if output != "json":
            print(path)
    if output == "json":
        print_json([{"path": path} for path in paths])


def _absolute(file: str) -> str:
    """The daemon is somewhere else."""
    return os.fspath(Path(file).absolute())


def _print(view: dict[str, Any], output: str) -> None:
    if output == "json":
        print_json(view)
    else:
        print(view["floppy"])
