"""Crash: the daemon is killed again and again, at random moments of inserts, ejects, runs and stops, under traffic.

Promise: no packet lost on ports that nobody touches, no machine lost, nothing left over (processes, links, filters,
control groups, files), and 20 machines adopted within 1 s. Adoption is what the daemon itself does between its start
and its first answer; beside it, what whoever starts it waits for, Python's own start included.
"""

import argparse
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from benchmarks.harness.fabric import BenchFabric, open_bench_fabric, wait_for
from benchmarks.harness.leftovers import Snapshot, compare_snapshots, take_snapshot
from benchmarks.harness.report import Report, say, summarize
from benchmarks.harness.traffic import compare, open_captures, open_traffic, settle, wait_flowing
from weft.client import Client
from weft.client.starting import is_answering, start_daemon
from weft.model.errors import WeftError

SENDER, RECEIVER, TARGET, PARKED = "client", "server", "target", "eye"
FRESH, BRIEF = "fresh", "brief"
"""An insert and a machine that come and go."""
ADOPTION_LIMIT = 1.0
ADOPTIONS_CUT = 0.25
"""How often the next daemon is killed as well, while it starts and adopts."""
AT_REST = 60.0
"""Seconds until whatever was begun must have come to its end."""
_ADOPTED = re.compile(r"adopted \d+ machines in (\d+\.\d+) s")
Step = tuple[str, Callable[[Client], object]]
"""What it is, and how it is done."""


class Operator(threading.Thread):
    """Somebody who works on, whatever becomes of the daemon: steps in a circle, refusals and all."""

    def __init__(self, fabric: BenchFabric, steps: Sequence[Step]) -> None:
        super().__init__(daemon=True)
        self._client = Client(fabric.home, start=False)
        self._steps = steps
        self._ending = threading.Event()
        self._done = [0] * len(steps)
        self.start()

    def run(self) -> None:
        while not self._ending.is_set():
            for number, (_, step) in enumerate(self._steps):
                try:
                    step(self._client)
                    self._done[number] += 1
                except WeftError:  # the daemon is dead, or what an earlier step left does not fit
                    self._ending.wait(0.05)

    def counted(self) -> Iterator[tuple[str, int]]:
        """How often each step was done."""
        return zip((name for name, _ in self._steps), self._done, strict=True)

    def finish(self) -> None:
        """Let it end its round."""
        self._ending.set()
        self.join(AT_REST)


STEPS: tuple[tuple[Step, ...], ...] = (
    (
        ("insert", lambda client: client.create_insert({"appliance": "sniffer", "before": TARGET, "name": FRESH})),
        ("eject", lambda client: client.eject(FRESH)),
    ),
    (
        ("insert parked", lambda client: client.create_insert({"appliance": PARKED, "before": TARGET})),
        ("eject and park", lambda client: client.eject(PARKED, keep=True)),
    ),
    (
        ("run", lambda client: client.create_machine({"name": BRIEF, "image": "base"})),
        ("stop", lambda client: client.stop_machine(BRIEF)),
        ("start", lambda client: client.start_machine(BRIEF)),
        ("remove", lambda client: client.remove_machine(BRIEF, force=True)),
    ),
)


@contextmanager
def open_operators(fabric: BenchFabric) -> Iterator[list[Operator]]:
    """Everybody at work."""
    operators = [Operator(fabric, steps) for steps in STEPS]
    try:
        yield operators
    finally:
        for operator in operators:
            operator.finish()


def set_up(fabric: BenchFabric, machines: int) -> None:
    """The pair with the traffic, a target to work on, a parked appliance, and others up to `machines`."""
    for name in (SENDER, RECEIVER):
        fabric.run_machine(name, "bench")
    fabric.run_machine(TARGET, "base")
    fabric.client.create_insert({"appliance": "sniffer", "before": TARGET, "name": PARKED})
    fabric.client.eject(PARKED, keep=True)
    for number in range(machines - 4):
        fabric.run_machine(f"idle-{number}", "base")
    say(f"{machines} machines run")


def survivors(fabric: BenchFabric) -> dict[str, int]:
    """Pids of the machines that nobody may stop."""
    running = (view for view in fabric.client.machines() if view["state"] == "running")
    return {view["name"]: view["pid"] for view in running if view["name"] not in (FRESH, BRIEF)}


def crash(fabric: BenchFabric) -> dict[str, float]:
    """Kill the daemon and start another: seconds until that answers, and what it says its adoption took."""
    os.kill(int(fabric.client.version()["pid"]), signal.SIGKILL)
    wait_for(lambda: not is_answering(fabric.home), "the daemon is dead", pause=0.001)
    if random.random() < ADOPTIONS_CUT:
        cut_adoption(fabric)
    log = fabric.home / "daemon.log"
    size = log.stat().st_size
    begin = time.perf_counter()
    start_daemon(fabric.home)
    fabric.client.version()
    answered = time.perf_counter() - begin
    with log.open() as stream:
        stream.seek(size)
        adopted = _ADOPTED.search(stream.read())
    if adopted is None:
        raise RuntimeError("the daemon does not tell how long its adoption took")
    return {"answer": answered, "adoption": float(adopted[1])}


def cut_adoption(fabric: BenchFabric) -> None:
    """Start a daemon and kill it on its way to its first answer."""
    argv = [sys.executable, "-m", "weft.daemon", "--home", str(fabric.home)]
    with (fabric.home / "daemon.log").open("ab") as log:
        daemon = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True)
    time.sleep(random.uniform(0.3, 0.7))
    daemon.kill()
    daemon.wait(10)


def count_silent(fabric: BenchFabric, machines: Iterable[str]) -> int:
    """How many machines do not answer."""
    silent = 0
    for name in machines:
        try:
            fabric.execute(name, "true")
        except (WeftError, RuntimeError) as err:
            say(f"  {name}: {err}")
            silent += 1
    return silent


def measure(fabric: BenchFabric, options: argparse.Namespace) -> dict[str, Any]:
    """Crash and crash again; then let everything come to rest and look at what is different."""
    before, expected = take_snapshot(fabric), survivors(fabric)
    times, lost = [], 0
    with open_captures(fabric, SENDER, RECEIVER) as captures, open_traffic(fabric, SENDER, RECEIVER) as traffic:
        traffic.start_detached(rate=options.rate)
        wait_flowing(fabric, RECEIVER)
        with open_operators(fabric) as operators:
            for number in range(options.count):
                time.sleep(random.uniform(0.2, 2.5))
                times.append(crash(fabric))
                lost += sum(1 for name, pid in survivors(fabric).items() if expected.get(name) != pid)
                lost += len(expected.keys() - survivors(fabric).keys())
                say(f"  {number + 1} of {options.count}: answers after {times[-1]['answer']:.2f} s")
        clear_away(fabric)
        traffic.stop_detached()
        settle()
        packets = compare(*(capture.stop() for capture in captures))
    more, less = compare_at_rest(fabric, before)
    return {
        "times": times,
        "packets": packets,
        "machines_lost": lost + count_silent(fabric, expected),
        "left_over": more,
        "missing": less,
        "steps_done": {name: count for operator in operators for name, count in operator.counted()},
    }


def clear_away(fabric: BenchFabric) -> None:
    """What the operators had not ended by themselves."""

    def try_to_clear() -> bool:
        with suppress(WeftError):
            for insert in fabric.client.inserts():
                fabric.client.eject(insert["name"], keep=insert["name"] == PARKED)
        names = {view["name"] for view in fabric.client.machines(all=True)}
        for name in names & {FRESH, BRIEF}:
            with suppress(WeftError):
                fabric.client.remove_machine(name, force=True)
        return not names & {FRESH, BRIEF} and not fabric.client.inserts()

    wait_for(try_to_clear, "everything begun comes to its end", seconds=AT_REST, pause=0.2)


def compare_at_rest(fabric: BenchFabric, before: Snapshot) -> tuple[dict[str, list[str]], dict[str, list[str]]]:
    """The difference to an earlier moment, once it is none or does not become less."""
    with suppress(TimeoutError):
        wait_for(lambda: take_snapshot(fabric) == before, "nothing is different", seconds=10, pause=0.5)
    return compare_snapshots(before, take_snapshot(fabric))


def main() -> None:
    parser = argparse.ArgumentParser(description="Kill the daemon at random moments.")
    parser.add_argument("--count", type=int, default=50, help="how often")
    parser.add_argument("--machines", type=int, default=20)
    parser.add_argument("--rate", type=int, default=500, help="UDP packets a second on the ports nobody touches")
    options = parser.parse_args()
    report = Report("crash", vars(options))
    with open_bench_fabric() as fabric:
        set_up(fabric, options.machines)
        measured = measure(fabric, options)
    times = measured.pop("times")
    adoptions = [entry["adoption"] for entry in times]
    report.figures = {
        **measured,
        "adoption_seconds": summarize(adoptions, 3),
        "seconds_until_an_answer": summarize([entry["answer"] for entry in times], 3),
    }
    report.promise("packets lost on untouched ports", measured["packets"]["lost"], 0)
    report.promise("machines lost", measured["machines_lost"], 0)
    report.promise("leftovers", sum(map(len, measured["left_over"].values())), 0)
    report.promise("things missing", sum(map(len, measured["missing"].values())), 0)
    report.promise(f"adoption of {options.machines} machines, s, the slowest", max(adoptions), ADOPTION_LIMIT)
    report.publish()


if __name__ == "__main__":
    main()
