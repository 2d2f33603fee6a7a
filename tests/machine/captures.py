"""Captures: sniffs that are known to have begun, and what tshark reads in them."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.machine.fabrics import PATIENCE, TestFabric, wait_for


@contextmanager
def sniffing(fabric: TestFabric, file: Path, *args: str) -> Iterator[None]:
    """`weft sniff -w FILE ARGS` from its beginning to its own end, which is awaited."""
    process = fabric.start("sniff", "-w", str(file), *args)
    try:
        # The file is made when tcpdump listens.
        wait_for(lambda: file.exists() or process.poll() is not None, "the sniff begins")
        yield
        _, complaints = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, complaints.decode()
    finally:
        process.kill()
        process.communicate()


def read_fields(capture: bytes, *fields: str) -> list[list[str]]:
    """These fields of every packet of a capture, as tshark understands it."""
    argv = ["tshark", "-n", "-r", "-", "-T", "fields", *(word for field in fields for word in ("-e", field))]
    done = subprocess.run(argv, input=capture, capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr.decode()
    return [line.split("\t") for line in done.stdout.decode().splitlines()]
