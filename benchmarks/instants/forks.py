"""Forks: of one machine, of a room, and many at once."""

import argparse
import statistics
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from benchmarks.harness.fabric import BenchFabric
from benchmarks.harness.report import Report, percentile, say
from benchmarks.instants.taking import remove, spread, spreads, take_time
from weft.client import Client

IMAGE, ORIGINAL, COPY = "base", "origin", "copy"
MIB = 1 << 20
MEMORY, USED = 256 * MIB, {"little": 0, "much": 100}
"""MiB that a program has written in a machine of 256 MiB, besides what the system needs."""
PAUSE_MS, READY_MS, SPREAD = 50.0, 300.0, 1.3
ROOM, ROOM_MACHINES, ROOM_MS = "server", 6, 2000.0
AT_ONCE = 5.0


def measure_fork(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """The first fork of a machine, and one more, of machines that use little and much of their memory."""
    pauses: dict[str, list[float]] = {}
    ready: dict[str, list[float]] = {}
    for number in range(options.count + 1):
        for use, megabytes in USED.items():
            fabric.run_machine(ORIGINAL, IMAGE, memory=MEMORY, cold=True)
            fabric.execute(ORIGINAL, f"dd if=/dev/urandom of=/tmp/used bs=1M count={megabytes} 2>&1")
            for kind in ("first", "again"):
                taken, view = _fork(fabric)
                if number:
                    pauses.setdefault(f"{kind}_{use}", []).append(view["pause"] * 1000)
                    ready.setdefault(f"{kind}_{use}", []).append(taken)
            remove(fabric, ORIGINAL)
        if number:
            say("  " + ", ".join(f"{kind} {values[-1]:.0f} ms" for kind, values in ready.items()))
    report.figures["fork_ms"] = {"pause": spreads(pauses), "ready": spreads(ready)}
    for kind in ("first", "again"):
        little, much = (statistics.median(ready[f"{kind}_{use}"]) for use in USED)
        worst = max(statistics.median(pauses[f"{kind}_{use}"]) for use in USED)
        report.promise(f"fork of 256 MiB, {kind}: the original stood still, p50, ms", worst, PAUSE_MS)
        report.promise(f"fork of 256 MiB, {kind}: copy ready, p50, ms", max(little, much), READY_MS)
        ratio = max(little, much) / min(little, much)
        report.promise(f"fork of 256 MiB, {kind}: much / little memory in use, medians", ratio, SPREAD)


def _fork(fabric: BenchFabric) -> tuple[float, dict[str, Any]]:
    """Milliseconds of one fork, and what it says; the copy is gone."""
    views: list[dict[str, Any]] = []
    taken = take_time(lambda: views.append(fabric.client.fork_machine(ORIGINAL, copy=COPY)))
    _want_all(views[0])
    remove(fabric, COPY)
    return taken, views[0]


def _want_all(view: dict[str, Any]) -> None:
    if view["failed"]:
        raise RuntimeError(f"forks failed: {view['failed']}")


def measure_room(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """A room of six machines into a room of its own."""
    fabric.client.create_room(ROOM)
    room = Client(fabric.home, room=ROOM)
    for number in range(ROOM_MACHINES):
        room.create_machine({"name": f"m{number}", "image": IMAGE})
    taken, pauses = [], []
    for number in range(options.count + 1):
        milliseconds, view = _fork_room(fabric)
        fabric.client.remove_room(COPY, force=True)
        if number:
            taken.append(milliseconds)
            pauses += [pause * 1000 for pause in view["pauses"].values()]
            say(f"  {milliseconds:.0f} ms")
    report.figures["room_ms"] = {"ready": spread(taken), "pause": spread(pauses)}
    report.promise(f"fork of a room of {ROOM_MACHINES} machines, p50, ms", statistics.median(taken), ROOM_MS)


def _fork_room(fabric: BenchFabric) -> tuple[float, dict[str, Any]]:
    views: list[dict[str, Any]] = []
    taken = take_time(lambda: views.append(fabric.client.fork_room(ROOM, COPY)))
    if len(views[0]["machines"]) != ROOM_MACHINES:
        raise RuntimeError(f"not all machines are in the copy: {views[0]}")
    return taken, views[0]


def measure_many(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """Requests for one copy each, one after the other, and then all at once."""
    fabric.run_machine(ORIGINAL, IMAGE)
    alone = [_fork(fabric)[0] for _ in range(options.count + 1)][1:]

    def fork(number: int) -> float:
        return take_time(lambda: _want_all(fabric.client.fork_machine(ORIGINAL, copy=f"{COPY}-{number}")))

    with ThreadPoolExecutor(options.many) as pool:
        together = list(pool.map(fork, range(options.many)))
    macs = {str(machine["networks"][0]["mac"]) for machine in fabric.client.machines()}
    remove(fabric, *(f"{COPY}-{number}" for number in range(options.many)))
    report.figures["many_ms"] = {"alone": spread(alone), "together": spread(together)}
    report.promise(f"of {options.many} forks at once and their original, hardware addresses that are missing",
                   options.many + 1 - len(macs), 0)  # fmt: skip
    ratio = percentile(together, 95) / statistics.median(alone)
    report.promise(f"{options.many} forks at once, p95 / one alone, p50", ratio, AT_ONCE)
