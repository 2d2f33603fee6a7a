"""Round trip: what a patch point without inserts adds, against a tap straight in the bridge.

Promise: 20 µs a round trip at most. In a namespace of its own the fabric's own code makes a bridge and a patch point,
whose port is pinned; this program plays the machines: it writes a datagram into one tap, reads it from the other,
answers, and reads the answer.
One program on one CPU, so that what is measured is the kernel's work on the way and no machine's or scheduler's. The
two ways take turns in short batches.
"""

import argparse
import asyncio
import itertools
import os
import select
import statistics
import struct
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from ipaddress import IPv4Address
from pathlib import Path

from benchmarks.harness.frames import raw, udp
from benchmarks.harness.report import Report, summarize
from weft.host.kernel_links import KernelLinks, open_links
from weft.host.namespace import Namespace, open_namespace
from weft.host.nft import load_ruleset
from weft.host.process import run
from weft.plan.linknames import bridge_name, bridge_side_name, patch_name, tap_name
from weft.plan.pin_elements import Stand
from weft.plan.pins import PinnedPort, plan_pins
from weft.plan.splice import Ends, plan_bypass

LIMIT = 20.0
MTU, FRAME = 1500, 98
"""An echo request of ordinary size."""
VIRTIO_HEADER = bytes(10)
NUMBER = struct.Struct("!Q")
NUMBER_AT = len(VIRTIO_HEADER) + 14 + 20 + 8
PAYLOAD = FRAME + len(VIRTIO_HEADER) - NUMBER_AT
TIMEOUT = 1.0
BRIDGE = bridge_name(1)
PROBE, STRAIGHT, PATCHED = 1, 2, 3
"""Slots: the machine that asks, and the two that answer."""


@dataclass(frozen=True, slots=True)
class Station:
    """One open tap and the addresses behind it."""

    fd: int
    slot: int

    @property
    def mac(self) -> str:
        return f"02:00:00:00:00:0{self.slot}"

    @property
    def address(self) -> str:
        return f"10.0.0.{self.slot}"

    def head(self, target: "Station") -> bytes:
        """What all frames to another station begin with."""
        frame = udp(self.mac, self.address, target.address, (9, 9), bytes(PAYLOAD))
        return (VIRTIO_HEADER + raw(target.mac) + frame[6:])[:NUMBER_AT]

    def send(self, head: bytes, number: int) -> None:
        """One numbered frame."""
        os.write(self.fd, (head + NUMBER.pack(number)).ljust(len(VIRTIO_HEADER) + FRAME, b"\0"))

    def receive(self, number: int) -> None:
        """Wait for the frame of this number, and pass over others. Raises TimeoutError."""
        while True:
            try:
                frame = os.read(self.fd, 2048)
            except BlockingIOError:
                if not select.select([self.fd], [], [], TIMEOUT)[0]:
                    raise TimeoutError("a frame did not arrive") from None
                continue
            if len(frame) >= NUMBER_AT + NUMBER.size and NUMBER.unpack_from(frame, NUMBER_AT)[0] == number:
                return


@asynccontextmanager
async def open_stations(folder: Path) -> AsyncIterator[dict[int, Station]]:
    """The three stations on one bridge, in a namespace that goes with the context."""
    async with AsyncExitStack() as stack:
        namespace = await open_namespace(folder)
        stack.push_async_callback(namespace.stop)
        links = await open_links(namespace)
        stack.push_async_callback(links.close)
        await links.create_bridge(BRIDGE, mtu=MTU, alias="benchmark")
        stations = {}
        for slot in (PROBE, STRAIGHT, PATCHED):
            fd = await _wire(namespace, links, slot)
            stack.callback(os.close, fd)
            stations[slot] = Station(fd, slot)
        await load_ruleset(namespace, plan_pins(pin(station) for station in stations.values()))
        yield stations


def pin(station: Station) -> PinnedPort:
    """A station's port; taps that are in the bridge themselves are free, so that only what is measured is held."""
    if station.slot != PATCHED:
        return PinnedPort(tap_name(station.slot, 0), station.mac, stand=Stand.FREE)
    return PinnedPort(bridge_side_name(station.slot, 0), station.mac, (IPv4Address(station.address),))


async def _wire(namespace: Namespace, links: KernelLinks, slot: int) -> int:
    """A station's tap on the bridge; its open descriptor."""
    ends = Ends(patch_name(slot, 0), tap_name(slot, 0))
    await links.create_tap(ends.tap, mtu=MTU, alias="benchmark")
    if slot == PATCHED:
        side = bridge_side_name(slot, 0)
        await links.create_port(side, ends.patch, bridge=BRIDGE, mtu=MTU, alias="benchmark")
        await links.apply_filters(plan_bypass(ends, {}))
    else:
        await run(namespace.argv(["ip", "link", "set", ends.tap, "master", BRIDGE]))
        await run(namespace.argv(["tc", "qdisc", "del", "dev", ends.tap, "ingress"]))
    return await links.open_tap(ends.tap)


def time_batch(probe: Station, answerer: Station, first: int, count: int) -> list[float]:
    """Round trips, in µs, with numbers from `first` on: two for each."""
    samples, there, back = [], probe.head(answerer), answerer.head(probe)
    for number in range(first, first + 2 * count, 2):
        begin = time.perf_counter_ns()
        probe.send(there, number)
        answerer.receive(number)
        answerer.send(back, number + 1)
        probe.receive(number + 1)
        samples.append((time.perf_counter_ns() - begin) / 1000)
    return samples


async def measure(options: argparse.Namespace) -> dict[str, list[float]]:
    """Round trips of each way; the first batch teaches the bridge where everybody is and does not count."""
    samples: dict[str, list[float]] = {"straight": [], "patched": []}
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as folder:
        async with open_stations(Path(folder)) as stations:
            numbers = itertools.count(0, 2 * options.batch)
            for turn in range(options.count // options.batch + 1):
                for name, slot in (("straight", STRAIGHT), ("patched", PATCHED)):
                    taken = time_batch(stations[PROBE], stations[slot], next(numbers), options.batch)
                    samples[name] += taken if turn else []
    return samples


def main() -> None:
    parser = argparse.ArgumentParser(description="What a patch point adds to a round trip.")
    parser.add_argument("--count", type=int, default=20_000, help="round trips of each way")
    parser.add_argument("--batch", type=int, default=200, help="round trips before it is the other's turn")
    options = parser.parse_args()
    report = Report("roundtrip", vars(options))
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    samples = asyncio.run(measure(options))
    report.figures["us"] = {name: summarize(values) for name, values in samples.items()}
    extra = statistics.median(samples["patched"]) - statistics.median(samples["straight"])
    report.promise("added by a patch point, µs, medians", extra, LIMIT)
    report.publish()


if __name__ == "__main__":
    main()
