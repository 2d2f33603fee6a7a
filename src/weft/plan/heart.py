"""Whether an inline appliance still carries frames.

Heartbeat frames are sent through it in both directions. `judge` looks at when the last ones came out again. It is
pure: the caller brings the times, and has read everything that arrived before it asks, so a busy daemon never takes
its own delay for the appliance's.
"""

from dataclasses import dataclass
from enum import Enum


class Verdict(Enum):
    """UNKNOWN: nothing has come through yet, or not for long enough to trust it again."""

    UNKNOWN = "unknown"
    ALIVE = "alive"
    HUNG = "hung"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class HeartPolicy:
    """Seconds. `steady`: how long an appliance that hung must answer again before it is trusted again."""

    interval: float = 0.05
    timeout: float = 0.2
    steady: float = 0.5


@dataclass(slots=True)
class Pulse:
    """When heartbeats last came out on each side, and since when they have come without a gap."""

    inward: float | None = None
    outward: float | None = None
    steady_since: float | None = None

    def beat(self, *, inward: bool, now: float, policy: HeartPolicy) -> None:
        """A heartbeat came out at the machine side (inward) or at the network side."""
        last = self.latest
        if last is None or now - last > policy.timeout:
            self.steady_since = now
        if inward:
            self.inward = now
        else:
            self.outward = now

    @property
    def latest(self) -> float | None:
        """When both directions were last known to work: the older of the two."""
        if self.inward is None or self.outward is None:
            return None
        return min(self.inward, self.outward)


def judge(pulse: Pulse, now: float, policy: HeartPolicy, *, stopped: bool, trusted: bool) -> Verdict:
    """What to think of an appliance. `stopped`: its process is; `trusted`: it carries frames at present."""
    if stopped:
        return Verdict.STOPPED
    if pulse.latest is None:
        return Verdict.UNKNOWN
    if now - pulse.latest > policy.timeout:
        return Verdict.HUNG
    if trusted:
        return Verdict.ALIVE
    steady = pulse.steady_since is not None and now - pulse.steady_since >= policy.steady
    return Verdict.ALIVE if steady else Verdict.UNKNOWN
