"""What a machine that eats everything costs its neighbours.

`pages`: while one tenant dirties page cache as fast as it can and another forks processes, how long a third takes to
have its program paged in and run; as processes in control groups of one kernel, as machines, and as machines of which
the one that writes has a limit. Each kind beside itself when it is calm. There is no promise: these are the figures.
`greedy`: what machines that use all they get are granted. Promise: within 10 % of their weights.
"""

import argparse
import tempfile
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, percentile, say, summarize
from benchmarks.neighbours.greedy import compare_shares
from benchmarks.neighbours.tenants import FORKER, WRITER, Machines, Tenants, make_program, open_processes

WEIGHTS = {"light": 100, "heavy": 300}
WRITER_LIMIT = 10 << 20
"""Bytes a second to its disk, where the one that writes has a limit."""
BESIDE = {"the writer": (WRITER,), "the forker": (FORKER,), "both": (WRITER, FORKER)}
Samples = dict[str, list[float]]


def compare_tenants(fabric: BenchFabric, rounds: int, count: int) -> dict[str, Any]:
    """Milliseconds of each kind, calm and beside its neighbours; the kinds take turns."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="weft-bench-")))
        tool = make_program(folder)
        processes, machines = stack.enter_context(open_processes(tool, folder)), Machines(fabric, tool)
        found: dict[str, Samples] = {}
        for number in range(rounds):
            say(f"  round {number + 1} of {rounds}")
            _add(found, "processes", processes, count)
            _add(found, "machines", machines, count)
            machines.limit_writer(disk_write=WRITER_LIMIT)
            _add(found, "machines, the writer limited", machines, count)
            machines.limit_writer()
    return {kind: _compare(samples) for kind, samples in found.items()}


def _add(found: dict[str, Samples], kind: str, tenants: Tenants, count: int) -> None:
    samples = found.setdefault(kind, {name: [] for name in ("calm", *BESIDE)})
    for name, values in samples.items():
        tenants.disturb(*BESIDE.get(name, ()))
        values += tenants.turns(count)
        tenants.calm()
    medians = {name: round(percentile(values, 50)) for name, values in samples.items()}
    say(f"    {kind}: medians {medians} ms")


def _compare(samples: Samples) -> dict[str, Any]:
    found = {name: summarize(values) for name, values in samples.items()}
    ratios = {
        name: {which: round(found[name][which] / found["calm"][which], 2) for which in ("p50", "p99")}
        for name in BESIDE
    }
    return {**found, "times as long": ratios}


def main() -> None:
    parser = argparse.ArgumentParser(description="What a greedy neighbour costs.")
    parser.add_argument("--rounds", type=int, default=4, help="of each kind of tenants")
    parser.add_argument(
        "--count", type=int, default=100, help="of runs of the program beside nobody, one, both; in each round"
    )
    parser.add_argument("--seconds", type=float, default=40.0, help="of processor time that is shared by weights")
    parser.add_argument("--only", choices=["pages", "greedy"], help="one section alone")
    options = parser.parse_args()
    report = Report("neighbour", vars(options))
    with open_bench_fabric() as fabric:
        if options.only != "greedy":
            report.figures["pages"] = compare_tenants(fabric, options.rounds, options.count)
        if options.only != "pages":
            shares = compare_shares(fabric, WEIGHTS, options.seconds)
            report.figures["greedy"] = shares
            for where, figures in shares.items():
                report.promise(f"shares are off what weights say, {where}", figures["off"], 0.1)
    report.publish()


if __name__ == "__main__":
    main()
