"""From samples to one JSON object on stdout. Whatever is said on the way goes to stderr."""

import json
import math
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from weft import __version__


def say(text: str) -> None:
    """Progress, for whoever watches."""
    print(text, file=sys.stderr, flush=True)


def percentile(samples: Sequence[float], percent: float) -> float:
    """The smallest sample that `percent` of all samples do not exceed (nearest rank: it is one that was measured)."""
    ordered = sorted(samples)
    rank = math.ceil(percent / 100 * len(ordered))
    return ordered[max(rank, 1) - 1]


def summarize(samples: Sequence[float], digits: int = 2) -> dict[str, float]:
    """Count, median, p99 and the extremes, in the samples' own unit."""
    values = {
        "min": min(samples),
        "p50": statistics.median(samples),
        "p99": percentile(samples, 99),
        "max": max(samples),
    }
    return {"count": len(samples), **{name: round(value, digits) for name, value in values.items()}}


class Report:
    """One benchmark's answer. Every promise is a figure compared with its limit; `reached` says whether all hold."""

    def __init__(self, name: str, options: Mapping[str, Any]) -> None:
        self._name = name
        self._options = dict(options)
        self._begin = time.monotonic()
        self._load = os.getloadavg()[0]
        self._promises: list[dict[str, Any]] = []
        self.figures: dict[str, Any] = {}

    def promise(self, text: str, measured: float, limit: float) -> None:
        """The promise that `measured` does not exceed `limit`."""
        entry = {"promise": text, "measured": round(measured, 3), "limit": limit, "reached": measured <= limit}
        self._promises.append(entry)
        say(f"  {'reached' if entry['reached'] else 'MISSED '}  {text}: {measured:.3f} (limit {limit:g})")

    def publish(self) -> None:
        """Print it."""
        document = {
            "benchmark": self._name,
            "reached": all(entry["reached"] for entry in self._promises),
            "promises": self._promises,
            "figures": self.figures,
            "options": {name: value for name, value in self._options.items() if value is not None},
            "seconds": round(time.monotonic() - self._begin, 1),
            "host": {**host_facts(), "load_before": round(self._load, 2)},
        }
        print(json.dumps(document, indent=2, ensure_ascii=False))


def host_facts() -> dict[str, Any]:
    """What one has to know of a host to compare figures: ratios travel, seconds do not."""
    return {
        "weft": __version__,
        "python": platform.python_version(),
        "kernel": platform.release(),
        "cpu": _cpu_model(),
        "cpus": os.cpu_count(),
        "memory_gib": round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / (1 << 30), 1),
        "qemu": _first_line(["qemu-system-x86_64", "--version"]),
        "load_after": round(os.getloadavg()[0], 2),
    }


def _cpu_model() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "unknown")


def _first_line(argv: list[str]) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, timeout=10)
    return done.stdout.partition("\n")[0]
