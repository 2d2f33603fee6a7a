"""Requests for other sizes, on paper: never is less granted than a machine has, and in the end it is the same."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.paper_fabric import open_paper_room
from tests.unit.paper_guest import turn_until
from tests.unit.paper_sizes import LEAST, MIB, MOST, PaperRuns, World, make_world

from weft.fabric.elastic.scaling import Scaling
from weft.fabric.records.machine import MachineRecord
from weft.model.elastic import Resource, ScaleState
from weft.model.errors import Invalid, NotFound, WeftError, WrongState
from weft.model.machine import State


@pytest.fixture
async def world(tmp_path: Path) -> AsyncIterator[World]:
    async with open_paper_room(tmp_path) as room:
        yield await make_world(room)


async def test_it_grows_and_shrinks(world: World) -> None:
    for size in (MOST, 100 * MIB, LEAST):
        request = await world.ask(size)
        assert (request.state, request.reason, request.wanted) == (ScaleState.APPLIED, "", size)
        assert world.machine.granted_memory == world.lever.has == size
        assert world.book.reserved is None
        assert not world.lever.wrong


async def test_a_size_is_granted_as_it_will_be(world: World) -> None:
    assert (await world.ask(100 * MIB + 1)).wanted == 100 * MIB + 1
    assert world.machine.granted_memory == world.lever.has == 102 * MIB


async def test_a_shrink_goes_on_while_its_floor_falls(world: World) -> None:
    await world.ask(MOST)
    world.lever.used, world.lever.books = 40 * MIB, 8
    assert (await world.ask(LEAST)).state is ScaleState.APPLIED


async def test_a_shrink_ends_at_the_floor_and_says_why(world: World) -> None:
    await world.ask(MOST)
    world.lever.used = 200 * MIB
    request = await world.ask(LEAST)
    assert (request.state, request.reason) == (ScaleState.REFUSED, "the guest uses it: it keeps 200M")
    assert world.machine.granted_memory == world.lever.has == 200 * MIB


async def test_what_the_host_does_not_have_is_refused(world: World) -> None:
    world.book.most = 128 * MIB
    request = await world.ask(MOST)
    assert (request.state, request.reason) == (ScaleState.REFUSED, "the host has no more")
    assert world.machine.granted_memory == world.lever.has == LEAST
    assert not world.lever.steps


async def test_who_may_say_no_is_asked_before_a_shrink_only(world: World) -> None:
    asked = []

    async def veto(machine: MachineRecord, resource: Resource, size: int) -> str:
        asked.append(size)
        return "not now"

    world.scaling.may_shrink.append(veto)
    await world.ask(MOST)
    request = await world.ask(LEAST)
    assert (request.state, request.reason) == (ScaleState.REFUSED, "not now")
    assert asked == [LEAST]
    assert world.machine.granted_memory == world.lever.has == MOST


@pytest.mark.parametrize("fails", ["refused", "silent", "broken"])
async def test_after_a_failure_what_is_there_counts(world: World, fails: str) -> None:
    world.lever.failing = [fails]
    request = await world.ask(MOST)
    assert request.state is (ScaleState.REFUSED if fails == "refused" else ScaleState.FAILED)
    assert LEAST < world.machine.granted_memory == world.lever.has < MOST
    assert bool(world.machine.elastic and world.machine.elastic.lost) == (fails == "broken")


async def test_nobody_who_cannot_say_what_he_has_loses_what_he_was_granted(world: World) -> None:
    await world.ask(MOST)
    world.lever.mute = True
    request = await world.ask(LEAST)
    assert (request.state, request.reason) == (ScaleState.FAILED, "the agent does not answer")
    assert world.machine.granted_memory == MOST
    world.lever.mute = False
    await world.ask(LEAST)
    assert world.machine.granted_memory == LEAST


async def test_what_is_lost_is_marked_and_said(world: World) -> None:
    world.lever.failing = ["broken"]
    await world.ask(MOST)
    with pytest.raises(WrongState, match="cannot have other memory any more: QEMU refuses it"):
        await world.scale(LEAST)
    view = await world.scaling.view("db")
    assert (view.memory.lost, view.lost) == ("QEMU refuses it", "memory: QEMU refuses it")


async def test_a_machine_without_a_driver_is_marked_when_it_has_booted(tmp_path: Path) -> None:
    async with open_paper_room(tmp_path) as room:
        world = await make_world(room, State.STARTING)
        await world.scaling.prepare(world.machine, cast(Any, None))
        assert world.machine.elastic is not None
        assert (world.machine.elastic.total, world.machine.elastic.lost) == (5, {})
        world.lever.mute = True
        await world.scaling.prepare(world.machine, cast(Any, None))
        assert world.machine.elastic.lost == {Resource.MEMORY: "its kernel has no driver"}


async def test_what_a_machine_has_beyond_its_grant_after_its_boot_is_kept_for_it(world: World) -> None:
    world.lever.has, world.lever.failing = 96 * MIB, ["refused"]
    await world.ask(LEAST)
    assert world.machine.granted_memory == 96 * MIB
    assert world.book.reserved is None


async def test_an_end_in_the_middle_is_the_end_of_the_request(world: World) -> None:
    await world.scale(MOST)
    await turn_until(lambda: world.lever.has >= 100 * MIB)
    machine = await world.room.site.shelves.machines.save(world.machine.with_(state=State.STOPPED))
    await world.scaling.on_end(machine)
    request = await world.settled()
    assert (request.state, request.reason) == (ScaleState.FAILED, "the machine has ended")
    assert world.book.reserved is None
    with pytest.raises(WrongState, match="stopped, not running"):
        await world.scale(MOST)


async def test_a_machine_that_is_removed_in_the_middle_leaves_nothing(world: World) -> None:
    await world.scale(MOST)
    await turn_until(lambda: world.lever.has >= 100 * MIB)
    await world.room.site.shelves.machines.drop("db")
    with pytest.raises(NotFound):
        await world.settled()


async def test_another_daemon_goes_on(world: World) -> None:
    await world.scale(MOST)
    await turn_until(lambda: world.lever.has >= 200 * MIB)
    await world.room.site.tasks.cancel()
    assert world.machine.granted_memory == MOST
    following = Scaling(world.room.site, cast(Any, PaperRuns()), {Resource.MEMORY: world.lever})
    await following.on_ready(world.machine)
    request = await following.settled("db", Resource.MEMORY)
    assert request.state is ScaleState.APPLIED
    assert world.lever.has == MOST


@pytest.mark.parametrize(
    ("wanted", "error", "words"),
    [
        (32 * MIB, Invalid, "32M is outside its range of memory, 64M..512M"),
        (1024 * MIB, Invalid, "1G is outside its range of memory, 64M..512M"),
    ],
)
async def test_a_size_outside_the_range(world: World, wanted: int, error: type[WeftError], words: str) -> None:
    with pytest.raises(error, match=words):
        await world.scale(wanted)
    with pytest.raises(WrongState, match="a fixed number of cpus"):
        await world.scaling.scale("db", Resource.CPUS, 2, "a test")


WISHES = st.lists(
    st.tuples(
        st.integers(LEAST, MOST),
        st.sampled_from(["", "", "refused", "silent"]),
        st.integers(0, 40),
        st.integers(0, 300),
        st.booleans(),
    ),
    min_size=1,
    max_size=6,
)


@given(WISHES, st.integers(LEAST // MIB, 2 * MOST // MIB))
@settings(max_examples=60)
def test_no_order_of_wishes_and_failures_makes_grants_drift(
    wishes: list[tuple[int, str, int, int, bool]], capacity: int
) -> None:
    """Each wish is given some turns before the next takes its place, and may be superseded at any of its waits."""

    async def live() -> None:
        with TemporaryDirectory() as folder:
            async with open_paper_room(Path(folder)) as room:
                world = await make_world(room)
                world.book.most = capacity * MIB
                for wanted, fails, turns, used, mute in wishes:
                    world.lever.failing = [fails] if fails else []
                    world.lever.used, world.lever.mute = used * MIB, mute
                    await world.scale(wanted)
                    for _ in range(turns):
                        await asyncio.sleep(0)
                world.lever.mute, world.lever.failing = False, []
                await world.settled()
                request = await world.ask(wishes[-1][0])
                assert request.state.is_settled
                assert world.machine.granted_memory == world.lever.has
                assert world.book.reserved is None
                assert not world.lever.wrong

    asyncio.run(live())
