"""Looking into a port for a while."""

import os
import sys
from typing import TYPE_CHECKING

import click

from weft.cli.face import Face
from weft.cli.params import DURATION, PORT
from weft.model.names import parse_port

if TYPE_CHECKING:
    from weft.client.http import Answer


@click.command(short_help="Watch the traffic of a machine or a gateway.")
@click.argument("port", type=PORT, metavar="PORT")
@click.option("-w", "--write", "target", metavar="FILE|-", help="Write pcapng there instead of printing lines.")
@click.option("--count", type=click.IntRange(min=1), metavar="N", help="End after N packets.")
@click.option("--for", "seconds", type=DURATION, help="End after this long.")
@click.option("--mode", type=click.Choice(["inline", "copy"]), default="inline", show_default=True,
              help="Sit in the path, or get copies.")  # fmt: skip
@click.argument("filter", nargs=-1, metavar="[FILTER]...")
@click.pass_obj
def sniff(
    face: Face,
    port: str,
    target: str | None,
    count: int | None,
    seconds: float | None,
    mode: str,
    filter: tuple[str, ...],
) -> None:
    """Slip a sniffer in at PORT, show what passes, and take it out at the end.

    PORT is MACHINE, MACHINE:NIC, or network:NETWORK for the gateway of a network.

    FILTER is a capture filter as tcpdump reads it: `tcp port 80`. With `-w -`, a pipe to tshark or Wireshark works.
    """
    place = parse_port(port)
    opening = face.client().open_sniff(
        place.network or place.machine,
        nic=place.nic,
        gateway=place.network is not None,
        filter=" ".join(filter) or None,
        count=count,
        seconds=seconds,
        format="pcapng" if target else "text",
        mode=mode,
    )
    with opening as answer:
        _write_stream(answer, target)


def _write_stream(answer: "Answer", target: str | None) -> None:
    """Writes what comes as it comes. A reader that has seen enough ends it, and that is no error."""
    from weft.cli.terminal import write_all

    # Opened now and not before: a sniff that is refused leaves the file as it was.
    fd = sys.stdout.fileno() if target in (None, "-") else _open_file(str(target))
    try:
        for piece in answer.pieces():
            write_all(fd, piece)
    except BrokenPipeError:
        return


def _open_file(path: str) -> int:
    try:
        return os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o666)
    except OSError as err:
        raise click.FileError(path, err.strerror) from err
