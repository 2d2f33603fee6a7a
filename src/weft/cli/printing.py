"""Output: aligned columns for people, JSON for programs."""

import json
import locale
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

_TIMES = {"created", "started", "ready", "expires", "again", "used"}
_SIZES = {"memory", "resident", "size", "stored"}
_AGE_UNITS = ((86400, "d"), (3600, "h"), (60, "m"), (1, "s"))


def can_print(text: str) -> bool:
    """Whether standard output and the locale have all of its characters."""
    try:
        text.encode(sys.stdout.encoding or "ascii")
        text.encode(locale.nl_langinfo(locale.CODESET) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return False
    return True


def print_json(value: object) -> None:
    """One document, indented, in the encoding-safe form."""
    print(json.dumps(value, indent=2))


def print_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    """See `dump_table`."""
    print(dump_table(titles, rows))


def dump_table(titles: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Columns as wide as their widest cell, two spaces between; None is a dash."""
    lines = [list(titles)] + [[dump_cell(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip() for line in lines
    )


def print_view(view: Mapping[str, Any]) -> None:
    """An object as `key  value` lines; objects in lists are written on a line each.

    Times and sizes are written for people, by the names that views give them.
    """
    width = max(map(len, view), default=0)
    for key, value in view.items():
        items = value if isinstance(value, list) and value and isinstance(value[0], dict) else [value]
        for number, item in enumerate(items):
            print(f"{'' if number else key:<{width}}  {_dump_field(key, item)}")


def _dump_field(key: str, value: object) -> str:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if key in _TIMES:
            return dump_time(value)
        if key in _SIZES:
            return dump_memory(int(value))
    return dump_cell(value)


def dump_time(seconds: float) -> str:
    """Seconds since the epoch as local time."""
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(seconds))


def dump_cell(value: object) -> str:
    """A value on one line."""
    if value is None or value == "" or value == [] or value == {}:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return " ".join(map(dump_cell, value))
    if isinstance(value, dict):
        return " ".join(f"{key}={dump_cell(item)}" for key, item in value.items() if item is not None)
    return " ".join(str(value).split())


def dump_digest(digest: str) -> str:
    """The first twelve digits, which tell digests apart."""
    return digest.removeprefix("sha256:")[:12]


def dump_age(created: float | str | None) -> str:
    """How long ago, in the largest unit that fits: 90 seconds ago is `1m`.

    `created` is in seconds since the epoch, or ISO 8601 text as the manifests of images and kernels have it.
    """
    if created is None:
        return "-"
    seconds = max(0, int(time.time() - (_parse_time(created) if isinstance(created, str) else created)))
    for size, unit in _AGE_UNITS:
        if seconds >= size:
            return f"{seconds // size}{unit}"
    return "0s"


def _parse_time(text: str) -> float:
    from datetime import datetime

    return datetime.fromisoformat(text).timestamp()


def dump_memory(size: int | None) -> str:
    """Bytes in MiB or GiB, one decimal where it tells something."""
    if size is None:
        return "-"
    mebibytes = size / (1 << 20)
    return f"{_dump_digits(mebibytes / 1024)}G" if mebibytes >= 1024 else f"{_dump_digits(mebibytes)}M"


def _dump_digits(value: float) -> str:
    """Three digits, or as many as are before the point."""
    return f"{value:.3g}" if value < 999.5 else f"{value:.0f}"


def dump_bytes(size: int | None) -> str:
    """A number of bytes in the largest unit that fits, three digits: 586 is `586B`, 1,500,000 is `1.43M`."""
    if size is None:
        return "-"
    value, units = float(size), iter("BKMGT")
    unit = next(units)
    while value >= 1000 and unit != "T":
        value, unit = value / 1024, next(units)
    return f"{_dump_digits(value)}{unit}"
