"""Images from and to elsewhere: pull, push, import, export."""

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from weft.cli.face import Face, format_option
from weft.cli.params import IMAGE
from weft.cli.printing import dump_digest, print_json
from weft.model.errors import Invalid, NotFound, Unavailable

if TYPE_CHECKING:
    from weft.client import Client
    from weft.client.transport import Progress


@click.command(short_help="Fetch images from registries.")
@click.argument("references", nargs=-1, required=True, metavar="REF...")
@format_option
@click.pass_obj
def pull(face: Face, references: tuple[str, ...], output: str) -> None:
    """Fetch the images REF from their registries: docker.io/library/nginx:1.2, or nginx, which is short for the same.

    What is here already is not fetched again, and a pull that was cut off goes on where it was. Registries that need
    a login find it where docker, podman and skopeo keep it.
    """
    client, images = face.client(), []
    for reference in references:
        images.append(pull_image(client, reference))
        if output != "json":
            print(images[-1]["name"], dump_digest(images[-1]["digest"]), flush=True)
    if output == "json":
        print_json(images)


def pull_image(client: "Client", reference: str) -> dict[str, Any]:
    """Fetches one, with progress; its manifest."""
    from weft.cli.progress import open_progress

    with open_progress(f"pull {reference}") as progress:
        return client.pull_image(reference, progress)


@click.command(short_help="Send an image to a registry.")
@click.argument("name", type=IMAGE)
@click.argument("reference", required=False, metavar="[REF]")
@format_option
@click.pass_obj
def push(face: Face, name: str, reference: str | None, output: str) -> None:
    """Send the image NAME to a registry, under its own name or as REF."""
    from weft.cli.progress import open_progress

    with open_progress(f"push {reference or name}") as progress:
        pushed = face.client().push_image(name, progress, reference=reference)
    if output == "json":
        print_json(pushed)
    else:
        print(pushed["reference"], pushed["digest"])


@click.command("import", short_help="Take images from an archive.")
@click.argument("file", type=click.Path(path_type=Path, allow_dash=True), metavar="FILE|-")
@click.option("-t", "--tag", "name", metavar="NAME", help="What to call it. Default: as the archive says.")
@click.option("--kind", type=click.Choice(["plan9"]),
              help="It is a Plan 9 root, even if it does not say so; a plain tar does, too.")  # fmt: skip
@format_option
@click.pass_obj
def import_(face: Face, file: Path, name: str | None, kind: str | None, output: str) -> None:
    """Take the images of FILE: an archive of `docker save` or `skopeo copy`, a tar or a folder with an OCI layout.

    With `-` it comes from standard input: docker save nginx | weft image import -
    """
    from weft.cli.progress import open_progress

    with open_progress(f"import {file}") as progress:
        images = face.client().import_image(_open_archive(file, progress), progress, name=name, kind=kind)
    if output == "json":
        print_json(images)
        return
    for image in images:
        print(image["name"], dump_digest(image["digest"]))


def _open_archive(file: Path, progress: "Progress") -> Iterator[bytes]:
    from weft.client.packing import measure_layout, pack_layout, read_pieces

    if str(file) == "-":
        if sys.stdin.isatty():
            raise Invalid("standard input is a terminal", hint="docker save NAME | weft image import -")
        yield from _tell(read_pieces(sys.stdin.buffer), None, progress)
    elif file.is_dir():
        yield from _tell(pack_layout(file), measure_layout(file), progress)
    else:
        try:
            with file.open("rb") as opened:
                yield from _tell(read_pieces(opened), file.stat().st_size, progress)
        except OSError as err:
            raise NotFound(f"cannot read {file}: {err.strerror}") from err


def _tell(pieces: Iterator[bytes], total: int | None, progress: "Progress") -> Iterator[bytes]:
    """The pieces; how much of them there was."""
    done = 0
    for piece in pieces:
        yield piece
        done += len(piece)
        progress(f"{done / 1e6:.1f} MB sent", min(done / total, 1.0) if total else None)


@click.command(short_help="Write an image to an archive.")
@click.argument("name", type=IMAGE)
@click.option("-o", "--output", "file", type=click.Path(path_type=Path, allow_dash=True), default="-", metavar="FILE|-",
              help="Where to write to. Default: standard output.")  # fmt: skip
@click.pass_obj
def export(face: Face, /, name: str, file: Path) -> None:
    """Write the image NAME as an archive that docker load, podman load and skopeo take: the tar of an OCI layout.

    weft image export nginx | docker load
    """
    if str(file) == "-" and sys.stdout.isatty():
        raise Invalid("standard output is a terminal", hint="name a file with -o, or write to a pipe")
    client = face.client()
    if str(file) == "-":
        sys.stdout.flush()
        _copy(client, name, sys.stdout.buffer)
        return
    draft = file.with_name(f".{file.name}.part")
    try:
        with draft.open("wb") as opened:
            _copy(client, name, opened)
        draft.replace(file)
    except OSError as err:
        raise Unavailable(f"cannot write {file}: {err.strerror}") from err
    finally:
        draft.unlink(missing_ok=True)


def _copy(client: "Client", name: str, out: BinaryIO) -> None:
    with client.open_export(name) as answer:
        for piece in answer.pieces():
            out.write(piece)
    out.flush()
