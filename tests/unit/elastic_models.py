"""Machines on paper for tests of the policy: loads that meet the size they get, and a clock that is only counted."""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from random import Random

from weft.model.elastic import ElasticPolicy, Resource
from weft.plan.elastic.past import BY, Change, Past, note_change, note_refusal
from weft.plan.elastic.policy import decide
from weft.plan.elastic.samples import Sample
from weft.plan.elastic.settling import Decision, Extent

MIB = 1 << 20
KEPT = 700


@dataclass
class Load:
    """What programs would use at a time: `cpus` processors' worth in `threads` of them, and bytes of memory."""

    cpus: float = 0.0
    threads: int = 0
    memory: int = 20 * MIB
    stalls: Callable[[int], float] = lambda _size: 0.0
    """The share of the time for which programs wait for memory in a machine of this size."""


Program = Callable[[float, int], Load]
"""The load at a time, in a machine with so many processors."""


@dataclass
class PaperMachine:
    """A machine of which a policy decides. `noise`: how far, as a share, each look is off."""

    program: Program
    cpus: Extent = field(default_factory=lambda: Extent(1, 8, 1))
    memory: Extent = field(default_factory=lambda: Extent(128 * MIB, 4096 * MIB, 128 * MIB))
    policy: ElasticPolicy = field(default_factory=ElasticPolicy)
    noise: float = 0.0
    random: Random = field(default_factory=lambda: Random(0))
    refuses: Callable[[Resource, int], str] = lambda _resource, _size: ""
    now: float = 0.0
    samples: list[Sample] = field(default_factory=list)
    pasts: dict[Resource, Past] = field(default_factory=lambda: dict.fromkeys(Resource, Past()))
    changes: list[tuple[Resource, Change]] = field(default_factory=list)
    last: dict[Resource, Decision] = field(default_factory=dict)
    seen_from: str = "agent"

    def run(self, seconds: float, step: float = 1.0) -> "PaperMachine":
        """Let time go by."""
        until = self.now + seconds
        while self.now < until:
            self.now += step
            self.samples.append(self._look(step))
            if len(self.samples) > 2 * KEPT:
                del self.samples[:KEPT]
            for resource in Resource:
                self._decide(resource)
        return self

    def count(self, resource: Resource, since: float = 0.0) -> int:
        return sum(kind is resource and change.at > since for kind, change in self.changes)

    def sizes(self, resource: Resource) -> list[int]:
        """What it has been given, in order."""
        return [change.after for kind, change in self.changes if kind is resource]

    def extent(self, resource: Resource) -> Extent:
        return self.cpus if resource is Resource.CPUS else self.memory

    def set(self, resource: Resource, size: int) -> None:
        extent = replace(self.extent(resource), now=size)
        if resource is Resource.CPUS:
            self.cpus = extent
        else:
            self.memory = extent

    def _look(self, step: float) -> Sample:
        load, has = self.program(self.now, self.cpus.now), self.cpus.now
        wanted = load.cpus * self._off()
        waiting = max(0.0, load.threads - has) if wanted >= has else 0.0
        first = Sample(self.now - step, has, 0, busy=0.0, cpu_stalled=0.0, memory_stalled=0.0)
        before = self.samples[-1] if self.samples else first
        used = min(int(load.memory * self._off()), self.memory.now)
        agent = self.seen_from == "agent"
        waited = 1.0 if waiting >= 1 else self.random.uniform(0, min(1.0, wanted / has)) if wanted < has else waiting
        return Sample(
            at=self.now,
            cpus=has,
            memory=self.memory.now,
            busy=(before.busy or 0.0) + step * min(wanted, has),
            running=min(load.threads, round(max(wanted, load.threads if wanted >= has else 0))) if agent else None,
            cpu_stalled=(before.cpu_stalled or 0.0) + step * waited if agent else None,
            available=self.memory.now - used,
            memory_stalled=(before.memory_stalled or 0.0) + step * load.stalls(self.memory.now) if agent else None,
        )

    def _off(self) -> float:
        return 1 + self.random.uniform(-self.noise, self.noise)

    def _decide(self, resource: Resource) -> None:
        extent, past = self.extent(resource), self.pasts[resource]
        decision = self.last[resource] = decide(self.policy, resource, extent, self.samples, past, self.now)
        if decision.target is None:
            return
        assert extent.minimum <= decision.target <= extent.maximum, "never outside the range"
        assert decision.target != extent.now
        if reason := self.refuses(resource, decision.target):
            grow = decision.target > extent.now
            self.pasts[resource] = note_refusal(past, reason, self.now, grow=grow)
            return
        change = Change(self.now, extent.now, decision.target, BY, decision.why, decision.hidden, decision.asked)
        self.pasts[resource] = note_change(past, change, self.policy)
        self.changes.append((resource, change))
        self.set(resource, decision.target)
