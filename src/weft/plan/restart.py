"""Whether a machine that has ended is started again, and when. Restarts of its program within it are its init's."""

from dataclasses import dataclass

from weft.model.machine import MachineRestart

FIRST_PAUSE, LONGEST_PAUSE = 1.0, 60.0
STEADY = 60.0
"""Seconds after which a run counts as one that went well: the pauses begin anew."""
_FOR_EVER = (MachineRestart.ALWAYS, MachineRestart.UNLESS_STOPPED)


@dataclass(frozen=True, slots=True)
class End:
    """How a run ended. `asked`: by whoever may; `finished`: its program has ended for good; `failed`: it died; `seen`:
    while somebody was looking, so that the others can be trusted; `lasted`: so many seconds.
    """

    asked: bool
    finished: bool
    failed: bool
    seen: bool
    lasted: float


@dataclass(frozen=True, slots=True)
class Again:
    """Start it at `at` on the clock of `now`; `tries` is how often it was tried in a row, this time included."""

    at: float
    tries: int


def plan_restart(policy: MachineRestart | None, most: int | None, end: End, *, tries: int, now: float) -> Again | None:
    """When to start a machine again that ended at `now` after `tries` restarts in a row; None: it stays as it is.

    A program that has ended for good has had its restarts in the machine. A machine that was switched off from within
    comes back by `always` and `unless-stopped` alone.
    """
    if end.asked or end.finished or policy in (None, MachineRestart.NEVER):
        return None
    if policy is MachineRestart.ON_FAILURE and not (end.failed and end.seen):
        return None
    if end.lasted >= STEADY:
        tries = 0
    if policy is MachineRestart.ON_FAILURE and most is not None and tries >= most:
        return None
    return Again(now + _pause(tries), tries + 1)


def plan_comeback(tries: int) -> float:
    """Seconds until a server of the fabric comes back that somebody has ended, after so many tries in a row."""
    return _pause(tries - 1) if tries else 0.0


def _pause(tries: int) -> float:
    return min(FIRST_PAUSE * (1 << min(tries, 16)), LONGEST_PAUSE)


def want_start(policy: MachineRestart | None, *, wanted: bool, same_boot: bool) -> bool:
    """Whether a machine that does not run is started with the daemon. `wanted`: nobody had stopped it."""
    if policy not in _FOR_EVER:
        return False
    return wanted or (policy is MachineRestart.ALWAYS and not same_boot)
