"""Charts of what a machine used: a line for each quantity, a column for each step. Pure functions."""

import math
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from weft.cli.printing import dump_bytes

Json = Mapping[str, Any]
Values = list[float | None]

_BLOCKS = "▁▂▃▄▅▆▇█"
_PLAIN = str.maketrans(_BLOCKS + "▲▼", "_.-:=+*#^v")
_GROWN, _SHRUNK = "▲", "▼"
_FINEST = 10.0
"""Seconds of the shortest step there is: narrower columns would show nothing more."""
_NUMBERS = 9
"""The width of a number beside the chart."""


def dump_share(value: float) -> str:
    """A part of a processor, in percent."""
    return f"{100 * value:.{0 if value >= 0.1 else 1}f}%"


def dump_percent(value: float) -> str:
    return f"{value:.0f}%"


def dump_count(value: float) -> str:
    return f"{value:.0f}"


def dump_amount(value: float) -> str:
    return dump_bytes(round(value))


def dump_rate(value: float) -> str:
    return f"{dump_bytes(round(value))}/s"


@dataclass(frozen=True, slots=True)
class Row:
    """One line: what it shows, how its numbers are written, and what a full column stands for: the highest of any of
    `scale`, or this number at the least. `mean`: a column is the mean of its steps, and not the highest.
    """

    title: str
    field: str
    dump: Callable[[float], str]
    scale: tuple[str, ...] = ()
    least: float = 0.0
    mean: bool = False


_SIZES = ("memory_granted", "memory_total", "memory_used")
ROWS = (
    Row("cpu", "cpu", dump_share, ("cpu", "cpus"), mean=True),
    Row("cpus granted", "cpus", dump_count, ("cpus",)),
    Row("memory used", "memory_used", dump_amount, _SIZES),
    Row("memory of guest", "memory_total", dump_amount, _SIZES),
    Row("memory granted", "memory_granted", dump_amount, _SIZES),
    Row("on host", "resident", dump_amount, ("resident",)),
    Row("waits for cpu", "cpu_pressure", dump_percent, least=100),
    Row("waits for memory", "memory_pressure", dump_percent, least=100),
    Row("waits for disk", "io_pressure", dump_percent, least=100),
    Row("net in", "received", dump_rate, ("received", "sent"), mean=True),
    Row("net out", "sent", dump_rate, ("received", "sent"), mean=True),
    Row("disk in", "read", dump_rate, ("read", "written"), mean=True),
    Row("disk out", "written", dump_rate, ("read", "written"), mean=True),
)
_TITLES = max(len(row.title) for row in ROWS)
_AROUND = _TITLES + 2 * _NUMBERS + 4
_NARROWEST = 20
_MOST_EVENTS = 5
"""Those that came last."""


def draw_history(view: Json, width: int) -> list[str]:
    """The lines of a machine's chart, at most `width` wide if that leaves some columns at all."""
    points, since, until = view["points"], view["since"], view["until"]
    if not points:
        return [f"{view['name']}  nothing is known of it between {_dump_clock(since)} and {_dump_clock(until)}"]
    count = max(1, min(max(width - _AROUND, _NARROWEST), int((until - since) / _FINEST)))
    step = (until - since) / count
    head = f"{view['name']}  {_dump_clock(since)} to {_dump_clock(until)}, {step:.3g} s a column"
    lines = [head, _line("", " " * count, "last", "highest")]
    for row in ROWS:
        columns = find_columns(points, row.field, since, step, count, mean=row.mean)
        if any(value is not None for value in columns):
            lines.append(_draw_row(row, points, columns))
    marks = _draw_changes(view["changes"], since, step, count)
    told = [f"{_dump_clock(event['time'])}  {event['text']}" for event in view["events"][-_MOST_EVENTS:]]
    return [*lines, *([_line("size changed", marks)] if marks.strip() else []), *(_cut(line, width) for line in told)]


def find_columns(points: Sequence[Json], field: str, since: float, step: float, count: int, *, mean: bool) -> Values:
    """What a quantity was in each of `count` columns; None where nothing is known of it."""
    found: list[list[tuple[float, float]]] = [[] for _ in range(count)]
    for point in points:
        if point[field] is None:
            continue
        begin, end = point["time"] - since, point["time"] + point["seconds"] - since
        for column in range(max(0, math.floor(begin / step)), min(count, math.ceil(end / step))):
            seconds = min(end, (column + 1) * step) - max(begin, column * step)
            found[column].append((point[field], max(seconds, 1e-9)))
    return [_join(parts, mean=mean) if parts else None for parts in found]


def _join(parts: Sequence[tuple[float, float]], *, mean: bool) -> float:
    if not mean:
        return max(value for value, _ in parts)
    return sum(value * seconds for value, seconds in parts) / sum(seconds for _, seconds in parts)


def make_plain(text: str) -> str:
    """A chart in ASCII."""
    return text.translate(_PLAIN)


def _draw_row(row: Row, points: Sequence[Json], columns: Values) -> str:
    known = [point[field] for field in row.scale for point in points if point[field] is not None]
    full = max([row.least, *known])
    values = [point[row.field] for point in points if point[row.field] is not None]
    return _line(row.title, draw_bars(columns, full), row.dump(values[-1]), row.dump(max(values)))


def draw_bars(columns: Values, full: float) -> str:
    """A character for each: a space where nothing is known, the lowest block for nothing, the highest for `full`."""
    return "".join(" " if value is None else _BLOCKS[_level(value, full)] for value in columns)


def _level(value: float, full: float) -> int:
    if value <= 0 or full <= 0:
        return 0
    return min(len(_BLOCKS) - 1, max(1, round(value / full * (len(_BLOCKS) - 1))))


def _draw_changes(changes: Sequence[Json], since: float, step: float, count: int) -> str:
    marks = [" "] * count
    for change in changes:
        column = min(count - 1, max(0, int((change["time"] - since) / step)))
        marks[column] = _GROWN if change["after"] > change["before"] else _SHRUNK
    return "".join(marks)


def _line(title: str, chart: str, *numbers: str) -> str:
    return f"{title:<{_TITLES}}  {chart}{''.join(number.rjust(_NUMBERS + 1) for number in numbers)}".rstrip()


def _cut(line: str, width: int) -> str:
    """One line of a terminal."""
    text, most = line.replace("\n", " "), max(width, _AROUND)
    return text if len(text) <= most else f"{text[: most - 3]}..."


def _dump_clock(seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))
