"""Snapshots of a machine.

Promise: a snapshot with one byte changed, anywhere in any of its files, is refused, every time, and nothing of it runs.
Beside it, without a promise: how long a machine stands still for a snapshot, and what taking, restoring, suspending and
resuming take.
"""

import argparse
import time
from collections.abc import Callable
from typing import Any

from benchmarks.harness.damage import count_refused, ignore
from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say, summarize


def time_call(act: Callable[[], Any]) -> float:
    """Milliseconds."""
    begin = time.monotonic()
    act()
    return (time.monotonic() - begin) * 1000


def time_acts(fabric: BenchFabric, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each act, and of standing still, in each round."""
    client = fabric.client
    taken: dict[str, list[float]] = {name: [] for name in ("pause", "create", "restore", "suspend", "resume")}
    for number in range(rounds):
        taken["create"].append(time_call(lambda: client.create_snapshot("web", ignore, name="timed")))
        taken["pause"].append(client.snapshot("timed")["paused"] * 1000)
        taken["restore"].append(time_call(lambda: client.restore("timed", ignore, name="copy")))
        client.remove_machine("copy", force=True)
        client.remove_snapshot("timed")
        taken["suspend"].append(time_call(lambda: client.suspend_machine("web", ignore)))
        taken["resume"].append(time_call(lambda: client.resume_machine("web")))
        say(f"  round {number + 1} of {rounds}")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description="Snapshots of a machine.")
    parser.add_argument("--damages", type=int, default=100, help="bytes that are changed, one at a time")
    parser.add_argument("--rounds", type=int, default=10, help="of everything that is timed")
    parser.add_argument("--seed", type=int, default=1, help="of what is changed where")
    options = parser.parse_args()
    report = Report("snapshots", vars(options))
    with open_bench_fabric() as fabric:
        fabric.run_machine("web", "base")
        report.figures = {name: summarize(times) for name, times in time_acts(fabric, options.rounds).items()}
        fabric.client.create_snapshot("web", ignore, name="whole")
        refused = count_refused(fabric, "whole", options.damages, options.seed)
    report.promise(f"damaged snapshots that were not refused, of {options.damages}", options.damages - refused, 0)
    report.publish()


if __name__ == "__main__":
    main()
