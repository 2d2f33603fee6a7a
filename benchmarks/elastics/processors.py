"""Processors asked for by hand: how soon they are there and gone, and that the machine lives."""

import argparse
import time

from benchmarks.harness.fabric import BenchFabric
from benchmarks.harness.report import Report, percentile, summarize

SECONDS = 1.0
PROFILES = ("microvm", "q35")
ELASTIC = {"max_cpus": 4, "policy": {"mode": "manual"}}


def measure_cpus(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """One processor more and one less, of a machine that is idle, and all four at once."""
    for profile in PROFILES:
        fabric.run_machine(profile, "base", cpus=1, profile=profile, elastic=ELASTIC)
        ways = {"up": (1, 2), "down": (2, 1), "up_all": (1, 4), "down_all": (4, 1)}
        times: dict[str, list[float]] = {way: [] for way in ways}
        for _ in range(options.rounds):
            for way, (start, end) in ways.items():
                _scale(fabric, profile, start)
                times[way].append(_scale(fabric, profile, end))
        mechanism = fabric.client.elastic(profile)["cpus"]["mechanism"]
        figures = {way: {**summarize(all), "p95": percentile(all, 95)} for way, all in times.items()}
        report.figures[f"cpus_{profile}"] = {"mechanism": mechanism, **figures}
        for way in ("up", "down"):
            report.promise(f"cpus {way} by one, {profile}, p95, s", percentile(times[way], 95), SECONDS)
        fabric.client.remove_machine(profile, force=True)


def _scale(fabric: BenchFabric, name: str, cpus: int) -> float:
    """How long it took. Raises RuntimeError when it did not come to that."""
    begin = time.monotonic()
    view = fabric.client.scale_machine(name, cpus=cpus)["cpus"]
    seconds = time.monotonic() - begin
    if view["request"]["state"] != "applied" or view["guest"] != cpus:
        raise RuntimeError(f"{name} does not come to {cpus} processors: {view}")
    return seconds
