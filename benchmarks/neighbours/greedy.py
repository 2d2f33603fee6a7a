"""Machines that use all they get: what each of them gets, beside what its weight says."""

import os
import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from benchmarks.harness.fabric import BenchFabric
from benchmarks.harness.report import say
from weft.host.usage import find_usage

BUSY = "(while :; do :; done) >/dev/null 2>&1 &"
SETTLE_SECONDS = 2.0
"""Until the kernel has spread them over its processors."""
PAUSE = 0.1
OF_ONE = 4
"""So much less time of one processor is enough, where nothing moves about."""


def compare_shares(fabric: BenchFabric, weights: Mapping[str, int], seconds: float) -> dict[str, Any]:
    """What machines with these weights get of `seconds` of processor time, which all of them use up together.

    As many of each weight as the host has processors, over which they are spread as machines are; then held to one
    processor, where nothing but weights counts. Each has one processor: several that are emulated wait for each other,
    and such a machine does not use all it gets.
    """
    count = os.cpu_count() or 1
    weights = {f"{name}-{number}": weight for name, weight in weights.items() for number in range(1, count + 1)}
    for name, weight in weights.items():
        fabric.run_machine(name, "base", nics=[], memory=64 << 20, limits={"cpu_weight": weight})
        fabric.execute(name, BUSY)
    found = {"all processors": _measure(fabric, weights, seconds)}
    for name in weights:
        _bind(int(fabric.client.machine(name)["pid"]), {min(os.sched_getaffinity(0))})
    found["one processor"] = _measure(fabric, weights, seconds / OF_ONE)
    turned = dict(zip(weights, reversed(list(weights.values())), strict=True))
    for name, weight in turned.items():
        fabric.client.update_machine(name, {"limits": {"cpu_weight": weight}})
    found["one processor, weights exchanged live"] = _measure(fabric, turned, seconds / OF_ONE)
    for name in weights:
        fabric.client.remove_machine(name, force=True)
    return found


def _measure(fabric: BenchFabric, weights: Mapping[str, int], seconds: float) -> dict[str, Any]:
    pids = {name: int(fabric.client.machine(name)["pid"]) for name in weights}
    time.sleep(SETTLE_SECONDS)
    before, began = {name: _cpu_seconds(pid) for name, pid in pids.items()}, time.monotonic()
    used = dict.fromkeys(weights, 0.0)
    while sum(used.values()) < seconds:
        time.sleep(PAUSE)
        used = {name: _cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    total, shares = sum(used.values()), sum(weights.values())
    got = {name: round(used[name] / total, 4) for name in weights}
    off = {name: abs(used[name] / total / (weights[name] / shares) - 1) for name in weights}
    say(f"  shares {got} of weights {dict(weights)}")
    taken = total / (time.monotonic() - began)
    return {"weights": dict(weights), "shares": got, "off": round(max(off.values()), 4), "processors": round(taken, 2)}


def _cpu_seconds(pid: int) -> float:
    usage = find_usage(pid)
    assert usage is not None, "a machine has ended"
    return usage.cpu_seconds


def _bind(pid: int, processors: set[int]) -> None:
    """All threads of a process."""
    for thread in os.listdir(f"/proc/{pid}/task"):  # noqa: PTH208 (numbers, not paths)
        with suppress(ProcessLookupError):
            os.sched_setaffinity(int(thread), processors)
