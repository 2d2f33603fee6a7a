"""How many processors a machine is short of, or could do without. Pure.

One busy program keeps one processor busy and nobody waits, so being busy alone is no need; two that share one always
wait, and one more would help. How many wait is what the queue of programs that could run says.
"""

from collections.abc import Sequence
from functools import partial
from math import ceil

from weft.model.elastic import ElasticPolicy, Resource
from weft.model.units import dump_duration
from weft.plan.elastic.past import Past
from weft.plan.elastic.samples import Sample, find_busy, find_busy_peak, find_mean, find_rate, find_since
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

LEAST_STEP = 1.25
"""A load that was too much for some processors must not be too much for the next size, too."""
CROWDED = 0.5
"""How many more programs than processors could run, on average, when one more processor would be used."""
BLIND = 3
"""From outside nobody sees who waits, so a load has to last so many times as long before it is taken for a need."""


def decide_cpus(policy: ElasticPolicy, extent: Extent, samples: Sequence[Sample], past: Past, now: float) -> Decision:
    """Whether it gets another number of processors now. The last sample is of `now`, or nearly."""
    resource = Resource.CPUS
    asked, short = find_asked(resource, extent, past, now), _find_need(policy, extent, samples, past, now)
    needs = [need for need in (asked, short) if need is not None]
    if needs:
        return plan_growth(resource, extent, past, max(needs, key=lambda need: need.size), now)
    find = partial(_find_comfort, policy, samples, past, now)
    short_when = f"{policy.cpu_busy:.0%} busy for {policy.cpu_after:g}s, with programs that wait"
    return plan_shrink(policy, resource, extent, past, find, short_when, now)


def _find_need(policy: ElasticPolicy, extent: Extent, samples: Sequence[Sample], past: Past, now: float) -> Need | None:
    window = find_since(samples, now - policy.cpu_after)
    waited = find_rate(window, _stalled)
    if waited is None:
        window = find_since(samples, now - BLIND * policy.cpu_after)
    elif waited < policy.cpu_pressure:
        return None
    busy = find_busy(window)
    if busy is None or busy < policy.cpu_busy * window[-1].cpus or not _is_steady(window, past):
        return None
    lasted = dump_duration(round(window[-1].at - window[0].at))
    why = f"it was {min(busy / window[-1].cpus, 1):.0%} busy for {lasted}"
    if waited is None:
        return Need(_step(policy, extent, 0.0), f"{why}, as seen from outside")
    queue = find_mean(window, _running)
    if queue is not None and queue < window[-1].cpus + CROWDED:
        return None
    return Need(_step(policy, extent, queue or 0.0), f"{why}, and programs waited {min(waited, 1):.0%} of that")


def _is_steady(window: Sequence[Sample], past: Past) -> bool:
    """Whether it had the number that it has now all the while."""
    return window[0].at >= past.changed and all(sample.cpus == window[0].cpus for sample in window)


def _step(policy: ElasticPolicy, extent: Extent, queue: float) -> int:
    least = max(extent.now + 1, ceil(extent.now * LEAST_STEP))
    most = max(least, int(extent.now * policy.cpu_step))
    return min(max(least, round(queue)), most)


def _find_comfort(policy: ElasticPolicy, samples: Sequence[Sample], past: Past, now: float, seconds: float) -> Comfort:
    peak = find_busy_peak(find_since(samples, now - seconds))
    lasted = dump_duration(seconds)
    if peak is None:
        return Comfort(None, f"it has not been seen for {lasted} yet")
    size = ceil(peak / (policy.cpu_comfort * find_slack(policy, past, now)))
    return Comfort(size, f"no more than {peak:.2g} CPUs were busy for {lasted}")


def _stalled(sample: Sample) -> float | None:
    return sample.cpu_stalled


def _running(sample: Sample) -> float | None:
    return sample.running
