"""Splice: a running, parked appliance goes in front of a machine and out again, while traffic flows.

Promise: no packet lost, no connection broken, whatever else is reported; an insert and an eject take at most 5 ms
(median) and 50 ms (p99), seen by the client of the API. Beside it, in the same run: a machine's tap moved between two
bridges with the same appliance between them, which is how it is done without patch points.
"""

import argparse
import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, percentile, say, summarize
from benchmarks.harness.traffic import compare, open_captures, open_traffic, settle, wait_flowing

APPLIANCE, SENDER, RECEIVER = "eye", "client", "server"
OTHER_BRIDGE = "others"
SLACK = 0.15
"""Seconds a splice may take on average before the traffic would end too early."""
Move = Callable[[], object]


def set_up(fabric: BenchFabric) -> None:
    """Two machines, and an appliance that runs but stands in nobody's way."""
    for name in (SENDER, RECEIVER):
        fabric.run_machine(name, "bench")
    fabric.client.create_insert({"appliance": "sniffer", "before": RECEIVER, "name": APPLIANCE})
    fabric.client.eject(APPLIANCE, keep=True)


def measure(fabric: BenchFabric, options: argparse.Namespace, there: Move, back: Move) -> dict[str, Any]:
    """Go there and back under traffic; times in ms, and all that was lost."""
    seconds = options.count * 2 * (options.pause + SLACK) + 10
    inserts, ejects = [], []
    with open_captures(fabric, SENDER, RECEIVER) as captures, open_traffic(fabric, SENDER, RECEIVER) as traffic:
        before = traffic.receiver_counters()
        traffic.start(seconds, rate=options.rate)
        wait_flowing(fabric, RECEIVER)
        for number in range(options.count):
            inserts.append(take_time(there, options.pause))
            ejects.append(take_time(back, options.pause))
            if number % 20 == 19:
                say(f"  {number + 1} of {options.count}")
        by_iperf = traffic.finish()
        settle()
        after = traffic.receiver_counters()
        wiring = compare(*(capture.stop() for capture in captures))
    return {
        "insert_ms": inserts,
        "eject_ms": ejects,
        "between_the_taps": wiring,
        "by_iperf3": by_iperf,
        "receiver": {name: after[name] - before[name] for name in after},
        "dropped_by_links": fabric.drops(),
    }


def take_time(move: Move, pause: float) -> float:
    """How long a move takes, in ms; then a pause, never twice the same, so that nothing runs in step with it."""
    begin = time.perf_counter()
    move()
    taken = (time.perf_counter() - begin) * 1000
    time.sleep(pause * random.uniform(0.5, 1.5))
    return taken


def measure_weft(fabric: BenchFabric, options: argparse.Namespace) -> dict[str, Any]:
    """The promise itself."""
    client = fabric.client
    return measure(
        fabric,
        options,
        lambda: client.create_insert({"appliance": APPLIANCE, "before": RECEIVER}),
        lambda: client.eject(APPLIANCE, keep=True),
    )


def measure_bridges(fabric: BenchFabric, options: argparse.Namespace) -> dict[str, Any]:
    """The other way: the appliance stands between two bridges for good, and the machine's tap moves."""
    home = rewire(fabric)
    tap = fabric.tap(RECEIVER)

    def move(bridge: str) -> Move:
        return lambda: fabric.ask_inside("ip", "link", "set", tap, "master", bridge)

    settle()  # what the appliance still held has passed
    return measure(fabric, options, move(OTHER_BRIDGE), move(home))


def rewire(fabric: BenchFabric) -> str:
    """Take the receiver's patch point away and put taps straight into bridges; the name of its network's bridge."""
    home = next(str(link["ifname"]) for link in fabric.links() if link.get("ifalias") == "weft network default")
    tap = fabric.tap(RECEIVER)
    patch = tap.replace("t", "p", 1)
    for link in (tap, patch):
        fabric.ask_inside("tc", "qdisc", "del", "dev", link, "ingress")
    fabric.ask_inside("ip", "link", "add", OTHER_BRIDGE, "up", "type", "bridge", "stp_state", "0", "forward_delay", "0")
    for link, bridge in ((fabric.tap(APPLIANCE, 0), home), (fabric.tap(APPLIANCE, 1), OTHER_BRIDGE), (tap, home)):
        fabric.ask_inside("ip", "link", "set", link, "master", bridge)
    return home


def lost_connections(measured: dict[str, Any]) -> int:
    """TCP streams and control connections of iperf3 that did not come to their end."""
    return sum(int(counted["broken"]) for counted in measured["by_iperf3"].values())


def condense(measured: dict[str, Any]) -> dict[str, Any]:
    """The report's form: spreads instead of samples."""
    return {**measured, "insert_ms": summarize(measured["insert_ms"]), "eject_ms": summarize(measured["eject_ms"])}


def main() -> None:
    parser = argparse.ArgumentParser(description="Insert and eject a running appliance under traffic.")
    parser.add_argument("--count", type=int, default=100, help="inserts, and as many ejects")
    parser.add_argument("--rate", type=int, default=2000, help="UDP packets a second")
    parser.add_argument("--pause", type=float, default=0.2, help="seconds between two splices, on average")
    parser.add_argument("--skip-bridges", action="store_true", help="leave the other way out")
    options = parser.parse_args()
    report = Report("splice", vars(options))
    with open_bench_fabric() as fabric:
        set_up(fabric)
        say(f"{options.count} inserts and ejects under {options.rate} packets/s")
        ours = measure_weft(fabric, options)
        if not options.skip_bridges:
            say("the same by moving the tap between bridges")
            report.figures["bridge_move"] = condense(measure_bridges(fabric, options))
    report.figures["weft"] = condense(ours)
    report.promise("packets lost", ours["between_the_taps"]["lost"], 0)
    report.promise("connections broken", lost_connections(ours), 0)
    for verb in ("insert", "eject"):
        report.promise(f"{verb} p50, ms", statistics.median(ours[f"{verb}_ms"]), 5)
        report.promise(f"{verb} p99, ms", percentile(ours[f"{verb}_ms"], 99), 50)
    report.publish()


if __name__ == "__main__":
    main()
