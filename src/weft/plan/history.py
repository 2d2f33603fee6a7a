"""What a machine used, in bounded memory: a ring of short steps, and one of long steps that goes back further.

Times are seconds since the epoch. What has grown between two looks is spread evenly over the time between them, so the
sum over all steps is what was counted, however looks and steps fall.
"""

import math
import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from weft.model.elastic import Resource
from weft.model.history import HistoryPoint, SizeChange

FLOWS = ("cpu", "received", "sent", "read", "written")
"""What is counted: each may only grow while a machine runs."""
LEVELS = (
    *("cpus", "memory_granted", "memory_total", "memory_used", "resident"),
    *("cpu_pressure", "memory_pressure", "io_pressure"),
)
"""What goes up and down."""
_WHOLE = frozenset({"cpus", "memory_granted", "memory_total", "memory_used", "resident"})
_RESOURCES = {Resource.CPUS: "cpus", Resource.MEMORY: "memory_granted"}

SHAPES = ((10, 360), (60, 1440))
"""Seconds of a step, and how many are kept: an hour of the short ones, a day of the long ones."""
_ROW = struct.Struct(f"=q{2 * len(FLOWS) + len(LEVELS)}f")
_FRESH = (*[0.0] * (2 * len(FLOWS)), *[math.nan] * len(LEVELS))
ROW_SIZE = _ROW.size


@dataclass(frozen=True, slots=True)
class Piece:
    """Rows of a ring that are not to change any more, as bytes; `place` is where in its whole they belong."""

    place: int
    data: bytes


class Ring:
    """The last `size` steps of `step` seconds each. A row has a step's number since the epoch (0: empty), what has
    flowed in it and for how many seconds that was counted, and the highest of each level.

    Numbers are single floats: right to one part in 16 million.
    """

    def __init__(self, step: int, size: int) -> None:
        self.step, self.size = step, size
        self._rows = bytearray(size * ROW_SIZE)
        self._changed: set[int] = set()

    def add_flow(self, flow: int, begin: float, end: float, amount: float) -> None:
        """So much of the `flow`th came evenly between two times, the first before the second."""
        last = math.ceil(end / self.step)
        for number in range(max(int(begin // self.step), last - self.size), last):
            seconds = min(end, (number + 1) * self.step) - max(begin, number * self.step)
            if seconds > 0:
                row = self._take(number)
                row[flow] += amount * seconds / (end - begin)
                row[len(FLOWS) + flow] += seconds
                self._put(number, row)

    def add_levels(self, at: float, levels: Mapping[str, float]) -> None:
        """These levels were seen; those that are not named are as they are."""
        number = int(at // self.step)
        row = self._take(number)
        for place, name in enumerate(LEVELS, start=2 * len(FLOWS)):
            if name in levels:
                row[place] = max(levels[name], -math.inf if math.isnan(row[place]) else row[place])
        self._put(number, row)

    def points(self, since: float, until: float) -> Iterator[HistoryPoint]:
        """The steps that reach into a time, oldest first."""
        last = math.ceil(until / self.step)
        for number in range(max(1, int(since // self.step), last - self.size), last):
            found, *row = _ROW.unpack_from(self._rows, self._place(number))
            if found == number:
                yield self._view(number, row)

    def take_finished(self, now: float | None = None) -> list[Piece]:
        """The rows that have changed since they were last taken, but for what may still change `now`."""
        current = None if now is None else int(now // self.step)
        done = [place for place in self._changed if _ROW.unpack_from(self._rows, place)[0] != current]
        self._changed.difference_update(done)
        return [Piece(place, bytes(self._rows[place : place + ROW_SIZE])) for place in sorted(done)]

    def load(self, data: bytes) -> None:
        """Begin with rows that were taken before, each at its place; there may be fewer, and what makes no sense is
        left out."""
        for place in range(0, min(len(data), len(self._rows)) - ROW_SIZE + 1, ROW_SIZE):
            row = data[place : place + ROW_SIZE]
            number, *values = _ROW.unpack(row)
            if number > 0 and self._place(number) == place and _make_sense(values):
                self._rows[place : place + ROW_SIZE] = row

    def _take(self, number: int) -> list[float]:
        found, *row = _ROW.unpack_from(self._rows, self._place(number))
        return row if found == number else list(_FRESH)

    def _put(self, number: int, row: Sequence[float]) -> None:
        place = self._place(number)
        _ROW.pack_into(self._rows, place, number, *row)
        self._changed.add(place)

    def _place(self, number: int) -> int:
        return number % self.size * ROW_SIZE

    def _view(self, number: int, row: Sequence[float]) -> HistoryPoint:
        amounts, covered, levels = row[: len(FLOWS)], row[len(FLOWS) : 2 * len(FLOWS)], row[2 * len(FLOWS) :]
        values: dict[str, Any] = {
            name: amount / seconds for name, amount, seconds in zip(FLOWS, amounts, covered, strict=True) if seconds > 0
        }
        for name, level in zip(LEVELS, levels, strict=True):
            if not math.isnan(level):
                values[name] = round(level) if name in _WHOLE else level
        return HistoryPoint(time=number * self.step, seconds=self.step, **values)


def _make_sense(row: Sequence[float]) -> bool:
    flows, levels = row[: 2 * len(FLOWS)], row[2 * len(FLOWS) :]
    return all(map(math.isfinite, flows)) and not any(map(math.isinf, levels))


class History:
    """What one machine used: the same in each of the rings."""

    def __init__(self) -> None:
        self.rings = tuple(Ring(step, size) for step, size in SHAPES)
        self._run: object = None
        self._last: dict[str, tuple[float, float]] = {}

    @property
    def lasting(self) -> Ring:
        """The ring that goes back furthest, for those who keep it elsewhere."""
        return self.rings[-1]

    def count(self, at: float, run: object, counters: Mapping[str, float]) -> None:
        """Counters as they stand, by names of `FLOWS`; those of another `run` begin anew, and so does one that fell."""
        if run != self._run:
            self._run, self._last = run, {}
        for flow, name in enumerate(FLOWS):
            if name not in counters:
                continue
            value = counters[name]
            begin, before = self._last.get(name, (at, value))
            self._last[name] = (at, value)
            if at > begin and value >= before:
                for ring in self.rings:
                    ring.add_flow(flow, begin, at, value - before)

    def note(self, at: float, levels: Mapping[str, float]) -> None:
        """Levels that were seen, by names of `LEVELS`."""
        for ring in self.rings:
            ring.add_levels(at, levels)

    def points(self, since: float, until: float) -> list[HistoryPoint]:
        """In short steps where they are known, in long ones before that; no two overlap."""
        found: list[HistoryPoint] = []
        for ring in self.rings:
            earlier = [one for one in ring.points(since, until) if not found or one.time + one.seconds <= found[0].time]
            found = earlier + found
        return found


def find_size_changes(points: Sequence[HistoryPoint]) -> list[SizeChange]:
    """Where a machine was granted more or less than in the step before."""
    found = []
    for resource, name in _RESOURCES.items():
        known = [(point.time, size) for point in points if (size := getattr(point, name)) is not None]
        for (_, before), (time, after) in pairwise(known):
            if before != after:
                found.append(SizeChange(time=time, resource=resource, before=before, after=after))
    return sorted(found, key=lambda change: change.time)
