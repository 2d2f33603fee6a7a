"""When somebody is told of frames that were dropped: at once, and then not again for a while."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from weft.plan.pin_table import Forgery

QUIET = 60.0
"""Seconds: a machine that forges all day is told of once a minute."""
Counts = Mapping[Forgery, int]


@dataclass(slots=True)
class Ledger:
    """What has been told of each port."""

    told: dict[str, Counts] = field(default_factory=dict)
    times: dict[str, float] = field(default_factory=dict)

    def take(self, counted: Mapping[str, Counts], now: float) -> dict[str, Counts]:
        """What is to be told of each port now: the frames since it was told of last."""
        self._forget(counted)
        due = {link: counts for link, counts in counted.items() if now - self.times.get(link, -QUIET) >= QUIET}
        news = {link: _subtract(counts, self.told.get(link, {})) for link, counts in due.items()}
        news = {link: counts for link, counts in news.items() if counts}
        self.told |= {link: counted[link] for link in news}
        self.times |= dict.fromkeys(news, now)
        return news

    def _forget(self, counted: Mapping[str, Counts]) -> None:
        """A port that is gone, or counts from nothing again, is another one."""
        for link, told in list(self.told.items()):
            counts = counted.get(link, {})
            if any(counts.get(kind, 0) < number for kind, number in told.items()):
                del self.told[link]


def _subtract(counts: Counts, told: Counts) -> Counts:
    return {kind: number - told.get(kind, 0) for kind, number in counts.items() if number > told.get(kind, 0)}


def describe(counts: Counts) -> str:
    """In words, like `3 frames that were not its own (2 mac, 1 arp)`."""
    parts = ", ".join(f"{number} {kind.name.lower()}" for kind, number in sorted(counts.items()))
    total = sum(counts.values())
    return f"{total} {'frame that was' if total == 1 else 'frames that were'} not its own ({parts})"
