"""Fail-open: the QEMU of an inline appliance is killed, or stopped, in the middle of traffic.

Promise: traffic is back within 50 ms of SIGKILL and within 250 ms of SIGSTOP. What counts is the first packet behind
the last lost one: from the signal until it reaches the tap of the machine.
"""

import argparse
import itertools
import os
import signal
import time
from typing import Any

from benchmarks.harness.fabric import BenchFabric, open_bench_fabric, wait_for
from benchmarks.harness.report import Report, say, summarize
from benchmarks.harness.traffic import Sight, Traffic, open_captures, open_traffic, parse_datagrams, wait_flowing

APPLIANCE, SENDER, RECEIVER = "eye", "client", "server"
LIMITS = {"SIGKILL": 50.0, "SIGSTOP": 250.0}
WATCH = 1.5
"""Seconds to watch after a signal."""


def set_up(fabric: BenchFabric) -> None:
    """Two machines with an appliance between them."""
    for name in (SENDER, RECEIVER):
        fabric.run_machine(name, "bench")
    fabric.client.create_insert({"appliance": "sniffer", "before": RECEIVER, "name": APPLIANCE})


def fail_once(fabric: BenchFabric, number: signal.Signals) -> tuple[float, float, list[Sight], list[Sight]]:
    """Send the signal under traffic. When, when the watch ended, and what was seen at both taps."""
    with open_captures(fabric, SENDER, RECEIVER) as captures:
        time.sleep(0.5)
        pid = int(fabric.client.machine(APPLIANCE)["pid"])
        begin = time.time()
        os.kill(pid, number)
        time.sleep(WATCH)
        end = time.time()
        source, target = (parse_datagrams(capture.stop()) for capture in captures)
    return begin, end, source, target


def judge(begin: float, end: float, source: list[Sight], target: list[Sight]) -> dict[str, float]:
    """Milliseconds until traffic was back, the longest pause that the receiver saw, and packets lost: those that were
    inside the appliance when it failed go with it, whatever the fabric does."""
    arrived = {sight.number: sight.time for sight in reversed(target) if sight.time < end}
    # The ends are left out: the second capture began later, and what was sent last may still have been under way.
    sure = [sight for sight in source if target[0].time <= sight.time < end - WATCH / 3]
    lost = [sight for sight in sure if sight.number not in arrived]
    around = [sight.time for sight in target if begin - 0.1 < sight.time < end]
    pause = max(later - earlier for earlier, later in itertools.pairwise(around))
    last = max((sight.number for sight in lost), default=-1)
    back = min(time for number, time in arrived.items() if number > last and time > begin)
    return {"back": (back - begin) * 1000, "pause": pause * 1000, **_count(lost, begin)}


def _count(lost: list[Sight], begin: float) -> dict[str, float]:
    inside = sum(1 for sight in lost if sight.time < begin)
    return {"lost_inside": inside, "lost_after": len(lost) - inside}


def recover(fabric: BenchFabric, number: signal.Signals) -> None:
    """The appliance back in the path."""
    if number is signal.SIGSTOP:
        os.kill(int(fabric.client.machine(APPLIANCE)["pid"]), signal.SIGCONT)
    else:
        wait_for(lambda: fabric.client.machine(APPLIANCE)["state"] == "failed", "the death is noticed")
        fabric.client.start_machine(APPLIANCE)
    wait_for(lambda: fabric.client.insert(APPLIANCE)["state"] == "active", "the appliance is in the path again")


def measure(fabric: BenchFabric, number: signal.Signals, options: argparse.Namespace) -> list[dict[str, float]]:
    """The same failure several times."""
    results = []
    for _ in range(options.count):
        with open_traffic(fabric, SENDER, RECEIVER) as traffic:
            results.append(_measure_once(fabric, number, traffic, options.rate))
        say(
            "  {}: back after {back:.1f} ms; lost: {lost_inside} inside, {lost_after} after".format(
                number.name, **results[-1]
            )
        )
    return results


def _measure_once(fabric: BenchFabric, number: signal.Signals, traffic: Traffic, rate: int) -> dict[str, float]:
    traffic.start(60, rate=rate, tcp=None)
    wait_flowing(fabric, RECEIVER)
    try:
        return judge(*fail_once(fabric, number))
    finally:
        recover(fabric, number)


def condense(results: list[dict[str, float]]) -> dict[str, Any]:
    return {
        "back_ms": summarize([result["back"] for result in results]),
        "longest_pause_ms": summarize([result["pause"] for result in results]),
        "lost_inside_it": summarize([result["lost_inside"] for result in results]),
        "lost_after_it": summarize([result["lost_after"] for result in results]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill and stop an inline appliance under traffic.")
    parser.add_argument("--count", type=int, default=10, help="failures of each kind")
    parser.add_argument("--rate", type=int, default=2000, help="UDP packets a second")
    options = parser.parse_args()
    report = Report("failopen", vars(options))
    with open_bench_fabric() as fabric:
        set_up(fabric)
        for number in (signal.SIGKILL, signal.SIGSTOP):
            results = measure(fabric, number, options)
            report.figures[number.name] = condense(results)
            worst = max(result["back"] for result in results)
            report.promise(
                f"traffic back after {number.name}, ms, worst of {options.count}", worst, LIMITS[number.name]
            )
    report.publish()


if __name__ == "__main__":
    main()
