"""Takeover: a firewall becomes the gateway of a network and hands it back, while traffic leaves that network.

Promise: no connection that needs no translation is broken, and no silence longer than 20 ms comes of it. The traffic:
numbered datagrams from a machine to the outside, a TCP stream the other way, and connections of which half never say
anything until the end. Beside it, in the same run: the longest silences while nothing is inserted or ejected, since a
busy host makes some, too.
"""

import argparse
import itertools
import json
import random
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from benchmarks.harness.beyond import ADDRESS, LINK, Beyond, open_beyond, speak
from benchmarks.harness.fabric import BenchFabric, open_bench_fabric, wait_for
from benchmarks.harness.report import Report, percentile, say, summarize
from benchmarks.harness.traffic import (
    PAYLOAD,
    TCP_PORT,
    UDP_PORT,
    Capture,
    Job,
    Sight,
    compare,
    parse_datagrams,
    settle,
)

SENDER, FIREWALL, ECHO = "client", "fw", 7
BEFORE, AFTER = 0.05, 0.5
"""Seconds around a splice in which a silence is laid at its door."""


class Silence(NamedTuple):
    """Nothing came though something was sent: until when, and how many ms it lasted."""

    end: float
    length: float


def find_silences(sent: Sequence[Sight], seen: Sequence[Sight]) -> list[Silence]:
    """Between any two arrivals: how long something that was sent had been on its way, or was lost."""
    arrived = {sight.number for sight in seen}
    silences, waiting = [], iter(sorted(sent, key=lambda sight: sight.time))
    oldest = next(waiting, None)
    done: set[int] = set()
    for before, after in itertools.pairwise(seen):
        done.add(before.number)
        while oldest and (oldest.number in done or (oldest.number not in arrived and oldest.time < before.time)):
            oldest = next(waiting, None)
        begin = max(before.time, oldest.time) if oldest else before.time
        silences.append(Silence(after.time, max(0.0, (after.time - begin) * 1000)))
    return silences


def worst_near(silences: Sequence[Silence], moment: float) -> float:
    """The longest that ended around a moment; in ms."""
    near = [silence.length for silence in silences if moment - BEFORE <= silence.end <= moment + AFTER]
    return max(near, default=0.0)


def quiet(silences: Sequence[Silence], moments: Sequence[float]) -> list[Silence]:
    """Those that no splice can have to do with."""
    return [
        silence
        for silence in silences
        if not any(moment - BEFORE <= silence.end <= moment + 2 * AFTER for moment in moments)
    ]


def set_up(fabric: BenchFabric) -> None:
    """A machine that sends, and a firewall that runs but stands in nobody's way."""
    fabric.client.create_network({"name": "lan"})
    fabric.run_machine(SENDER, "bench", nics=[{"network": "lan"}], memory=128 << 20)
    fabric.client.create_insert({"appliance": "firewall", "before": "network:lan", "name": FIREWALL})
    fabric.client.eject(FIREWALL, keep=True)


def start_streams(fabric: BenchFabric, beyond: Beyond, seconds: float, rate: int) -> dict[str, Job]:
    """iperf3 from the machine: datagrams outwards, and a stream inwards."""
    jobs = {}
    for kind, port, options in (
        ("udp", UDP_PORT, ["-u", "-l", str(PAYLOAD), "-b", str(rate * PAYLOAD * 8)]),
        ("tcp", TCP_PORT, ["-R", "-l", "4K", "-b", "1M"]),
    ):
        server = beyond.start("iperf3", "-s", "-1", "--forceflush", "-p", str(port))
        assert server.stdout is not None
        while "listening" not in (line := server.stdout.readline()):
            assert line, "iperf3 does not listen"
        argv = ["iperf3", "-c", ADDRESS, "-p", str(port), "-t", str(round(seconds)), "-J", *options]
        jobs[kind] = Job(fabric, SENDER, argv)
    return jobs


def open_talks(fabric: BenchFabric, beyond: Beyond, count: int) -> Job:
    """Connections from the machine to the outside."""
    listener = beyond.listen(ECHO)
    job = Job(fabric, SENDER, ["sh", "-c", f"for i in $(seq {count}); do nc {ADDRESS} {ECHO} -e cat & done; wait"])
    beyond.accept(listener, count)
    return job


def go(fabric: BenchFabric, beyond: Beyond, options: argparse.Namespace) -> dict[str, list[float]]:
    """There and back so many times; how long each took, in ms. Every other connection speaks in between."""
    taken: dict[str, list[float]] = {"insert_ms": [], "eject_ms": []}
    for number in range(options.count):
        for verb in taken:
            begin = time.perf_counter()
            if verb == "insert_ms":
                fabric.client.create_insert({"appliance": FIREWALL, "before": "network:lan"})
            else:
                fabric.client.eject(FIREWALL, keep=True)
            taken[verb].append((time.perf_counter() - begin) * 1000)
            time.sleep(options.pause * random.uniform(0.5, 1.5))
            for talk in beyond.talks[::2]:
                speak(talk)
        say(f"  {number + 1} of {options.count}")
    return taken


def find_moments(fabric: BenchFabric, since: float) -> dict[str, list[float]]:
    """When the splices were, by what the daemon tells."""
    events = [event for event in fabric.client.events() if event["time"] >= since]
    kinds = {"insert": "insert.active", "eject": "insert.ejected"}
    return {verb: [event["time"] for event in events if event["kind"] == kind] for verb, kind in kinds.items()}


def measure(fabric: BenchFabric, beyond: Beyond, options: argparse.Namespace) -> dict[str, Any]:
    """All of it, under traffic."""
    talks = open_talks(fabric, beyond, options.connections)
    expression, since = f"udp dst port {UDP_PORT}", time.time()
    source = Capture(fabric, fabric.tap(SENDER), "in", expression)
    target = Capture(fabric, LINK, "out", expression)
    try:
        jobs = start_streams(fabric, beyond, options.seconds, options.rate)
        wait_for(lambda: sum(1 for _ in fabric.links()) and time.time() > since + 2, "traffic flows")
        taken = go(fabric, beyond, options)
        by_iperf = {kind: json.loads(job.finish(options.seconds + 60)) for kind, job in jobs.items()}
        settle()
        captures = source.stop(), target.stop()
    finally:
        source.kill()
        target.kill()
    broken = sum(not speak(talk) for talk in beyond.talks)
    talks.close()
    return {
        **{name: summarize(samples) for name, samples in taken.items()},
        "between_tap_and_outside": compare(*captures),
        "connections": len(beyond.talks) + len(jobs),
        "broken": broken + sum("error" in said for said in by_iperf.values()),
        "stream_seconds_without_data": sum(not part["sum"]["bytes"] for part in by_iperf["tcp"].get("intervals", ())),
        **judge(*captures, find_moments(fabric, since)),
    }


def judge(source: bytes, target: bytes, moments: dict[str, list[float]]) -> dict[str, Any]:
    """Silences around splices, and away from them, in ms."""
    sent, seen = parse_datagrams(source), parse_datagrams(target)
    silences, ends = find_silences(sent, seen), seen[-1].time - AFTER
    moments = {verb: [at for at in times if seen[0].time < at < ends] for verb, times in moments.items()}
    flat = [moment for times in moments.values() for moment in times]
    away = [silence.length for silence in quiet(silences, flat)]
    near = {f"{verb}_silence_ms": [worst_near(silences, at) for at in times] for verb, times in moments.items()}
    return {
        **{name: summarize(worst) for name, worst in near.items()},
        "silence_elsewhere_ms": {"p99": percentile(away, 99), "p99.99": percentile(away, 99.99), "max": max(away)},
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="A firewall takes over a gateway and hands it back, under traffic.")
    parser.add_argument("--count", type=int, default=20, help="takeovers, and as many ejections")
    parser.add_argument("--rate", type=int, default=500, help="UDP packets a second")
    parser.add_argument("--connections", type=int, default=120, help="beside the streams; half are idle all the time")
    parser.add_argument("--pause", type=float, default=1.0, help="seconds between two splices, on average")
    parser.add_argument("--seconds", type=float, default=120.0, help="how long traffic goes on")
    options = parser.parse_args()
    report = Report("takeover", vars(options))
    with open_bench_fabric() as fabric:
        set_up(fabric)
        with open_beyond(fabric) as beyond:
            say(f"{options.count} takeovers and ejections under {options.rate} packets/s")
            figures = report.figures = measure(fabric, beyond, options)
    report.promise("connections broken that need no translation", figures["broken"], 0)
    report.promise("packets lost", figures["between_tap_and_outside"]["lost"], 0)
    for verb in ("insert", "eject"):
        report.promise(f"longest silence around an {verb}, p50, ms", figures[f"{verb}_silence_ms"]["p50"], 20)
    report.publish()


if __name__ == "__main__":
    main()
