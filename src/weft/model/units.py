"""Sizes and durations as people write them. Binary multiples: 1K = 1024."""

import re

from weft.model.errors import Invalid

_SIZE = re.compile(r"(\d+)\s*([KMGT]?)(?:I?B)?", re.IGNORECASE)
_SHIFT = {"": 0, "K": 10, "M": 20, "G": 30, "T": 40}
_DURATION = re.compile(r"(?:(\d+)d)?(?:(\d+)h)?(?:(\d+)m)?(?:(\d+(?:\.\d+)?)s)?")
_SECONDS = (86400, 3600, 60, 1)


def parse_size(text: str) -> int:
    """Bytes from `64M`, `1G`, `65536`. Raises Invalid for anything else, zero included."""
    match = _SIZE.fullmatch(text.strip())
    if not match or int(match[1]) == 0:
        raise Invalid(f"size {text!r} is not a size", hint="write it like 64M or 1G")
    return int(match[1]) << _SHIFT[match[2].upper()]


def dump_size(size: int) -> str:
    """The shortest exact form of a number of bytes: 67108864 is `64M`."""
    for unit in "TGMK":
        if size and size % (1 << _SHIFT[unit]) == 0:
            return f"{size >> _SHIFT[unit]}{unit}"
    return str(size)


def parse_duration(text: str) -> float:
    """Seconds from `30s`, `10m`, `1h30m`, `2d` or a plain number of seconds. Raises Invalid for anything else."""
    text = text.strip().lower()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        seconds = float(text)
    else:
        match = _DURATION.fullmatch(text)
        seconds = sum(float(n) * s for n, s in zip(match.groups(), _SECONDS, strict=True) if n) if match else 0.0
    if seconds <= 0:
        raise Invalid(f"duration {text!r} is not a duration", hint="write it like 30s, 10m or 1h30m")
    return seconds


def parse_moment(text: str, now: float) -> float:
    """Seconds since the epoch, from `10m` (so long before `now`), `2026-01-31T12:00:00Z`, or a plain number of them.

    A date without a time is its beginning; without a zone it is the host's. Raises Invalid for anything else.
    """
    text = text.strip()
    if re.fullmatch(r"\d+(\.\d+)?", text):
        return float(text)
    if _DURATION.fullmatch(text.lower()) and text:
        return now - parse_duration(text)
    from datetime import datetime

    try:
        return datetime.fromisoformat(text).timestamp()
    except (ValueError, OverflowError) as err:
        hint = "write it like 10m or 2026-01-31T12:00:00"
        raise Invalid(f"time {text!r} is neither a time nor a duration", hint=hint) from err


def dump_duration(seconds: float) -> str:
    """A duration for people: 5400 is `1h30m`, 0.25 is `0.25s`."""
    if seconds < 60:
        return f"{seconds:g}s"
    rest, parts = round(seconds), ""
    for size, unit in zip(_SECONDS, "dhms", strict=True):
        if rest >= size:
            parts += f"{rest // size}{unit}"
            rest %= size
    return parts
