"""The ledger of a fabric on paper: starts that are admitted or not, guarantees, and what is on record of a refusal."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.unit.paper_fabric import FACTS, open_paper_fabric

from weft.fabric.fabric import Fabric
from weft.fabric.ledger.entries import host_account
from weft.model.errors import Invalid, NoRoom
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.room import RoomResources, RoomSpec
from weft.settings import load_settings

MIB, GIB = 1 << 20, 1 << 30


@pytest.fixture
async def fabric(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fabric]:
    """One that may promise 256 MiB."""
    monkeypatch.setenv("WEFT_HOST_MEMORY", str(GIB))
    monkeypatch.setenv("WEFT_HOST_RESERVE", str(768 * MIB))
    async with open_paper_fabric(tmp_path / "home") as opened:
        yield opened


async def make(fabric: Fabric, name: str, memory: int, room: str = "default") -> None:
    """A machine of so many MiB."""
    spec = MachineSpec(name=name, image="base", memory=memory * MIB, nics=(NicSpec(network="lan"),))
    await fabric.room(room).machines.create(spec)


async def pretend_running(fabric: Fabric, name: str, room: str = "default") -> None:
    shelf = fabric.room(room).site.shelves.machines
    await shelf.save(shelf.get(name).with_(state=State.RUNNING))


async def test_a_start_beyond_what_can_be_promised_is_refused_and_that_is_on_record(fabric: Fabric) -> None:
    await make(fabric, "one", 200)
    await make(fabric, "two", 64)
    await pretend_running(fabric, "one")
    with pytest.raises(NoRoom, match="64 MiB are wanted, 200 MiB of 256 MiB are promised") as refused:
        await fabric.default.lifecycle.start("two")
    assert refused.value.hint and "memory_overcommit" in refused.value.hint
    record = fabric.default.site.shelves.machines.get("two")
    assert record.state is State.FAILED and record.reason == refused.value.message
    assert fabric.shared.ledger.read().promised == 200 * MIB


async def test_starts_at_once_are_not_promised_the_same_memory(fabric: Fabric) -> None:
    for name in ("one", "two", "three"):
        await make(fabric, name, 100)
    ledger, shelf = fabric.shared.ledger, fabric.default.site.shelves.machines
    admitted: list[str] = []

    async def start(name: str) -> None:
        async with ledger.starting("default", shelf.get(name)):
            admitted.append(name)
            await asyncio.sleep(0)

    results = await asyncio.gather(*map(start, ("one", "two", "three")), return_exceptions=True)
    assert admitted == ["one", "two"] and isinstance(results[2], NoRoom)
    assert ledger.read().promised == 0


async def test_a_machine_is_counted_once_while_it_starts_and_when_it_runs(fabric: Fabric) -> None:
    await make(fabric, "one", 100)
    shelf = fabric.default.site.shelves.machines
    async with fabric.shared.ledger.starting("default", shelf.get("one")):
        await pretend_running(fabric, "one")
        assert fabric.shared.ledger.read().promised == 100 * MIB
    assert fabric.shared.ledger.read().promised == 100 * MIB


async def test_a_suspended_machine_that_is_refused_stays_suspended(fabric: Fabric) -> None:
    await make(fabric, "one", 200)
    await make(fabric, "two", 64)
    await pretend_running(fabric, "one")
    shelf = fabric.default.site.shelves.machines
    await shelf.save(shelf.get("two").with_(state=State.SUSPENDED))
    with pytest.raises(NoRoom):
        await fabric.default.lifecycle.start("two")
    assert shelf.get("two").state is State.SUSPENDED


async def test_what_a_room_is_guaranteed_is_kept_from_others(fabric: Fabric) -> None:
    await fabric.rooms.create(RoomSpec(name="acme", resources=RoomResources(memory=200 * MIB)))
    await make(fabric, "mine", 128, room="acme")
    await make(fabric, "other", 64)
    with pytest.raises(NoRoom, match="200 MiB of 256 MiB are promised"):
        await fabric.default.lifecycle.start("other")
    async with fabric.shared.ledger.starting("acme", fabric.room("acme").site.shelves.machines.get("mine")):
        assert fabric.shared.ledger.read().promised == 200 * MIB
    with pytest.raises(NoRoom, match="cannot be guaranteed 64 MiB"):
        await fabric.rooms.create(RoomSpec(name="bolt", resources=RoomResources(memory=64 * MIB)))
    assert "bolt" not in fabric.rooms
    with pytest.raises(NoRoom, match="cannot be guaranteed 300 MiB"):
        await fabric.rooms.change(RoomSpec(name="acme", resources=RoomResources(memory=300 * MIB)))
    assert fabric.rooms.view(fabric.rooms.record("acme")).resources.memory == 200 * MIB


async def test_a_room_has_no_more_than_its_limit(fabric: Fabric) -> None:
    await fabric.rooms.create(RoomSpec(name="acme", resources=RoomResources(max_memory=100 * MIB)))
    await make(fabric, "big", 128, room="acme")
    with pytest.raises(NoRoom, match="room 'acme' may have 100 MiB: 128 MiB more are too much"):
        await fabric.room("acme").lifecycle.start("big")


def test_an_owner_may_keep_a_part_of_the_host_and_promise_more_than_there_is(tmp_path: Path) -> None:
    settings = load_settings(tmp_path)
    whole = host_account(FACTS, settings, 3 * GIB)
    assert (whole.memory, whole.reserve, whole.capacity) == (4 * GIB, 256 * MIB, 4 * GIB - 256 * MIB)
    smaller = settings.model_copy(update={"host_memory": GIB, "host_reserve": 0, "memory_overcommit": 1.5})
    part = host_account(FACTS, smaller, -1)
    assert (part.capacity, part.available) == (3 * GIB // 2, 0)
    larger = settings.model_copy(update={"host_memory": 64 * GIB})
    assert host_account(FACTS, larger, 0).memory == 4 * GIB


def test_a_room_has_at_least_what_it_is_guaranteed() -> None:
    with pytest.raises(Invalid, match="max_memory"):
        RoomResources(memory=2, max_memory=1)
    with pytest.raises(Invalid, match="max_cpus"):
        RoomResources(cpus=1.5, max_cpus=1)


async def test_a_start_that_is_given_up_while_others_give_back_is_promised_nothing(fabric: Fabric) -> None:
    await make(fabric, "one", 100)
    ledger = fabric.shared.ledger
    asked = asyncio.Event()

    async def collect(_shortage: int) -> None:
        asked.set()
        await asyncio.sleep(60)

    async def start() -> None:
        async with ledger.starting("default", fabric.default.site.shelves.machines.get("one")):
            raise AssertionError("it was given up")

    ledger.collect, ledger.find_used = collect, lambda: GIB
    task = asyncio.create_task(start())
    await asyncio.wait_for(asked.wait(), 10)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert task.cancelled() and ledger.read().machines == ()
