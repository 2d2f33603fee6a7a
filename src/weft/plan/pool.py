"""Which copies a room's pools start and end: one at a time, and not while anybody waits for a machine. Pure."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

RETRY = 30.0
"""Seconds after which a pool whose copy could not be started is tried again."""
LOOK = 0.1
"""Seconds until somebody who waits for a machine may have it."""
PATIENCE = 5.0
"""Seconds for which starts of machines come first; without an end to them a pool would never fill."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """A pool. `fits` tells what a copy has to be: image, kernel, memory and so on, as a text that can be compared."""

    image: str
    size: int
    fits: str


@dataclass(frozen=True, slots=True)
class Copy:
    """A copy that is there. `ready`: it holds, and can be taken."""

    name: str
    image: str
    fits: str
    ready: bool


@dataclass(frozen=True, slots=True)
class Fill:
    """Start another copy for a pool."""

    image: str


@dataclass(frozen=True, slots=True)
class End:
    """End a copy."""

    name: str
    reason: str


@dataclass(frozen=True, slots=True)
class Wait:
    """Nothing to do for so many seconds, or until something has changed; None: until then only."""

    seconds: float | None
    reason: str


Action = Fill | End | Wait


@dataclass(frozen=True, slots=True)
class Times:
    """The present, since when machines are being started without a pause (None: none is), and when each pool's last
    copy could not be started. Seconds on one clock.
    """

    now: float
    busy_since: float | None = None
    failed: Mapping[str, float] | None = None


def plan_pools(wanted: Sequence[Wanted], copies: Sequence[Copy], *, most: int, times: Times) -> list[Action]:
    """What to do next: all copies that have to end, and at most one that is started.

    `most`: how many copies all pools may have. The pool that lacks most of what it should have comes first.
    """
    ends = list(_plan_ends(wanted, copies, most))
    gone = {end.name for end in ends}
    kept = [copy for copy in copies if copy.name not in gone]
    return [*ends, _plan_next(wanted, kept, most, times)]


def find_shortage(pool: Wanted, copies: Sequence[Copy], *, most: int, failed: str = "") -> str:
    """Why a pool has fewer copies ready than it should; empty when it has all. `failed`: how the last start ended."""
    own = [copy for copy in copies if copy.image == pool.image and copy.fits == pool.fits]
    if sum(copy.ready for copy in own) >= pool.size:
        return ""
    if failed:
        return failed
    if len(own) < pool.size and len(copies) >= most:
        return f"all pools of a room have {most} copies at most (pool_limit)"
    return "being filled"


def _plan_ends(wanted: Sequence[Wanted], copies: Sequence[Copy], most: int) -> Iterable[End]:
    """Those that nobody wants any more, the youngest first where there are too many. Copies come in order of age."""
    pools = {pool.image: pool for pool in wanted}
    kept: dict[str, int] = {}
    total = 0
    for copy in sorted(copies, key=lambda copy: not copy.ready):
        pool = pools.get(copy.image)
        if pool is None:
            yield End(copy.name, "no pool wants it any more")
        elif copy.fits != pool.fits:
            yield End(copy.name, "the image or the kernel has changed")
        elif kept.get(copy.image, 0) >= pool.size or total >= most:
            yield End(copy.name, "there are more than are wanted")
        else:
            kept[copy.image] = kept.get(copy.image, 0) + 1
            total += 1


def _plan_next(wanted: Sequence[Wanted], copies: Sequence[Copy], most: int, times: Times) -> Action:
    have = {pool.image: sum(copy.image == pool.image for copy in copies) for pool in wanted}
    lacking = [pool for pool in wanted if have[pool.image] < pool.size]
    if not lacking or len(copies) >= most:
        return Wait(None, "all that can be ready is")
    failed = times.failed or {}
    again = {pool.image: failed[pool.image] + RETRY for pool in lacking if pool.image in failed}
    able = [pool for pool in lacking if again.get(pool.image, times.now) <= times.now]
    if not able:
        return Wait(min(again.values()) - times.now, "a copy could not be started")
    if times.busy_since is not None and times.now - times.busy_since < PATIENCE:
        return Wait(LOOK, "machines are being started")
    return Fill(min(able, key=lambda pool: have[pool.image] / pool.size).image)
