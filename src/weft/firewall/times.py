"""When a rule counts: until a moment, at hours of the day, on days of the week; all in UTC. Pure."""

import re
from dataclasses import dataclass
from datetime import UTC, datetime

DAYS = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
"""In the kernel's order."""
_DAY = 86400
_HOURS = re.compile(r"(\d\d):([0-5]\d)-(\d\d):([0-5]\d)")


@dataclass(frozen=True, slots=True)
class Times:
    """`hours`: seconds after midnight, the second not part of it; it may be before the first, across midnight."""

    until: datetime | None = None
    hours: tuple[int, int] | None = None
    days: frozenset[int] = frozenset()

    @property
    def always(self) -> bool:
        """There is no limit of time."""
        return self == ALWAYS

    def covers(self, now: datetime) -> bool:
        """Whether the rule counts then."""
        utc = now.astimezone(UTC)
        if self.until is not None and utc >= self.until:
            return False
        if self.days and utc.isoweekday() % 7 not in self.days:
            return False
        return self.hours is None or _is_within(utc.hour * 3600 + utc.minute * 60 + utc.second, *self.hours)


ALWAYS = Times()


def parse_until(text: str) -> datetime:
    """`2026-12-24T18:00Z`, or with another zone like `+01:00`. Raises ValueError."""
    try:
        moment = datetime.fromisoformat(text)
        if moment.tzinfo is not None:
            return moment.astimezone(UTC)
    except (ValueError, OverflowError):
        raise ValueError(f"until {text!r} is no time like 2026-12-24T18:00Z") from None
    raise ValueError(f"until {text} needs its zone, like {text}Z or {text}+01:00")


def parse_hours(text: str) -> tuple[int, int]:
    """`08:00-18:00`, or across midnight `22:00-06:00`. Raises ValueError."""
    match = _HOURS.fullmatch(text)
    if match is None:
        raise ValueError(f"hours {text!r} are not like 08:00-18:00")
    hours = [int(part) for part in match.groups()]
    begin, end = (hours[0] * 60 + hours[1]) * 60, (hours[2] * 60 + hours[3]) * 60
    if begin >= _DAY or end > _DAY or begin == end % _DAY:
        raise ValueError(f"hours {text}: from 00:00 to 24:00, and not all of them")
    return begin, end % _DAY


def parse_days(text: str) -> frozenset[int]:
    """`mon-fri`, `sat,sun`, `fri-mon`. Raises ValueError."""
    days: set[int] = set()
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if first not in DAYS or (dash and last not in DAYS):
            raise ValueError(f"days {part!r} is not like mon, sat,sun or mon-fri")
        begin, end = DAYS.index(first), DAYS.index(last or first)
        days |= {day % 7 for day in range(begin, end + 1 + 7 * (end < begin))}
    return frozenset(days)


def dump_times(times: Times) -> list[str]:
    """What nft compares: seconds since 1970, and hours and days of a guest whose clock is UTC."""
    matches = [f"meta time < {max(0, int(times.until.timestamp()))}"] if times.until is not None else []
    if times.hours is not None:
        begin, end = times.hours
        if begin < (end or _DAY):
            matches.append(f'meta hour "{_clock(begin)}"-"{_clock((end or _DAY) - 1)}"')
        else:
            matches.append(f'meta hour != "{_clock(end)}"-"{_clock(begin - 1)}"')
    if times.days:
        matches.append(f"meta day {{ {', '.join(map(str, sorted(times.days)))} }}")
    return matches


def _is_within(second: int, begin: int, end: int) -> bool:
    end = end or _DAY
    return begin <= second < end if begin < end else second >= begin or second < end


def _clock(second: int) -> str:
    return f"{second // 3600:02}:{second // 60 % 60:02}:{second % 60:02}"
