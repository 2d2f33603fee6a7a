"""Sizes asked for by hand: how soon they are there, that nothing drifts or dies, and what idle memory costs."""

import argparse
import time
from typing import Any

from benchmarks.harness.fabric import BenchFabric
from benchmarks.harness.report import Report, percentile, say, summarize

IMAGE = "base"
MIB, GIB = 1 << 20, 1 << 30
UP_SECONDS, DOWN_SECONDS = 0.5, 6.0
LEAST, MOST = 64 * MIB, 4608 * MIB
RETURNED = 0.9
REST = 60.0
"""Seconds in which a machine that has freed memory gives it back to the host."""
MANUAL = {"mode": "manual"}
FILL = "rm -f /mnt/*; dd if=/dev/zero of=/mnt/x bs=1M count=1024 2>/dev/null"


def measure_memory(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """A GiB more and a GiB less: of a machine that is idle, and of one with a GiB in a tmpfs that has to be moved."""
    fabric.run_machine("idle", IMAGE, memory=256 * MIB, elastic={"max_memory": 3 * GIB, "policy": MANUAL})
    fabric.execute("idle", "mount -t tmpfs -o size=2g none /mnt")
    idle = [_go_up_and_down(fabric, "idle", GIB, 2 * GIB) for _ in range(options.rounds)]
    full = []
    for _ in range(options.rounds):
        _scale(fabric, "idle", memory=2560 * MIB)
        fabric.execute("idle", FILL)
        full.append(_timed(fabric, "idle", 1536 * MIB))
    up, down = ([pair[way] for pair in idle] for way in (0, 1))
    times = {"up": up, "down": down, "down_full": full}
    report.figures["memory"] = {name: {**summarize(all), "p95": percentile(all, 95)} for name, all in times.items()}
    report.promise("memory + 1 GiB, p95, s", percentile(up, 95), UP_SECONDS)
    report.promise("memory - 1 GiB, idle, p95, s", percentile(down, 95), DOWN_SECONDS)
    report.promise("programs killed for want of memory", _count_kills(fabric, "idle"), 0)


def measure_cycles(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """Up and down again, processors and memory at once: does host, QEMU and guest agree, and does nothing die?"""
    elastic = {"max_cpus": 4, "max_memory": MOST, "policy": MANUAL}
    fabric.run_machine("cycle", IMAGE, cpus=1, memory=LEAST, elastic=elastic)
    pid, boot = fabric.client.machine("cycle")["pid"], fabric.execute("cycle", "cat /proc/sys/kernel/random/boot_id")
    drifts, times, missed = 0, [], []
    for number in range(options.cycles):
        for cpus, memory in ((4, MOST), (1, LEAST)):
            begin = time.monotonic()
            view = fabric.client.scale_machine("cycle", cpus=cpus, memory=memory)
            times.append(time.monotonic() - begin)
            drifts += _drifts(view["memory"], memory) + _drifts(view["cpus"], cpus)
            missed += [view[kind]["request"] for kind in ("cpus", "memory") if _is_missed(view[kind])]
        if (number + 1) % 10 == 0:
            say(f"  {number + 1} cycles, {drifts} drifts")
    crashes = int(fabric.client.machine("cycle")["pid"] != pid)
    crashes += int(fabric.execute("cycle", "cat /proc/sys/kernel/random/boot_id") != boot)
    report.figures["cycles"] = {"cycles": options.cycles, "seconds": summarize(times), "missed": missed}
    report.promise("crashes of QEMU or guest", crashes, 0)
    report.promise("programs killed for want of memory", _count_kills(fabric, "cycle"), 0)
    report.promise("differences between ledger, QEMU and guest", drifts, 0)
    report.promise("sizes that were not come to", len(missed), 0)


def measure_idle(fabric: BenchFabric, options: argparse.Namespace, report: Report) -> None:
    """A program uses a GiB and frees it: how much of it has the host again? Boot memory, and memory that came later."""
    for name, memory, most in (("boot", 2 * GIB, 3 * GIB), ("plugged", 256 * MIB, 3 * GIB)):
        fabric.run_machine(name, IMAGE, memory=memory, elastic={"max_memory": most, "policy": MANUAL})
        _scale(fabric, name, memory=2 * GIB)
        time.sleep(5)
        before = _find_resident(fabric, name)
        fabric.execute(name, "mount -t tmpfs -o size=1100m none /mnt")
        fabric.execute(name, FILL)
        peak = _find_resident(fabric, name)
        fabric.execute(name, "rm /mnt/x")
        time.sleep(REST)
        after = _find_resident(fabric, name)
        share = (peak - after) / (peak - before)
        say(f"  {name}: {before >> 20} MiB, at the peak {peak >> 20} MiB, after {REST:.0f} s {after >> 20} MiB")
        report.figures[f"idle_{name}"] = {"before": before, "peak": peak, "after": after, "returned": round(share, 3)}
        report.promise(f"not returned of a peak of 1 GiB ({name})", 1 - share, 1 - RETURNED)
        fabric.client.remove_machine(name, force=True)


def _go_up_and_down(fabric: BenchFabric, name: str, low: int, high: int) -> tuple[float, float]:
    _scale(fabric, name, memory=low)
    return _timed(fabric, name, high), _timed(fabric, name, low)


def _timed(fabric: BenchFabric, name: str, memory: int) -> float:
    begin = time.monotonic()
    _scale(fabric, name, memory=memory)
    return time.monotonic() - begin


def _scale(fabric: BenchFabric, name: str, memory: int) -> None:
    """To a size that it comes to. Raises RuntimeError when it does not."""
    view = fabric.client.scale_machine(name, memory=memory)["memory"]
    if _is_missed(view) or _drifts(view, memory):
        raise RuntimeError(f"{name} does not come to {memory >> 20} MiB: {view}")


def _is_missed(view: dict[str, Any]) -> bool:
    return bool(view["request"]["state"] != "applied")


def _drifts(view: dict[str, Any], size: int) -> int:
    """Of those who say what it has, how many say something else; QEMU does not know of processors that are parked."""
    return sum(view[who] not in (size, None) for who in ("granted", "qemu", "guest"))


def _count_kills(fabric: BenchFabric, name: str) -> int:
    return int(fabric.execute(name, "awk '/^oom_kill / {print $2}' /proc/vmstat"))


def _find_resident(fabric: BenchFabric, name: str) -> int:
    return int(fabric.client.machine(name)["resident"])
