"""What the policy does: how soon more is granted after a step, and whether a steady load leaves a size alone."""

import argparse
import time
from typing import Any

from benchmarks.harness.fabric import BenchFabric, wait_for
from benchmarks.harness.report import Report, percentile, say, summarize

IMAGE = "base"
CPU_SECONDS, MEMORY_SECONDS = 10.0, 2.0
CALM = 5.0
"""Seconds in which a machine that has just been started does nothing, before its load begins."""
LOOK = 0.02
"""Seconds between two looks at what was granted, for which no guest is asked."""
LEFT = 8 << 20
"""Bytes of what is available that the step leaves."""
BUSY = "while :; do :; done & while :; do :; done"
STEADY = "while :; do i=0; while [ $i -lt 20000 ]; do i=$((i+1)); done; sleep 0.1; done"
HOG = (
    f"size=$(awk '/MemAvailable/ {{print $2 * 1024 - {LEFT}}}' /proc/meminfo); "
    "exec dd if=/dev/zero of=/dev/null count=1000000000 bs=$size"
)
_CPUS = {"cpus": 1, "elastic": {"max_cpus": 2, "policy": {"mode": "auto"}}}
_MEMORY = {"memory": 128 << 20, "elastic": {"max_memory": 1 << 30, "policy": {"mode": "auto"}}}


def measure_load(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """Two programs that never rest begin on one processor: when is there a second one?"""
    steps = [_measure_step(fabric, number, "cpus", _CPUS, BUSY) for number in range(options.steps)]
    taken = [seconds for seconds, _ in steps]
    report.figures["load"] = {"seconds": {**summarize(taken), "p95": percentile(taken, 95)}}
    report.promise("a step of load to another processor granted, p95, s", percentile(taken, 95), CPU_SECONDS)


def measure_pressure(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """A program takes all memory that is available but 8 MiB, at once: when is there more?"""
    steps = [_measure_step(fabric, number, "memory", _MEMORY, HOG) for number in range(options.steps)]
    taken, kills = [seconds for seconds, _ in steps], sum(kills for _, kills in steps)
    report.figures["pressure"] = {"seconds": {**summarize(taken), "p95": percentile(taken, 95)}}
    report.promise("memory pressure to more memory granted, p95, s", percentile(taken, 95), MEMORY_SECONDS)
    report.promise("programs killed for want of memory meanwhile", kills, 0)


def measure_steady(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """A load that stays as it is: how often does the size change after the first minutes?"""
    spec: dict[str, Any] = {"cpus": 1, "memory": 128 << 20}
    spec["elastic"] = {"max_cpus": 2, "max_memory": 1 << 30, "policy": {"mode": "auto"}}
    fabric.run_machine("steady", IMAGE, command=["sleep", "infinity"], **spec)
    begin_load(fabric, "steady", STEADY)
    begin = time.time()
    while time.time() - begin < options.minutes * 60:
        time.sleep(10)
    changes = [
        event for event in fabric.client.events() if event["kind"].startswith("machine.scale") and event["time"] > begin
    ]
    for event in changes:
        say(f"  {event['time'] - begin:.0f} s: {event['text']}")
    report.figures["steady"] = {"minutes": options.minutes, "changes": [event["text"] for event in changes]}
    report.promise(f"changes of size in {options.minutes} minutes of a steady load", len(changes), 0)


def begin_load(fabric: BenchFabric, machine: str, script: str) -> None:
    """A script runs in a machine from now on, and outlives who has started it."""
    fabric.weft("exec", "-d", machine, "--", "sh", "-c", script)


def _measure_step(
    fabric: BenchFabric, number: int, resource: str, spec: dict[str, Any], script: str
) -> tuple[float, int]:
    """Seconds from the beginning of a load in a calm machine to more of the resource, and what was killed meanwhile."""
    name = f"step-{number}"
    fabric.run_machine(name, IMAGE, command=["sleep", "infinity"], **spec)
    time.sleep(CALM)
    before = fabric.client.machine(name)[resource]
    begin = time.monotonic()
    begin_load(fabric, name, script)
    wait_for(lambda: fabric.client.machine(name)[resource] > before, f"more {resource} in {name}", pause=LOOK)
    seconds = time.monotonic() - begin
    kills = int(fabric.execute(name, "awk '/^oom_kill / {print $2}' /proc/vmstat"))
    say(f"  {seconds:.2f} s, {kills} killed")
    fabric.client.remove_machine(name, force=True)
    return seconds, kills
