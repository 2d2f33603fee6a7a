"""Machines are looked at, and what the policy wants is asked for: with a clock that is only counted."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.elastic.explaining import Explaining
from weft.fabric.elastic.governing import Governing, Watched
from weft.fabric.elastic.observing import Observing, read_sample
from weft.fabric.elastic.scaling import Scaling
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.room import Room
from weft.guest.facts import Facts, Pressure
from weft.guest.protocol import MachineEvent
from weft.model.elastic import CpuMode, Resource, ScaleRequest, ScaleState
from weft.model.errors import WrongState
from weft.model.machine import MachineSpec, State
from weft.plan.elastic.samples import Sample

MIB = 1 << 20
SPEC: dict[str, object] = {
    "name": "db",
    "image": "base",
    "memory": 128 * MIB,
    "elastic": {"max_cpus": 4, "max_memory": 1024 * MIB, "policy": {"mode": "auto"}},
}
ELASTIC = ElasticRecord(
    boot=192 * MIB, region=896 * MIB, mode=CpuMode.PARKED, memory=128 * MIB, cpus=1, total=180 * MIB
)


@dataclass
class PaperObserving:
    """A machine with so many busy programs."""

    room: Room
    busy: int = 0
    mute: bool = False
    total: float = 0.0
    stalled: float = 0.0
    before: float = 0.0

    async def look(self, machine: MachineRecord, clock: Callable[[], float]) -> Sample | None:
        if self.mute:
            return None
        now = clock()
        cpus, passed, self.before = machine.granted_cpus, now - self.before, now
        self.total += passed * min(self.busy, cpus)
        self.stalled += passed * (self.busy > cpus)
        memory = machine.granted_memory
        return Sample(
            at=now,
            cpus=cpus,
            memory=memory,
            busy=self.total,
            running=self.busy,
            cpu_stalled=self.stalled,
            free=memory // 2,
            available=memory - 40 * MIB,
            memory_stalled=0.0,
        )


@dataclass
class PaperScaling:
    """Gives everything at once, unless the host has no more."""

    room: Room
    refusal: str = ""
    error: str = ""
    asked: list[tuple[Resource, int, str]] = field(default_factory=list)

    async def scale(self, name: str, resource: Resource, wanted: int, by: str, why: str) -> ScaleRequest:
        if self.error:
            raise WrongState(self.error)
        self.asked.append((resource, wanted, by))
        machine = self.room.site.shelves.machines.get(name)
        assert machine.elastic is not None
        request = ScaleRequest(
            resource=resource,
            wanted=wanted,
            by=by,
            why=why,
            asked=float(len(self.asked)),
            deadline=0.0,
            state=ScaleState.REFUSED if self.refusal else ScaleState.APPLIED,
            reason=self.refusal,
            settled=900.0,
        )
        others = tuple(one for one in machine.elastic.requests if one.resource is not resource)
        size = {} if self.refusal else {resource.value: wanted}
        elastic = machine.elastic.with_(requests=(*others, request), **size)
        await self.room.site.shelves.machines.save(machine.with_(elastic=elastic))
        return request


@dataclass
class World:
    room: Room
    observing: PaperObserving
    scaling: PaperScaling
    governing: Governing = field(init=False)
    watched: Watched = field(default_factory=Watched)
    now: float = 0.0

    @property
    def machine(self) -> MachineRecord:
        return self.room.site.shelves.machines.get("db")

    async def save(self, **changes: Any) -> None:
        await self.room.site.shelves.machines.save(self.machine.with_(**changes))

    async def run(self, seconds: int) -> None:
        for _ in range(seconds):
            self.now += 1
            await self.governing.turn(self.machine, self.watched)

    def explain(self) -> str:
        return Explaining(self.room.site, self.governing).explain("db").text


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_paper_room(tmp_path) as room:
        machine = MachineRecord(
            spec=MachineSpec.model_validate(SPEC),
            slot=7,
            uuid="6f7d3a52-4f5e-4d0a-9a51-0c7c1f1f2a11",
            created=1.0,
            kernel="default",
            memory=128 * MIB,
            nics=(),
            state=State.RUNNING,
            elastic=ELASTIC,
        )
        await room.site.shelves.machines.save(machine)
        observing, scaling = PaperObserving(room), PaperScaling(room)
        made = World(room, observing, scaling)
        made.governing = Governing(room.site, cast(Scaling, scaling), cast(Observing, observing), lambda: made.now)
        made.governing._watched["db"] = made.watched
        yield made


async def test_a_load_gets_processors_and_its_end_takes_them(world: World) -> None:
    await world.run(5)
    assert world.scaling.asked == []
    world.observing.busy = 3
    await world.run(10)
    assert world.scaling.asked == [(Resource.CPUS, 3, "policy")]
    world.observing.busy = 0
    await world.run(320)
    assert world.scaling.asked[1:] == [(Resource.CPUS, 1, "policy")]
    assert "it got 1 CPU" in world.explain()
    assert "asked by policy: no more than 0 CPUs were busy for 5m" in world.explain()


async def test_samples_are_kept_as_long_as_they_matter(world: World) -> None:
    await world.run(1000)
    assert 330 <= len(world.watched.samples) <= 400


async def test_a_refusal_is_told_and_waited_out(world: World) -> None:
    world.scaling.refusal = "the host has no more"
    world.observing.busy = 3
    await world.run(12)
    assert 1 <= len(world.scaling.asked) <= 3
    assert "did not get 3 CPUs" in world.explain()
    assert "to pass: the host has no more" in world.explain()


async def test_what_cannot_be_asked_for_is_waited_out_too(world: World) -> None:
    world.scaling.error = "it is stopping"
    world.observing.busy = 3
    await world.run(12)
    assert world.watched.courses[Resource.CPUS].past.refusal is not None


async def test_a_manual_policy_and_a_machine_that_stops_are_left_alone(world: World) -> None:
    world.observing.busy = 3
    await world.save(state=State.STOPPING)
    await world.run(10)
    manual = MachineSpec.model_validate({**SPEC, "elastic": {"max_cpus": 4, "policy": {"mode": "manual"}}})
    await world.save(state=State.RUNNING, spec=manual)
    await world.run(10)
    assert world.scaling.asked == []
    assert "Now its policy is manual; it waits for weft scale, or the host" in world.explain()


async def test_what_a_guest_needs_comes_at_once(world: World) -> None:
    await world.run(2)
    for text in ("cpus 2", "memory 300M", "nonsense"):
        world.governing.on_event("db", MachineEvent("need", text))
    world.governing.on_event("db", MachineEvent("alert", "cpus 4"))
    world.governing.on_event("nobody", MachineEvent("need", "cpus 4"))
    assert world.watched.woken.is_set()
    await world.run(1)
    assert world.scaling.asked == [(Resource.CPUS, 2, "policy"), (Resource.MEMORY, 300 * MIB, "policy")]
    assert "it has asked for 2 CPUs" in world.explain()


async def test_what_a_machine_has_lost_is_not_asked_for(world: World) -> None:
    await world.save(elastic=ELASTIC.with_(lost={Resource.CPUS: "its kernel has no driver"}))
    world.observing.busy = 3
    await world.run(10)
    assert world.scaling.asked == []
    assert "it cannot change any more: its kernel has no driver" in world.explain()


async def test_a_machine_that_nobody_sees_stays(world: World) -> None:
    world.observing.mute = True
    await world.run(10)
    assert world.scaling.asked == []
    assert world.watched.samples == []


async def test_what_is_not_elastic_has_nothing_to_explain(world: World) -> None:
    assert "it has not been looked at yet" in world.explain()
    await world.save(state=State.STOPPED)
    assert "it is stopped; it waits for a start" in world.explain()
    await world.save(spec=MachineSpec(name="db", image="base"))
    with pytest.raises(WrongState):
        world.explain()


async def test_a_machine_is_watched_from_ready_to_end(world: World) -> None:
    await world.governing.on_end(world.machine)
    assert world.governing.find_courses("db") == {}
    await world.governing.on_ready(world.machine)
    await world.governing.on_ready(world.machine)
    assert set(world.governing.find_courses("db")) == set(Resource)
    await world.governing.on_end(world.machine)
    assert world.governing.find_courses("db") == {}


def test_a_guests_words_are_a_sample() -> None:
    facts = Facts(
        running=3,
        cpu_busy_us=2_500_000,
        cpu_idle_us=750_000,
        cpus_online="0-1",
        memory_total=580 * MIB,
        memory_free=90 * MIB,
        memory_available=100 * MIB,
        memory_ballooned=20 * MIB,
        oom_kills=1,
        pressure={("cpu", "some"): Pressure(0, 0, 0, 1_000_000), ("memory", "some"): Pressure(0, 0, 0, 500_000)},
    )
    sample = read_sample(ELASTIC, facts, 7.0)
    assert sample == Sample(7.0, 2, 572 * MIB, 2.5, 0.75, 2, 1.0, 90 * MIB, 100 * MIB, 0.5, 1)
    assert sample.used == 472 * MIB
    silent = read_sample(ELASTIC.with_(total=None), replace(facts, pressure={}, cpu_busy_us=None, memory_total=0), 7.0)
    assert (silent.busy, silent.cpu_stalled, silent.available, silent.used) == (None, None, None, None)
    assert silent.memory == 128 * MIB
