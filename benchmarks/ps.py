"""ps: `weft ps` with 20 machines against `python3 -c pass`.

Promise: 10 times as long at most. The two take turns; medians.
"""

import argparse
import os
import select
import statistics
import subprocess
import time
from collections.abc import Sequence

from benchmarks.harness.fabric import PATIENCE, WEFT, open_bench_fabric
from benchmarks.harness.report import Report, say, summarize

LIMIT = 10.0
EMPTY = ("/usr/bin/python3", "-c", "pass")


def time_run(argv: Sequence[str]) -> float:
    """Milliseconds that a command takes from start to end. Raises RuntimeError when it fails."""
    begin = time.perf_counter()
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL)
    # Not wait(timeout): that looks again after 0.5, 1, 2, 4, ... ms, and all times would be sums of these.
    pidfd = os.pidfd_open(process.pid)
    select.select([pidfd], [], [], PATIENCE)
    taken = (time.perf_counter() - begin) * 1000
    os.close(pidfd)
    if process.poll() != 0:
        process.kill()
        raise RuntimeError(f"{' '.join(argv)}: {process.wait()}")
    return taken


def main() -> None:
    parser = argparse.ArgumentParser(description="weft ps against an empty Python.")
    parser.add_argument("--count", type=int, default=60, help="runs of each")
    parser.add_argument("--machines", type=int, default=20)
    options = parser.parse_args()
    report = Report("ps", vars(options))
    samples: dict[str, list[float]] = {"python": [], "weft_ps": []}
    with open_bench_fabric() as fabric:
        for number in range(options.machines):
            fabric.run_machine(f"m{number}", "base")
            say(f"  {number + 1} of {options.machines} machines")
        command = (str(WEFT), "--home", str(fabric.home), "ps")
        time_run(command)
        for _ in range(options.count):
            samples["python"].append(time_run(EMPTY))
            samples["weft_ps"].append(time_run(command))
    report.figures["ms"] = {name: summarize(values) for name, values in samples.items()}
    medians = {name: statistics.median(values) for name, values in samples.items()}
    report.promise("weft ps / python3 -c pass, medians", medians["weft_ps"] / medians["python"], LIMIT)
    report.publish()


if __name__ == "__main__":
    main()
