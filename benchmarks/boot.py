"""Boot: `weft run -d` to the agent's answer, against bare QEMU with the same arguments to the same point.

Promise: 1.15 times bare QEMU at most. The two take turns, so that whatever else the host does meets both. The command
is measured as a user waits for it, its own start included; beside it the same through the client of the API.
"""

import argparse
import statistics
import time

from benchmarks.harness.bare import Twin, find_twin, time_bare_boot
from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say, summarize

MACHINE, LIMIT = "machine", 1.15


def time_command(fabric: BenchFabric, image: str) -> float:
    """Seconds that `weft run -d` takes."""
    begin = time.perf_counter()
    fabric.weft("run", "-d", "--name", MACHINE, image)
    return time.perf_counter() - begin


def time_client(fabric: BenchFabric, image: str) -> float:
    """Seconds that the same takes through the API."""
    begin = time.perf_counter()
    fabric.run_machine(MACHINE, image)
    return time.perf_counter() - begin


def look(fabric: BenchFabric) -> tuple[Twin, float]:
    """What the machine was started with, and from QEMU's start to READY by the daemon's clock; then it goes."""
    twin = find_twin(fabric, MACHINE)
    inside = twin.view["ready"] - twin.view["started"]
    fabric.client.remove_machine(MACHINE, force=True)
    return twin, inside


def measure(fabric: BenchFabric, options: argparse.Namespace) -> dict[str, list[float]]:
    """Seconds of each kind. The first round, which fills caches and makes the network, does not count."""
    samples: dict[str, list[float]] = {"bare": [], "command": [], "client": [], "daemon": []}
    for number in range(options.count + 1):
        command = time_command(fabric, options.image)
        twin, inside = look(fabric)
        bare = time_bare_boot(twin, fabric.home / "bare", fabric.keeper)
        client = time_client(fabric, options.image)
        look(fabric)
        if number:
            for name, value in (("bare", bare), ("command", command), ("client", client), ("daemon", inside)):
                samples[name].append(value)
            say(f"  bare {bare:.3f} s, weft run {command:.3f} s, client {client:.3f} s")
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description="weft run against bare QEMU.")
    parser.add_argument("--count", type=int, default=20, help="boots of each kind")
    parser.add_argument("--image", default="base")
    options = parser.parse_args()
    report = Report("boot", vars(options))
    with open_bench_fabric() as fabric:
        samples = measure(fabric, options)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    report.figures = {
        "seconds": {name: summarize(values, 3) for name, values in samples.items()},
        "ratio_client_to_bare": round(medians["client"] / medians["bare"], 3),
    }
    report.promise("weft run / bare QEMU, medians", medians["command"] / medians["bare"], LIMIT)
    report.publish()


if __name__ == "__main__":
    main()
