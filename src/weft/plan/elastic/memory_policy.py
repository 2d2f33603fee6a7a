"""How much memory a machine is short of, or could do without. Pure.

What counts is what it could not give up: page cache that fills memory is no need. If programs wait for memory all the
same, what is thrown away is read again and again, and how much would do does not show in what is used.
"""

from collections.abc import Sequence
from functools import partial
from math import ceil

from weft.model.elastic import ElasticPolicy, Resource
from weft.model.units import dump_duration
from weft.plan.elastic.memory import round_up
from weft.plan.elastic.past import Past
from weft.plan.elastic.samples import Sample, find_rate, find_since
from weft.plan.elastic.settling import (
    Comfort,
    Decision,
    Extent,
    Need,
    find_asked,
    find_slack,
    plan_growth,
    plan_shrink,
)

LEAST_LOW = 8 << 20
"""A machine with less available is short of memory, however small it is."""
NEAR = 0.25
"""With less available it is looked at more often, and growth that goes on counts."""
AHEAD = 3.0
"""Seconds for which memory that is being taken has to last."""
ROOMY = 0.5
"""With so much available before it, the end of a program for want of memory was due to a limit of its own."""
CALM = 0.01
"""Share of the time for which programs may have waited for memory in a machine that could do with less."""
SOON, LATER = 0.25, 0.5
"""Seconds to the next look."""


def decide_memory(policy: ElasticPolicy, extent: Extent, samples: Sequence[Sample], past: Past, now: float) -> Decision:
    """Whether it gets another size of memory now. The last sample is of `now`, or nearly."""
    resource = Resource.MEMORY
    asked, short = find_asked(resource, extent, past, now), _find_need(policy, extent, samples, past, now)
    needs = [need for need in (asked, short) if need is not None]
    if needs:
        return plan_growth(resource, extent, past, max(needs, key=lambda need: need.size), now)
    find = partial(_find_comfort, policy, extent, samples, past, now)
    short_when = f"less than {policy.memory_low:.0%} available, or programs that wait for memory"
    return plan_shrink(policy, resource, extent, past, find, short_when, now)


def find_look(samples: Sequence[Sample]) -> float:
    """When to look again: sooner while little is available."""
    last = samples[-1] if samples else None
    if last is None or last.available is None:
        return LATER
    return SOON if last.available < max(NEAR * last.memory, 2 * LEAST_LOW) else LATER


def _find_need(policy: ElasticPolicy, extent: Extent, samples: Sequence[Sample], past: Past, now: float) -> Need | None:
    last = samples[-1] if samples else None
    if last is None or last.available is None or last.used is None or last.at < past.changed:
        return None
    low = max(policy.memory_low * last.memory, LEAST_LOW)
    step = ceil(extent.now * policy.memory_step)
    roomy = max(step, ceil(last.used / policy.memory_comfort))
    has = f"{last.available >> 20}M of {last.memory >> 20}M were available"
    if last.available < low:
        return Need(round_up(roomy), f"only {has}")
    growth = find_rate(samples[-2:], _used) or 0.0
    if last.available < min(NEAR * last.memory, growth * AHEAD):
        return Need(
            round_up(max(roomy, last.used + ceil(2 * AHEAD * growth))),
            f"{has}, and {int(growth) >> 20}M more were used each second",
        )
    if _has_killed(samples[-2:]):
        return Need(round_up(roomy), "its kernel has killed a program for want of memory")
    waited = _find_waited(policy, samples, past, now)
    if waited is None or waited < policy.memory_pressure or (last.free or 0) > NEAR * last.memory:
        return None
    why = f"programs waited for memory {min(waited, 1):.0%} of the time, and {has}"
    return Need(round_up(roomy), why, hidden=last.available > NEAR * last.memory)


def _has_killed(samples: Sequence[Sample]) -> bool:
    """Whether the kernel has killed a program since the sample before, since there was no memory left."""
    least = min(sample.available or 0 for sample in samples)
    return samples[-1].oom_kills > samples[0].oom_kills and least < ROOMY * samples[-1].memory


def _find_waited(policy: ElasticPolicy, samples: Sequence[Sample], past: Past, now: float) -> float | None:
    window = find_since(samples, now - policy.memory_after)
    if not window or window[0].at < past.changed:
        return None
    return find_rate(window, _stalled)


def _find_comfort(
    policy: ElasticPolicy, extent: Extent, samples: Sequence[Sample], past: Past, now: float, seconds: float
) -> Comfort:
    window, lasted = find_since(samples, now - seconds), dump_duration(seconds)
    used = [sample.used for sample in window if sample.used is not None]
    if not window or len(used) < len(window):
        return Comfort(None, f"it has not been seen for {lasted} yet")
    if (find_rate(window, _stalled) or 0.0) > CALM:
        return Comfort(None, f"programs waited for memory within {lasted}")
    share = policy.memory_comfort * find_slack(policy, past, now)
    kept = max(sample.used - sample.memory * extent.books for sample in window if sample.used is not None)
    size = max(kept / (share - extent.books), (kept + policy.memory_headroom) / (1 - extent.books))
    return Comfort(round_up(ceil(size)), f"no more than {max(used) >> 20}M were used for {lasted}")


def _used(sample: Sample) -> float | None:
    return sample.used


def _stalled(sample: Sample) -> float | None:
    return sample.memory_stalled
