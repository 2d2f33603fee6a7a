"""Starts: `weft run` of an appliance and `weft insert`, cold, from a template, and out of a pool."""

import argparse
import statistics
import time
from typing import Any

from benchmarks.harness.bare import find_twin
from benchmarks.harness.bare_copy import open_bare_moment, time_bare_copy
from benchmarks.harness.fabric import PATIENCE, BenchFabric, wait_for
from benchmarks.harness.report import Report, say
from benchmarks.harness.traffic import Traffic, compare, open_captures, open_traffic, wait_flowing
from benchmarks.insert import RATE, FirstPacket
from benchmarks.instants.taking import remove, spread, spreads, take_time, take_turns, want_origin

APPLIANCE, NAME = "sniffer", "eye"
SENDER, RECEIVER = "client", "server"
POOL = 2
API_MS, SHELL_MS, COLD_RATIO, BARE_RATIO = 120.0, 220.0, 8.0, 2.0
INSERT_MS, POOLED_MS = 250.0, 50.0


def measure_run(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """From the request, or the command, to the agent's answer with an identity of its own."""
    spec = {"name": NAME, "image": APPLIANCE}
    fabric.client.create_template({"image": APPLIANCE})
    fabric.client.create_machine({**spec, "cold": True})
    twin = find_twin(fabric, NAME)
    remove(fabric, NAME)

    def by_api(cold: bool) -> float:
        taken = take_time(lambda: fabric.client.create_machine({**spec, "cold": cold}))
        want_origin(fabric.client.machine(NAME), "" if cold else "template")
        remove(fabric, NAME)
        return taken

    def by_shell() -> float:
        taken = take_time(lambda: fabric.weft("run", "-d", "--name", NAME, APPLIANCE))
        remove(fabric, NAME)
        return taken

    with open_bare_moment(twin, fabric.home / "bare", fabric.keeper) as moment:
        kinds = {
            "bare": lambda: time_bare_copy(moment) * 1000,
            "api": lambda: by_api(cold=False),
            "shell": by_shell,
            "cold": lambda: by_api(cold=True),
        }
        samples = take_turns(kinds, options.count)
    medians = {kind: statistics.median(values) for kind, values in samples.items()}
    report.figures["run_ms"] = spreads(samples)
    report.promise("weft run from a template, through the API, p50, ms", medians["api"], API_MS)
    report.promise("weft run from a template, from the shell, p50, ms", medians["shell"], SHELL_MS)
    report.promise("from a template / cold, medians", medians["api"] / medians["cold"], 1 / COLD_RATIO)
    report.promise("from a template / bare QEMU that goes on, medians", medians["api"] / medians["bare"], BARE_RATIO)


def measure_insert(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """From the request to the first packet through an appliance that was not there, under a stream of packets."""
    for name in (SENDER, RECEIVER):
        fabric.run_machine(name, "bench")
    fabric.client.create_template({"image": APPLIANCE})
    with open_traffic(fabric, SENDER, RECEIVER) as traffic:
        for kind, limit in (("template", INSERT_MS), ("pool", POOLED_MS)):
            if kind == "pool":
                fabric.client.set_pool({"image": APPLIANCE, "size": POOL})
            taken, lost = _insert_under_traffic(fabric, traffic, options.count)
            report.figures[f"insert_{kind}"] = {"first_packet_ms": spread(taken), "between_the_taps": lost}
            report.promise(f"insert, {kind}, to the first packet through it, p50, ms", statistics.median(taken), limit)
            report.promise(f"packets lost in inserts and ejects, {kind}", lost["lost"], 0)


def _insert_under_traffic(fabric: BenchFabric, traffic: Traffic, count: int) -> tuple[list[float], dict[str, Any]]:
    """Milliseconds of inserts, the first of which does not count, and what of the traffic arrived meanwhile."""
    with open_captures(fabric, SENDER, RECEIVER) as (source, target):
        traffic.start_detached(rate=RATE)
        wait_flowing(fabric, RECEIVER)
        taken = [_time_insert(fabric) for _ in range(count + 1)][1:]
        traffic.stop_detached()
        return taken, compare(source.stop(), target.stop())


def _time_insert(fabric: BenchFabric) -> float:
    """Milliseconds to the first packet; it is ejected then, and a pool is full again."""
    first = FirstPacket(fabric, SENDER)
    spec = {"appliance": APPLIANCE, "before": RECEIVER, "name": NAME}
    begin = time.perf_counter()
    fabric.client.create_insert(spec)
    told = (time.perf_counter() - begin) * 1000
    taken = (first.finish() - begin) * 1000
    want_origin(fabric.client.machine(NAME), "template")
    fabric.client.eject(NAME)
    pools = fabric.client.pools
    wait_for(lambda: all(pool["ready"] >= pool["size"] for pool in pools()), "the pool is full", seconds=PATIENCE)
    say(f"  first packet after {taken:.1f} ms, answer after {told:.1f} ms")
    return taken
