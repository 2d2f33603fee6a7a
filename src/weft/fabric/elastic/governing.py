"""Elastic machines change by themselves: each is looked at, a policy decides, and what it wants is asked for."""

import asyncio
import logging
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field, replace

from weft.fabric.elastic.granting import granted, range_of
from weft.fabric.elastic.observing import Observing
from weft.fabric.elastic.scaling import Scaling
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.guest.protocol import MachineEvent
from weft.model.elastic import ElasticPolicy, PolicyMode, Resource
from weft.model.errors import Invalid, WeftError
from weft.model.machine import Profile, State
from weft.plan.elastic.asking import KIND, parse_need
from weft.plan.elastic.following import Course, follow, may_act
from weft.plan.elastic.memory import DESCRIBED
from weft.plan.elastic.memory_policy import SOON, find_look
from weft.plan.elastic.past import BY, note_ask, note_refusal
from weft.plan.elastic.policy import decide
from weft.plan.elastic.samples import Sample
from weft.plan.elastic.settling import Decision, Extent

log = logging.getLogger(__name__)
Clock = Callable[[], float]

LOOK = 0.5
"""Seconds between two looks at a machine, if it is not short of memory."""
MARGIN = 30.0
"""Seconds of samples that are kept beyond what the policy looks back."""


@dataclass(slots=True)
class Watched:
    """A machine that runs, and what is known of it. Times are of a clock that does not jump."""

    task: "asyncio.Task[None] | None" = None
    samples: list[Sample] = field(default_factory=list)
    courses: dict[Resource, Course] = field(default_factory=lambda: dict.fromkeys(Resource, Course()))
    woken: asyncio.Event = field(default_factory=asyncio.Event)


class Governing:
    """The tasks of all elastic machines of a room that run."""

    def __init__(self, site: Site, scaling: Scaling, observing: Observing, clock: Clock = time.monotonic) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._scaling = scaling
        self._observing = observing
        self._clock = clock
        self._watched: dict[str, Watched] = {}

    async def on_ready(self, machine: MachineRecord) -> None:
        """A machine's agent answers: begin to look at it, if it is elastic."""
        if machine.elastic is None or machine.template or machine.name in self._watched:
            return
        watched = self._watched[machine.name] = Watched()
        watched.task = self._site.tasks.start(self._govern(machine.name, watched), f"elastic-{machine.name}")

    async def on_end(self, machine: MachineRecord) -> None:
        """It does not run any more."""
        if (watched := self._watched.pop(machine.name, None)) and watched.task:
            watched.task.cancel()

    def on_event(self, name: str, event: MachineEvent) -> None:
        """A program in a machine tells something; what it needs comes at once, within the machine's range."""
        watched, machine = self._watched.get(name), self._shelf.find(name)
        if event.kind != KIND or watched is None or machine is None or machine.spec.elastic is None:
            return
        try:
            resource, size = parse_need(event.text)
        except Invalid as err:
            log.info("machine %s: %s", name, err.message)
            return
        course = watched.courses[resource]
        past = note_ask(course.past, size, self._clock(), machine.spec.elastic.policy)
        watched.courses[resource] = replace(course, past=past)
        watched.woken.set()

    def find_courses(self, name: str) -> dict[Resource, Course]:
        """What was decided last; empty when it is not looked at."""
        watched = self._watched.get(name)
        return watched.courses if watched else {}

    async def _govern(self, name: str, watched: Watched) -> None:
        while (machine := self._shelf.find(name)) is not None:
            try:
                pause = await self.turn(machine, watched)
            except WeftError as err:
                log.info("machine %s: %s", name, err.message)
                pause = LOOK
            with suppress(TimeoutError):
                await asyncio.wait_for(watched.woken.wait(), pause)
            watched.woken.clear()

    async def turn(self, machine: MachineRecord, watched: Watched) -> float:
        """Look once and do what comes of it; how long until the next time."""
        policy = machine.spec.elastic.policy if machine.spec.elastic else None
        if policy is None or policy.mode is PolicyMode.MANUAL or machine.state is not State.RUNNING:
            watched.samples.clear()
            return LOOK
        if (sample := await self._observing.look(machine, self._clock)) is not None:
            watched.samples.append(sample)
        _forget(watched, policy, self._clock())
        looks = [await self._decide(machine.name, resource, policy, watched) for resource in Resource]
        return min(looks)

    async def _decide(self, name: str, resource: Resource, policy: ElasticPolicy, watched: Watched) -> float:
        machine, now = self._shelf.get(name), self._clock()
        request, size = machine.find_request(resource), granted(machine, resource)
        course = follow(watched.courses[resource], request, size, policy, now)
        watched.courses[resource] = course
        least, most = range_of(machine, resource)
        if least == most or machine.elastic is None or resource in machine.elastic.lost:
            return LOOK
        extent = Extent(least, most, size, _find_books(machine, resource))
        decision = decide(policy, resource, extent, watched.samples, course.past, now)
        watched.courses[resource] = replace(course, decision=decision)
        if may_act(decision, request, size):
            await self._ask(name, resource, decision, watched, size)
            return SOON
        return find_look(watched.samples) if resource is Resource.MEMORY else LOOK

    async def _ask(self, name: str, resource: Resource, decision: Decision, watched: Watched, size: int) -> None:
        assert decision.target is not None
        course = watched.courses[resource]
        try:
            request = await self._scaling.scale(name, resource, decision.target, BY, decision.why)
        except WeftError as err:
            past = note_refusal(course.past, err.message, self._clock(), grow=decision.target > size)
            watched.courses[resource] = replace(course, past=past)
            return
        watched.courses[resource] = replace(course, asked=request.asked, intent=decision)


def _forget(watched: Watched, policy: ElasticPolicy, now: float) -> None:
    since = now - policy.down_after - MARGIN
    if watched.samples and watched.samples[0].at < since - MARGIN:
        watched.samples[:] = [sample for sample in watched.samples if sample.at >= since]


def _find_books(machine: MachineRecord, resource: Resource) -> float:
    """By the balloon alone nothing comes back of what describes the pages that it holds."""
    return 1 / DESCRIBED if resource is Resource.MEMORY and machine.spec.profile is not Profile.MICROVM else 0.0
