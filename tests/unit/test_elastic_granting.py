"""Grants and the limits of control groups that go with them, on paper; and what machines take by themselves."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest
from tests.unit.paper_fabric import open_paper_room
from tests.unit.paper_guest import turn_until
from tests.unit.paper_sizes import LEAST, MIB, MOST, Book, World, make_world

from weft.fabric.elastic.granting import Granting
from weft.fabric.elastic.tending import Tending
from weft.fabric.site import Site
from weft.guest.facts import Facts
from weft.host.cgroup import CgroupMode, Cgroups
from weft.model.elastic import Resource, ScaleState
from weft.model.errors import NoRoom, Unavailable, WrongState
from weft.model.machine import State

FILES = ("cpu.max", "memory.max", "pids.max", "memory.stat")


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_paper_room(tmp_path / "home") as room:
        yield await make_world(room)


@pytest.fixture
def group(tmp_path: Path) -> Path:
    """The machine's control group of version 2, as files."""
    path = tmp_path / "groups" / "db"
    path.mkdir(parents=True)
    for name in FILES:
        (path / name).write_text("")
    return path


@pytest.fixture
def site(world: World, group: Path) -> Site:
    return replace(world.room.site, cgroups=Cgroups(CgroupMode.V2, (group.parent,)))


def limit(group: Path) -> int:
    return int((group / "memory.max").read_text() or 0)


async def test_limits_go_with_grants(world: World, site: Site, group: Path) -> None:
    granting = Granting(site)
    await granting.raise_to("db", Resource.MEMORY, MOST)
    high = limit(group)
    assert high == MOST + site.settings.memory_overhead
    await granting.settle("db", Resource.MEMORY, 128 * MIB)
    assert limit(group) == high - MOST + 128 * MIB
    assert world.machine.granted_memory == 128 * MIB


async def test_a_limit_below_what_is_held_waits_until_it_is_not(world: World, site: Site, group: Path) -> None:
    granting = Granting(site, retry=0.001)
    await granting.raise_to("db", Resource.MEMORY, MOST)
    high = limit(group)
    (group / "memory.stat").write_text(f"anon {30 * MIB}\nfile 5\nshmem {500 * MIB}\n")
    await granting.settle("db", Resource.MEMORY, LEAST)
    assert (world.machine.granted_memory, limit(group)) == (LEAST, high)
    (group / "memory.stat").write_text(f"anon {30 * MIB}\nfile {500 * MIB}\nshmem {50 * MIB}\n")
    for task in [task for task in site.tasks.running if task.get_name() == "limits-db"]:
        await task
    assert 0 < limit(group) < high


async def test_what_a_machine_has_taken_is_kept_for_it_though_the_host_has_no_more(world: World) -> None:
    world.book.most = LEAST
    await world.scaling.granting.settle("db", Resource.MEMORY, 96 * MIB)
    assert world.machine.granted_memory == 96 * MIB
    with pytest.raises(NoRoom):
        await world.scaling.granting.raise_to("db", Resource.MEMORY, MOST)
    assert world.machine.granted_memory == 96 * MIB


async def test_a_machine_that_ends_while_it_is_granted_more_leaves_nothing_reserved(world: World) -> None:
    class Ending(Book):
        async def reserve(self, machine: Any, resource: Resource, size: int) -> None:
            await super().reserve(machine, resource, size)
            await world.room.site.shelves.machines.save(world.machine.with_(state=State.STOPPED))

    book = world.scaling.granting.accounts = Ending()
    with pytest.raises(WrongState, match="has ended"):
        await world.scaling.granting.raise_to("db", Resource.MEMORY, MOST)
    assert book.reserved is None
    assert world.machine.granted_memory == LEAST


async def test_what_is_found_is_put_right_unless_a_request_is_on_its_way(world: World) -> None:
    world.lever.has = 80 * MIB
    await world.scaling.correct("db", Resource.MEMORY)
    assert world.machine.granted_memory == 80 * MIB
    (event,) = [one for one in world.room.site.events.since(0) if one.kind == "machine.took-memory"]
    assert event.text == "machine db has taken back memory: from 64M to 80M"
    await world.scale(MOST)
    world.lever.has = 81 * MIB
    await world.scaling.correct("db", Resource.MEMORY)
    assert (await world.settled()).state is ScaleState.APPLIED
    assert world.machine.granted_memory == MOST


class PaperAgents:
    """A guest that says what it has."""

    def __init__(self, world: World) -> None:
        self._world = world
        self.silent = False

    def find_agent(self, name: str) -> "PaperAgents":
        return self

    async def facts(self) -> Facts:
        if self.silent:
            raise Unavailable("the agent does not answer")
        return Facts(memory_total=90 * MIB, memory_ballooned=96 * MIB - self._world.lever.has)


async def test_machines_are_looked_after_while_they_run(world: World) -> None:
    agents = PaperAgents(world)
    tending = Tending(world.room.site, cast(Any, agents), world.scaling, period=0.001)
    elastic = world.machine.elastic
    assert elastic is not None
    machine = await world.room.site.shelves.machines.save(world.machine.with_(elastic=elastic.with_(total=90 * MIB)))
    await tending.on_ready(machine)
    world.lever.has = 90 * MIB
    await turn_until(lambda: world.machine.granted_memory == 90 * MIB)
    agents.silent, world.lever.has = True, 70 * MIB
    await turn_until(lambda: world.machine.granted_memory == 90 * MIB)
    agents.silent = False
    await turn_until(lambda: world.machine.granted_memory == 70 * MIB)
    await tending.on_end(machine)
    await turn_until(lambda: not any(task.get_name() == "tend-db" for task in world.room.site.tasks.running))
