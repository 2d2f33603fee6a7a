"""Metrics for Prometheus: printed, in a file, or served."""

import contextlib
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from weft.cli.face import Face
from weft.model.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from weft.client import Client


@click.command(short_help="Print or serve numbers for Prometheus.")
@click.option("--listen", metavar="ADDRESS:PORT", help="Serve them at http://ADDRESS:PORT/metrics, and nothing else.")
@click.option("-o", "--output", type=click.Path(path_type=Path), metavar="FILE",
              help="Write them to FILE, whole or not at all.")  # fmt: skip
@click.option("--ask/--no-ask", default=True,
              help="Ask guests for what only they know (default), or let idle ones sleep.")  # fmt: skip
@click.option("--format", "form", type=click.Choice(["text", "openmetrics"]), default="text", show_default=True,
              help="Prometheus' text format 0.0.4, or OpenMetrics. With --listen: what is asked for.")  # fmt: skip
@click.pass_obj
def metrics(face: Face, listen: str | None, output: Path | None, ask: bool, form: str) -> None:
    """Print numbers of all rooms and machines, the host and the daemon.

    The daemon has them at /metrics on its socket. With --listen they are served until Ctrl-C, to anybody who can reach
    the address; a daemon that is not there is not started then.
    """
    if listen is not None:
        if output is not None:
            raise Invalid("--listen and --output are two ways")
        _serve(face, listen, ask=ask)
        return
    body = face.client().metrics(ask=ask, format=form)
    if output is None:
        sys.stdout.write(body.decode())
    else:
        _write(output, body)


def _serve(face: Face, listen: str, *, ask: bool) -> None:
    from weft.cli.exporter import Exporter, parse_listen

    client: Client = face.client(start=False)
    with Exporter(*parse_listen(listen), lambda form: client.metrics(ask=ask, format=form)) as exporter:
        print(f"weft: serving {exporter.url}", file=sys.stderr, flush=True)
        exporter.serve_forever()


def _write(path: Path, body: bytes) -> None:
    """A collector never reads half of it."""
    new = path.with_name(f".{path.name}.new")
    try:
        new.write_bytes(body)
        new.replace(path)
    except OSError as err:
        with contextlib.suppress(OSError):
            new.unlink()
        raise Unavailable(f"{path} cannot be written: {err.strerror}") from err
