"""up: a whole server room from one file, against the boot of its slowest machine alone.

Promises: `weft up` of examples/server-room.yaml, from nothing, with its images built, takes at most twice as long as
the slowest of its machines takes to boot alone, measured in the same run; a second `weft up` takes a second at most.
"""

import argparse
import json
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say, summarize
from weft.client import Client

EXAMPLE = Path(__file__).parents[1] / "examples" / "server-room.yaml"
ROOM = "acme"
TIMES, AGAIN = 2.0, 1.0


def write_file(folder: Path) -> Path:
    """The example with a port of the host that is free, and paths that lead where they led."""
    text = (
        EXAMPLE.read_text()
        .replace('"8080:80"', '"80"')
        .replace("../appliances", str(EXAMPLE.parents[1] / "appliances"))
    )
    path = folder / "server-room.yaml"
    path.write_text(text)
    return path


def take_time(work: Callable[[], Any]) -> tuple[float, Any]:
    """Seconds that it takes, and what it gives."""
    begin = time.perf_counter()
    found = work()
    return time.perf_counter() - begin, found


def boot_alone(client: Client, names: list[str], count: int) -> dict[str, float]:
    """How long each machine takes while no other one runs: the median, in seconds."""
    for name in names:
        client.stop_machine(name)
    found = {}
    for name in names:
        samples = []
        for _ in range(count):
            samples.append(take_time(lambda name=name: client.start_machine(name))[0])  # type: ignore[misc]
            client.stop_machine(name)
        found[name] = median(samples)
        say(f"  {name} alone: {found[name]:.2f} s")
    return found


def measure(report: Report, fabric: BenchFabric, count: int) -> None:
    """Up and again, time after time; between two of them each machine alone."""
    path = str(write_file(fabric.home))
    client = Client(fabric.home, room=ROOM)
    cold, again, slowest, steps = [], [], [], []
    alone: dict[str, list[float]] = {}
    for number in range(count):
        seconds, done = take_time(lambda: fabric.weft("up", "--yes", "--format", "json", path))
        cold.append(seconds)
        seconds, second = take_time(lambda: fabric.weft("up", path))
        again.append(seconds)
        if second.stdout.strip() != b"nothing to do":
            raise RuntimeError(f"the second up: {second.stdout.decode()}")
        steps = json.loads(done.stdout)["steps"]
        boots = boot_alone(client, [view["name"] for view in client.machines(all=True)], 1)
        slowest.append(max(boots.values()))
        for name, seconds in boots.items():
            alone.setdefault(name, []).append(seconds)
        fabric.weft("down", "--yes", "--volumes", path)
        say(f"  {number + 1} of {count}: up {cold[-1]:.2f} s, again {again[-1]:.2f} s, slowest {slowest[-1]:.2f} s")
    report.figures["up_s"] = summarize(cold)
    report.figures["again_s"] = summarize(again)
    report.figures["alone_s"] = {name: summarize(samples) for name, samples in alone.items()}
    report.figures["last_steps_s"] = {step["step"]["key"]: round(step["seconds"], 3) for step in steps}
    report.promise("weft up, by the slowest machine alone", median(cold) / median(slowest), TIMES)
    report.promise("a second weft up, s", median(again), AGAIN)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=5)
    options = parser.parse_args()
    report = Report("up", vars(options))
    with open_bench_fabric() as fabric:
        measure(report, fabric, options.count)
    report.publish()


if __name__ == "__main__":
    main()
