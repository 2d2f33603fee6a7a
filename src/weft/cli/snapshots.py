"""Snapshots: create, ls, inspect, rm, export, import; restore. Suspended machines: suspend, resume."""

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

import click

from weft.cli.compressing import compressed, expanded, is_compressed_name
from weft.cli.face import Face, format_option, wait_option
from weft.cli.lifecycle import for_each
from weft.cli.params import MACHINE, SNAPSHOT, Parsed
from weft.cli.printing import dump_age, dump_memory, print_json, print_table, print_view
from weft.cli.progress import open_progress
from weft.model.errors import Invalid, NotFound, Unavailable
from weft.model.options import parse_label

if TYPE_CHECKING:
    from weft.client.transport import Progress

_TITLES = ("NAME", "MACHINE", "IMAGE", "MEMORY", "STORED", "DISKS", "AGE", "")
_FILE = click.Path(path_type=Path, allow_dash=True)


@click.group(short_help="Keep what machines are at an instant.")
def snapshot() -> None:
    """Snapshots: what a machine is at an instant, with its memory and its disks, kept on disk.

    `weft restore` makes a machine that goes on from one.
    """


@snapshot.command(short_help="Take a snapshot.")
@click.argument("machine", type=MACHINE)
@click.argument("name", required=False, metavar="[NAME]")
@click.option("--label", "labels", multiple=True, type=Parsed("label", parse_label), metavar="KEY[=VALUE]",
              help="A remark to find it by; repeat for more.")  # fmt: skip
@format_option
@click.pass_obj
def create(face: Face, machine: str, name: str | None, labels: tuple[tuple[str, str], ...], output: str) -> None:
    """Take a snapshot of MACHINE, which stands still for an instant and goes on, and print its name.

    NAME is made of the machine's when it is left out.
    """
    with open_progress(f"snapshot of {machine}") as progress:
        view = face.client().create_snapshot(machine, progress, name=name, labels=dict(labels))
    if output == "json":
        print_json(view)
    else:
        print(view["name"])


@snapshot.command(short_help="List snapshots.")
@format_option
@click.pass_obj
def ls(face: Face, output: str) -> None:
    """List the snapshots, with what they take of the host's disk."""
    views = face.client().snapshots()
    if output == "json":
        print_json(views)
    else:
        print_table(_TITLES, map(_row, views))


def _row(view: dict[str, Any]) -> tuple[object, ...]:
    memory, stored = dump_memory(view["memory"]), dump_memory(view["stored"])
    broken = f"broken: {view['broken']}" if view.get("broken") else ""
    parts = (view["name"], view["machine"], view["image"], memory, stored, view["disks"], dump_age(view["created"]))
    return (*parts, broken)


@snapshot.command(short_help="Show all that is known of a snapshot.")
@click.argument("name", type=SNAPSHOT)
@format_option
@click.pass_obj
def inspect(face: Face, name: str, output: str) -> None:
    """Show all that is known of snapshot NAME."""
    view = face.client().snapshot(name)
    if output == "json":
        print_json(view)
    else:
        print_view(view)


@snapshot.command(short_help="Remove snapshots.")
@click.argument("names", nargs=-1, required=True, type=SNAPSHOT, metavar="NAME...")
@format_option
@click.pass_obj
def rm(face: Face, names: tuple[str, ...], output: str) -> None:
    """Remove snapshots. Machines that were made from them need them no more."""
    for_each(names, face.client().remove_snapshot, output)


@snapshot.command(short_help="Write a snapshot to a file.")
@click.argument("name", type=SNAPSHOT)
@click.argument("file", type=_FILE, metavar="FILE|-")
@click.pass_obj
def export(face: Face, name: str, file: Path) -> None:
    """Write snapshot NAME to FILE, or with `-` to standard output: a tar, that other fabrics import.

    A FILE whose name ends in .zst is compressed, which needs the program zstd.
    """
    if str(file) == "-" and sys.stdout.isatty():
        raise Invalid("standard output is a terminal", hint="name a file, or write to a pipe")
    with open_progress(f"export {name}") as progress, _open_target(file) as out:
        done = 0
        with face.client().open_snapshot(name) as answer:
            for piece in answer.pieces():
                out.write(piece)
                done += len(piece)
                progress(f"{done / 1e6:.1f} MB", None)


@contextmanager
def _open_target(file: Path) -> Iterator[IO[bytes]]:
    """Where to write to; a file is there when all has been written, or not at all."""
    if str(file) == "-":
        sys.stdout.flush()
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    draft = file.with_name(f".{file.name}.part")
    try:
        with draft.open("wb") as opened:
            if is_compressed_name(file):
                with compressed(opened) as out:
                    yield out
            else:
                yield opened
        draft.replace(file)
    except OSError as err:
        raise Unavailable(f"cannot write {file}: {err.strerror}") from err
    finally:
        draft.unlink(missing_ok=True)


@snapshot.command("import", short_help="Take in a snapshot from a file.")
@click.argument("file", type=_FILE, metavar="FILE|-")
@click.option("--name", metavar="NAME", help="What to call it. Default: as it was called.")
@format_option
@click.pass_obj
def import_(face: Face, file: Path, name: str | None, output: str) -> None:
    """Take in the snapshot of FILE, that was exported here or elsewhere, and print its name.

    One that zstd has compressed is expanded. A file that is damaged anywhere is refused. Its machine is another's work:
    what runs in it, and which ports of the host it wants, came with the file.
    """
    with open_progress(f"import {file}") as progress:
        view = face.client().import_snapshot(_read(file, progress), progress, name=name)
    if output == "json":
        print_json(view)
    else:
        print(view["name"])


def _read(file: Path, progress: "Progress") -> Iterator[bytes]:
    from weft.client.packing import read_pieces

    if str(file) == "-":
        if sys.stdin.isatty():
            raise Invalid("standard input is a terminal", hint="name a file, or read from a pipe")
        yield from read_pieces(sys.stdin.buffer)
        return
    done = 0
    try:
        with file.open("rb") as opened, expanded(opened) as source:
            for piece in read_pieces(source):
                yield piece
                done += len(piece)
                progress(f"{done / 1e6:.1f} MB sent", None)
    except OSError as err:
        raise NotFound(f"cannot read {file}: {err.strerror}") from err


@click.command(short_help="Make a machine go on from a snapshot.")
@click.argument("name", type=SNAPSHOT, metavar="SNAPSHOT")
@click.option("--name", "machine", metavar="NAME", help="What the machine is called. Default: as the original was.")
@click.option("--replace", is_flag=True, help="The machine that has this name now goes back to what it was.")
@format_option
@click.pass_obj
def restore(face: Face, name: str, machine: str | None, replace: bool, output: str) -> None:
    """Make a machine that goes on from SNAPSHOT, and print its name.

    Under the original's name it is the same machine again, with its addresses. Under another name it is a copy with an
    identity of its own: addresses, host name, keys. Each has disks of its own.
    """
    with open_progress(f"restore {name}") as progress:
        view = face.client().restore(name, progress, name=machine, replace=replace)
    if output == "json":
        print_json(view)
    else:
        print(view["name"])


@click.command(short_help="Put machines on disk.")
@click.argument("names", nargs=-1, required=True, type=MACHINE, metavar="NAME...")
@format_option
@click.pass_obj
def suspend(face: Face, names: tuple[str, ...], output: str) -> None:
    """Put machines on disk with their memory, and end them. They can go on at any time, after a boot of the host too.

    What is inserted in front of them stays. Stopping a suspended machine discards what it was.
    """
    client = face.client()
    with open_progress("suspend") as progress:
        for_each(names, lambda name: client.suspend_machine(name, progress), output)


@click.command(short_help="Let suspended machines go on.")
@click.argument("names", nargs=-1, required=True, type=MACHINE, metavar="NAME...")
@wait_option
@format_option
@click.pass_obj
def resume(face: Face, names: tuple[str, ...], wait: bool, output: str) -> None:
    """Let suspended machines go on, as whom they were; returns when their agents answer."""
    client = face.client()
    for_each(names, lambda name: client.resume_machine(name, wait=wait), output)
