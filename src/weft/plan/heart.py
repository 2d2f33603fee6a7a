"""Whether an inline appliance still carries frames.

Heartbeat frames are sent through it in both directions. What counts is how long the oldest of those that were sent has
not come out again, not when the last one did: a daemon that was too busy to send must not blame the appliance. All is
pure: the caller brings the times, and has read what arrived before it asks.
"""

from collections import deque
from dataclasses import dataclass, field
from enum import Enum


class Verdict(Enum):
    """UNKNOWN: nothing has come through yet, or not for long enough to trust it again."""

    UNKNOWN = "unknown"
    ALIVE = "alive"
    HUNG = "hung"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class HeartPolicy:
    """Seconds. `steady`: how long an appliance that hung must answer again before it is trusted again; `eager`: between
    beats until the first has come through, since somebody waits for that; `resting`: while it is in front of nothing.
    """

    interval: float = 0.05
    timeout: float = 0.2
    steady: float = 0.5
    eager: float = 0.005
    resting: float = 1.0

    def pause_after(self, pulse: "Pulse", *, used: bool) -> float:
        """How long until the next beat."""
        if pulse.answered < 0:
            return min(self.eager, self.interval)
        return self.interval if used else max(self.resting, self.interval)


REMEMBERED = 256
"""Beats that are remembered as sent: more than any time-out needs."""


@dataclass(slots=True)
class Pulse:
    """Which heartbeats were sent, and the last one that came out at each side."""

    inward: int = -1
    outward: int = -1
    unanswered: deque[tuple[int, float]] = field(default_factory=lambda: deque(maxlen=REMEMBERED))
    steady_since: float | None = None

    def sent(self, sequence: int, now: float) -> None:
        """A heartbeat went into both sides."""
        self.unanswered.append((sequence, now))

    def heard(self, sequence: int, now: float, policy: HeartPolicy, *, inward: bool) -> None:
        """A heartbeat came out at the machine side (inward) or at the network side."""
        if self.steady_since is None or self.silence(now) > policy.timeout:
            self.steady_since = now
        if inward:
            self.inward = max(self.inward, sequence)
        else:
            self.outward = max(self.outward, sequence)
        while self.unanswered and self.unanswered[0][0] <= self.answered:
            self.unanswered.popleft()

    @property
    def answered(self) -> int:
        """The last heartbeat that came out at both sides; -1 before the first."""
        return min(self.inward, self.outward)

    def silence(self, now: float) -> float:
        """How long the oldest unanswered heartbeat has been out."""
        return now - self.unanswered[0][1] if self.unanswered else 0.0


def judge(pulse: Pulse, now: float, policy: HeartPolicy, *, stopped: bool, trusted: bool) -> Verdict:
    """What to think of an appliance. `stopped`: its process is; `trusted`: it carries frames at present."""
    if stopped:
        return Verdict.STOPPED
    if pulse.silence(now) > policy.timeout:
        return Verdict.HUNG
    if pulse.answered < 0:
        return Verdict.UNKNOWN
    if trusted:
        return Verdict.ALIVE
    steady = pulse.steady_since is not None and now - pulse.steady_since >= policy.steady
    return Verdict.ALIVE if steady else Verdict.UNKNOWN
