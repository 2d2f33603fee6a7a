"""What is remembered of a machine's changes of size, so that it does not make the same mistake again. Pure.

Times are seconds on one clock; sizes are processors, or bytes.
"""

from dataclasses import dataclass, replace
from math import inf

from weft.model.elastic import ElasticPolicy

BY = "policy"
"""Who asks, by what requests say."""
REGRET = 900.0
"""Seconds within which growth after a shrink says that the shrink was wrong."""
CLIMB = 60.0
"""Seconds within which more growth is of the same kind: it did not know at once how much it needs."""
LONGEST_SPAN = 86400.0
FIRST_PAUSE, LONGEST_PAUSE = 5.0, 300.0
"""Seconds until something is tried again that was refused: each time it is refused they double."""


@dataclass(frozen=True, slots=True)
class Change:
    """A change of size that was made. `hidden`: it grew for a want that its use did not show; `asked`: since its guest
    had asked for that.
    """

    at: float
    before: int
    after: int
    by: str
    why: str = ""
    hidden: bool = False
    asked: bool = False

    @property
    def grew(self) -> bool:
        return self.after > self.before


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was tried last and did not come to be; it is tried again at `again`."""

    grow: bool
    reason: str
    again: float
    pause: float


@dataclass(frozen=True, slots=True)
class Bar:
    """A size that it does not shrink below until some time, and why."""

    size: int
    until: float
    why: str


@dataclass(frozen=True, slots=True)
class Past:
    """Of one resource of one machine. Until `bar_until` it does not shrink below `bar`; until `asked_until` not below
    `asked`, which its guest has asked for.
    """

    last: Change | None = None
    bar: int = 0
    bar_until: float = -inf
    bar_span: float = 0.0
    asked: int = 0
    asked_until: float = -inf
    refusal: Refusal | None = None

    @property
    def changed(self) -> float:
        """When its size was another one."""
        return self.last.at if self.last else -inf

    def find_bar(self, now: float) -> "Bar | None":
        """What it does not shrink below."""
        bars = [
            Bar(self.bar, self.bar_until, "less was too little"),
            Bar(self.asked, self.asked_until, "it has asked for it"),
        ]
        return max((bar for bar in bars if now < bar.until), key=lambda bar: bar.size, default=None)

    def find_enough(self, now: float) -> int:
        """What it had before a shrink that was wrong, if it grows now; 0: no shrink was."""
        wrong = self.last is not None and not self.last.grew and now - self.last.at <= REGRET
        return self.last.before if self.last and wrong else 0

    def find_refusal(self, now: float, *, grow: bool) -> Refusal | None:
        """What it has to wait out before it tries to grow, or to shrink, again."""
        refusal = self.refusal
        return refusal if refusal and refusal.grow is grow and now < refusal.again else None


def note_change(past: Past, change: Change, policy: ElasticPolicy) -> Past:
    """It has another size. If it was short of something soon after a shrink, it stays larger for a while, and longer
    each time.
    """
    last, own = past.last, change.by == BY and not change.asked
    enough = past.find_enough(change.at) if own else 0
    past = replace(past, last=change, refusal=None)
    if not change.grew:
        return past
    if own and last and last.grew and last.after == past.bar and change.at - last.at <= CLIMB:
        return replace(past, bar=change.after)
    if enough or change.hidden:
        return _bar(past, change, max(policy.remember, 2 * past.bar_span if enough else past.bar_span))
    return replace(past, bar_span=0.0) if last and not last.grew else past


def _bar(past: Past, change: Change, span: float) -> Past:
    span = min(span, LONGEST_SPAN)
    return replace(past, bar=change.after, bar_until=change.at + span, bar_span=span)


def note_refusal(past: Past, reason: str, now: float, *, grow: bool) -> Past:
    """Guest or host would not have it."""
    before = past.refusal
    pause = min(2 * before.pause, LONGEST_PAUSE) if before and before.grow is grow else FIRST_PAUSE
    return replace(past, refusal=Refusal(grow, reason, now + pause, pause))


def note_ask(past: Past, size: int, now: float, policy: ElasticPolicy) -> Past:
    """The guest says how much it needs; what it said before is over."""
    return replace(past, asked=size, asked_until=now + policy.ask_holds)
