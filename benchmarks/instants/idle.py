"""Idle machines from one template: whether they answer, and what each costs in addition."""

import argparse
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from benchmarks.harness.fabric import BenchFabric
from benchmarks.harness.report import Report, say
from benchmarks.instants.taking import spread, take_time, want_origin

APPLIANCE = "sniffer"
ANSWER_MS, MEMORY_MIB, CPU_PERCENT = 2000.0, 12.0, 25.0
STARTERS = 2
SETTLE, LOOK = 10.0, 20.0
"""Seconds until what a start leaves to do is done, and for which processor time is counted."""


def measure_idle(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """Many appliances that nobody asks for anything, and then all at once."""
    fabric.client.create_template({"image": APPLIANCE})
    names = [f"eye-{number}" for number in range(options.idle)]

    def start(name: str) -> float:
        taken = take_time(lambda: fabric.client.create_machine({"name": name, "image": APPLIANCE}))
        want_origin(fabric.client.machine(name), "template")
        return taken

    with ThreadPoolExecutor(STARTERS) as pool:
        started = list(pool.map(start, names))
    time.sleep(SETTLE)
    pids = find_pids(fabric)
    memory = sum(read_pss(pid) for pid in pids) / len(names) / 1024
    before = sum(read_ticks(pid) for pid in pids)
    time.sleep(LOOK)
    cpu = (sum(read_ticks(pid) for pid in pids) - before) / LOOK
    say(f"  {len(pids)} processes, {memory:.1f} MiB each, {cpu:.1f} % of a core")
    alone = [take_time(partial(fabric.execute, name, "true")) for name in names]
    with ThreadPoolExecutor(len(names)) as pool:
        answers = list(pool.map(lambda name: take_time(lambda: fabric.execute(name, "true")), names))
    report.figures["idle"] = {
        "start_ms": spread(started),
        "answer_one_by_one_ms": spread(alone),
        "answer_all_at_once_ms": spread(answers),
        "additional_mib_each": round(memory, 2),
        "cpu_percent_of_a_core": round(cpu, 1),
        "processes": len(pids),
    }
    report.promise(f"{len(names)} idle machines, asked one by one: the slowest answer, ms", max(alone), ANSWER_MS)
    report.promise(f"{len(names)} idle machines, all asked at once: the slowest answer, ms", max(answers), ANSWER_MS)
    report.promise("additional memory of each (PSS), MiB", memory, MEMORY_MIB)
    report.promise("idle processor time of all, percent of one core", cpu, CPU_PERCENT)


def find_pids(fabric: BenchFabric) -> list[int]:
    """The processes of all machines: QEMU, and the walls around it."""
    found: set[int] = set()
    for group in fabric.cgroups():
        found.update(map(int, (Path(group) / "cgroup.procs").read_text().split()))
    return sorted(found)


def read_pss(pid: int) -> int:
    """KiB that a process has by itself, and its share of what several have."""
    lines = Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("Pss:"))


def read_ticks(pid: int) -> int:
    """Processor time used, in 1/100 s."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return int(fields[11]) + int(fields[12])
