"""Whether a machine gets another size now, and why. Pure: samples and times come from the caller.

Growing is quick and shrinking is slow: a machine that is short of something suffers at once, one that has too much
costs its host a little. Between what makes a change and what would undo it there is a gap, so a load that is steady
leads to one change at most (docs/decisions/0036-policy.md).
"""

from collections.abc import Sequence

from weft.model.elastic import ElasticPolicy, Resource
from weft.plan.elastic.cpus_policy import decide_cpus
from weft.plan.elastic.memory_policy import decide_memory
from weft.plan.elastic.past import Past
from weft.plan.elastic.samples import Sample
from weft.plan.elastic.settling import Decision, Extent


def decide(
    policy: ElasticPolicy, resource: Resource, extent: Extent, samples: Sequence[Sample], past: Past, now: float
) -> Decision:
    """What becomes of a resource of a machine, by what was seen of it, in order, and what was done before."""
    if resource is Resource.CPUS:
        return decide_cpus(policy, extent, samples, past, now)
    return decide_memory(policy, extent, samples, past, now)
