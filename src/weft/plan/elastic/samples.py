"""What was seen of a machine over the last minutes, and what it says. Pure: times are seconds on one clock."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

GAP = 10.0
"""Seconds without a sample after which what was seen before says nothing about the time since."""
SMOOTHING = 3.0
"""Seconds over which a load is averaged before its peak is looked for."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One look at a machine. Totals only grow; None: nobody could say.

    `busy` and `idle` are seconds of processors in total, the `stalled` seconds in which some program waited for a
    processor or for memory. `running` counts programs that run or could. `memory` is its size in bytes, as QEMU has it.
    `outside`: the host says all this, whose totals are others than the guest's.
    """

    at: float
    cpus: int
    memory: int
    busy: float | None = None
    idle: float | None = None
    running: int | None = None
    cpu_stalled: float | None = None
    free: int | None = None
    available: int | None = None
    memory_stalled: float | None = None
    oom_kills: int = 0
    outside: bool = False

    @property
    def used(self) -> int | None:
        """What it could not give up: its kernel's own memory is part of it."""
        return None if self.available is None else self.memory - self.available


Total = Callable[[Sample], float | None]


def find_since(samples: Sequence[Sample], since: float) -> Sequence[Sample]:
    """The last sample up to `since` and all behind it, by the word of whoever says the last one.

    Empty when there is none so old, or a gap in between.
    """
    for index in range(len(samples) - 1, -1, -1):
        if samples[index].at <= since:
            return samples[index:]
        if index and not _belong_together(samples[index - 1], samples[index]):
            break
    return ()


def _belong_together(one: Sample, other: Sample) -> bool:
    return other.at - one.at <= GAP and one.outside is other.outside


def find_rate(samples: Sequence[Sample], total: Total) -> float | None:
    """By how much a total grew per second, from the first sample to the last."""
    if len(samples) < 2 or samples[-1].at <= samples[0].at:
        return None
    first, last = total(samples[0]), total(samples[-1])
    if first is None or last is None:
        return None
    return max(0.0, last - first) / (samples[-1].at - samples[0].at)


def find_busy(samples: Sequence[Sample]) -> float | None:
    """How many processors were busy, on average. What was not idle was busy, also when the host let the guest run for a
    part of the time only, so that its kernel could not count.
    """
    counted = find_rate(samples, lambda sample: sample.busy)
    idle = find_rate(samples, lambda sample: sample.idle)
    if counted is None or idle is None or samples[0].cpus != samples[-1].cpus:
        return counted
    return max(counted, samples[-1].cpus - idle)


def find_mean(samples: Sequence[Sample], count: Total) -> float | None:
    """The mean of what was counted behind the first sample."""
    counts = [value for sample in samples[1:] if (value := count(sample)) is not None]
    return sum(counts) / len(counts) if counts else None


def find_busy_peak(samples: Sequence[Sample]) -> float | None:
    """The most that were busy for `SMOOTHING` seconds. None when it is not known throughout."""
    rates = [find_busy(window) for window in _windows(samples)]
    known = [rate for rate in rates if rate is not None]
    return max(known) if known and len(known) == len(rates) else None


def _windows(samples: Sequence[Sample]) -> Iterator[Sequence[Sample]]:
    first = 0
    for index, sample in enumerate(samples):
        while first + 1 < index and sample.at - samples[first + 1].at >= SMOOTHING:
            first += 1
        if sample.at - samples[first].at >= SMOOTHING:
            yield samples[first : index + 1]
