"""Damage to snapshots: one byte of one file is not what it was, and whoever restores it has to notice."""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.fabric import BenchFabric
from weft.client.transport import Json
from weft.model.errors import Unavailable


def count_refused(fabric: BenchFabric, snapshot: str, tries: int, seed: int) -> int:
    """How many restores of a snapshot were refused, of so many that had one byte changed each, files in turn."""
    dice, refused = random.Random(seed), 0
    files = sorted((fabric.home / "snapshots" / snapshot).iterdir())
    before = [machine["name"] for machine in fabric.client.machines(all=True)]
    for number in range(tries):
        path = files[number % len(files)]
        with changed(path, dice.randrange(path.stat().st_size), dice.randrange(1, 256)):
            refused += _is_refused(fabric, snapshot)
    left = [machine["name"] for machine in fabric.client.machines(all=True)]
    assert left == before, f"a damaged snapshot left {set(left) - set(before)}"
    return refused


@contextmanager
def changed(path: Path, at: int, by: int) -> Iterator[None]:
    """A file with one byte that is another one, until the end."""
    flip(path, at, by)
    try:
        yield
    finally:
        flip(path, at, by)


def flip(path: Path, at: int, by: int) -> None:
    """Change one byte; the same again puts it back."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ by]))


def ignore(_text: str, _part: float | None) -> None:
    """Progress that nobody watches."""


def _is_refused(fabric: BenchFabric, snapshot: str) -> bool:
    try:
        made: Json = fabric.client.restore(snapshot, ignore, name="damaged")
    except Unavailable as err:
        return "is damaged" in err.message
    fabric.client.remove_machine(made["name"], force=True)
    return False
