"""Insert: from `weft insert sniffer --before server`, nothing running, to the first packet that came through it.

Promise: 1.5 times a bare QEMU boot of the same kernel, image and arguments, to its agent's answer, at most. The two
take turns. The first packet is seen where it leaves the appliance on the machine's side.
"""

import argparse
import socket
import statistics
import subprocess
import threading
import time

from benchmarks.harness.bare import call_inside, find_twin, time_bare_boot
from benchmarks.harness.fabric import WEFT, BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say, summarize
from benchmarks.harness.traffic import UDP_PORT, Traffic, open_traffic, wait_flowing

APPLIANCE, SENDER, RECEIVER = "eye", "client", "server"
LIMIT = 1.5
RATE = 500
ROUND = 20.0
"""Seconds that one insert may take."""
_DESTINATION_PORT = slice(36, 38)
"""Behind an Ethernet and an IPv4 header without options."""
_ALL_PROTOCOLS = 3
_TAPS = "t"
"""What the names of taps begin with."""


class FirstPacket(threading.Thread):
    """Waits for the first packet of the traffic that comes in at a tap which is not its sender's.

    In at a tap means out of the machine behind it, so that is the packet's way out of an appliance.
    """

    def __init__(self, fabric: BenchFabric, sender: str) -> None:
        super().__init__(daemon=True)
        self._sender = fabric.tap(sender)
        self._sock = call_inside(fabric.keeper, _listen)
        self._sock.settimeout(ROUND)
        self._seen = 0.0
        self.start()

    def run(self) -> None:
        port = UDP_PORT.to_bytes(2, "big")
        while not self._seen:
            try:
                frame, (link, _, direction, *_) = self._sock.recvfrom(64)
            except TimeoutError:
                return
            comes_out = link.startswith(_TAPS) and link != self._sender and direction != socket.PACKET_OUTGOING
            if comes_out and frame[_DESTINATION_PORT] == port:
                self._seen = time.perf_counter()

    def finish(self) -> float:
        """When it was, by `time.perf_counter`. Raises TimeoutError."""
        self.join(ROUND)
        self._sock.close()
        if not self._seen:
            raise TimeoutError("no packet came through the appliance")
        return self._seen


def _listen() -> socket.socket:
    return socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(_ALL_PROTOCOLS))


def time_insert(fabric: BenchFabric) -> tuple[float, float]:
    """Seconds to the first packet through a new appliance, and until the command said that it is in."""
    first = FirstPacket(fabric, SENDER)
    argv = [str(WEFT), "--home", str(fabric.home), "insert", "sniffer", "--before", RECEIVER, "--name", APPLIANCE]
    begin = time.perf_counter()
    subprocess.run(argv, check=True, capture_output=True, timeout=ROUND)
    told = time.perf_counter()
    return first.finish() - begin, told - begin


def measure(fabric: BenchFabric, traffic: Traffic, count: int) -> dict[str, list[float]]:
    """Seconds of each kind; the first round fills caches and does not count."""
    samples: dict[str, list[float]] = {"bare": [], "first_packet": [], "command": []}
    traffic.start((count + 1) * ROUND, rate=RATE, tcp=None)
    wait_flowing(fabric, RECEIVER)
    for number in range(count + 1):
        first, told = time_insert(fabric)
        twin = find_twin(fabric, APPLIANCE)
        fabric.client.eject(APPLIANCE)
        bare = time_bare_boot(twin, fabric.home / "bare", fabric.keeper)
        if number:
            for name, value in (("bare", bare), ("first_packet", first), ("command", told)):
                samples[name].append(value)
            say(f"  bare {bare:.3f} s, first packet {first:.3f} s, weft insert {told:.3f} s")
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description="A fresh insert against bare QEMU.")
    parser.add_argument("--count", type=int, default=15, help="inserts")
    options = parser.parse_args()
    report = Report("insert", vars(options))
    with open_bench_fabric() as fabric:
        for name in (SENDER, RECEIVER):
            fabric.run_machine(name, "bench")
        with open_traffic(fabric, SENDER, RECEIVER) as traffic:
            samples = measure(fabric, traffic, options.count)
    medians = {name: statistics.median(values) for name, values in samples.items()}
    report.figures["seconds"] = {name: summarize(values, 3) for name, values in samples.items()}
    report.promise("first packet / bare QEMU, medians", medians["first_packet"] / medians["bare"], LIMIT)
    report.publish()


if __name__ == "__main__":
    main()
