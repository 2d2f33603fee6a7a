"""Boots: machine after machine while two busy loops keep the processors from them.

Promise: none of 200 hangs. A boot that takes longer than the fabric's own limit, or fails in another way, counts.
"""

import argparse
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say, summarize
from weft.model.errors import WeftError

MACHINE = "machine"


@contextmanager
def open_busy_loops(count: int) -> Iterator[None]:
    """So many processes that do nothing, as fast as they can."""
    loops = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    try:
        yield
    finally:
        for loop in loops:
            loop.kill()
            loop.wait(10)


def measure(fabric: BenchFabric, options: argparse.Namespace) -> tuple[list[float], list[str]]:
    """Seconds of each boot that succeeded, and why others did not."""
    taken, failures = [], []
    for number in range(options.count):
        begin = time.perf_counter()
        try:
            fabric.run_machine(MACHINE, options.image, profile=options.profile)
            taken.append(time.perf_counter() - begin)
            fabric.client.remove_machine(MACHINE, force=True)
        except WeftError as err:
            failures.append(f"boot {number + 1}: {err}: {(err.detail or '')[-500:]}")
            say(f"  {failures[-1]}")
        if number % 10 == 9:
            say(f"  {number + 1} of {options.count}, the slowest took {max(taken, default=0):.1f} s")
    return taken, failures


def main() -> None:
    parser = argparse.ArgumentParser(description="Boots in a row on a busy host.")
    parser.add_argument("--count", type=int, default=200, help="boots")
    parser.add_argument("--loops", type=int, default=2, help="busy loops beside them")
    parser.add_argument("--image", default="base")
    parser.add_argument("--profile", default="microvm", choices=("microvm", "q35"))
    options = parser.parse_args()
    report = Report("boots", vars(options))
    with open_bench_fabric() as fabric, open_busy_loops(options.loops):
        taken, failures = measure(fabric, options)
    report.figures = {"seconds": summarize(taken, 3) if taken else None, "failures": failures}
    report.promise(f"boots of {options.count} that hung or failed", len(failures), 0)
    report.publish()


if __name__ == "__main__":
    main()
