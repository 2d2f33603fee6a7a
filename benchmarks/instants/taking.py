"""What all sections do: take times in ms, and say how they spread."""

import time
from collections.abc import Callable, Mapping
from typing import Any

from benchmarks.harness.fabric import BenchFabric
from benchmarks.harness.report import percentile, say, summarize

Samples = dict[str, list[float]]


def take_time(work: Callable[[], object]) -> float:
    """Milliseconds that something takes."""
    begin = time.perf_counter()
    work()
    return (time.perf_counter() - begin) * 1000


def take_turns(kinds: Mapping[str, Callable[[], float]], count: int) -> Samples:
    """So many samples of each kind, in turns; the first round does not count."""
    samples: Samples = {kind: [] for kind in kinds}
    for number in range(count + 1):
        for kind, take in kinds.items():
            sample = take()
            if number:
                samples[kind].append(sample)
        if number:
            say("  " + ", ".join(f"{kind} {values[-1]:.1f} ms" for kind, values in samples.items()))
    return samples


def spread(values: list[float]) -> dict[str, float]:
    """Percentiles of milliseconds."""
    return {**summarize(values, 1), "p95": round(percentile(values, 95), 1)}


def spreads(samples: Samples) -> dict[str, dict[str, float]]:
    """Those of several kinds."""
    return {kind: spread(values) for kind, values in samples.items()}


def want_origin(view: Mapping[str, Any], origin: str) -> None:
    """A machine has to be what is measured: `template`, `fork`, or nothing for one that has booted."""
    if not str(view["origin"]).startswith(origin) or (not origin and view["origin"]):
        raise RuntimeError(f"machine {view['name']} has the origin {view['origin']!r}, not {origin!r}")


def remove(fabric: BenchFabric, *names: str) -> None:
    """Machines that have been looked at."""
    for name in names:
        fabric.client.remove_machine(name, force=True)
