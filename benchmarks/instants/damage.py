"""Damage: a snapshot of which any one byte is another is refused."""

import argparse
import random
from pathlib import Path

from benchmarks.harness.fabric import BenchFabric
from benchmarks.harness.report import Report, say
from benchmarks.instants.taking import remove
from weft.model.errors import WeftError

SNAPSHOT, MACHINE, COPY = "kept", "origin", "copy"
SEED = 20


def measure_damage(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """Flip a bit, try to restore, flip it back; every file has its turn, however small."""
    fabric.run_machine(MACHINE, "base")
    fabric.client.create_snapshot(MACHINE, _no_progress, name=SNAPSHOT)
    files = sorted(path for path in (fabric.home / "snapshots" / SNAPSHOT).rglob("*") if path.is_file())
    rng = random.Random(SEED)
    taken: dict[str, int] = {path.name: 0 for path in files}
    said: dict[str, int] = {}
    for number in range(options.damages):
        path = files[number % len(files)]
        flip(path, at := rng.randrange(path.stat().st_size), bit := rng.randrange(8))
        try:
            fabric.client.restore(SNAPSHOT, _no_progress, name=COPY)
            taken[path.name] += 1
            remove(fabric, COPY)
            say(f"  a snapshot with another byte {at} of {path.name} was restored")
        except WeftError as err:
            said[err.code] = said.get(err.code, 0) + 1
        flip(path, at, bit)
    fabric.client.restore(SNAPSHOT, _no_progress, name=COPY)
    remove(fabric, COPY)
    report.figures["damage"] = {"files": sorted(taken), "taken": taken, "refused_with": said}
    report.promise(f"of {options.damages} damaged snapshots were not refused", sum(taken.values()), 0)


def flip(path: Path, at: int, bit: int) -> None:
    """Change one bit of a file, or change it back."""
    with path.open("r+b") as file:
        file.seek(at)
        (byte,) = file.read(1)
        file.seek(at)
        file.write(bytes([byte ^ 1 << bit]))


def _no_progress(*_: object) -> None:
    """Nobody watches."""
