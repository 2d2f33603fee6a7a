"""Damage: a snapshot of which any one byte is another is refused."""

import argparse

from benchmarks.harness.damage import count_refused, ignore
from benchmarks.harness.fabric import BenchFabric
from benchmarks.harness.report import Report
from benchmarks.instants.taking import remove

SNAPSHOT, MACHINE, COPY = "kept", "origin", "copy"
SEED = 20


def measure_damage(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """Change a byte, try to restore, change it back; every file has its turn, however small. Whole, it is restored."""
    fabric.run_machine(MACHINE, "base")
    fabric.client.create_snapshot(MACHINE, ignore, name=SNAPSHOT)
    refused = count_refused(fabric, SNAPSHOT, options.damages, SEED)
    fabric.client.restore(SNAPSHOT, ignore, name=COPY)
    remove(fabric, COPY)
    report.figures["damage"] = {"refused": refused}
    report.promise(f"of {options.damages} damaged snapshots were not refused", options.damages - refused, 0)
