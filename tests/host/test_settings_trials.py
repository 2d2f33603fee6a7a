"""Settings on trial: what is not confirmed goes, by a clock on paper. Floppies and records are real."""

import asyncio
import dataclasses
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.harness.appliance import SCHEMA
from tests.host.fake_appliance import FakeAppliance
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.room import Room as FabricRoom
from weft.fabric.settings.changing import Changes
from weft.fabric.settings.configs import Configs
from weft.fabric.settings.confirming import Confirming
from weft.fabric.settings.live import put_settings
from weft.model.errors import Invalid, WrongState
from weft.model.machine import MachineSpec, State


class Clock:
    """Seconds that pass when a test says so."""

    def __init__(self) -> None:
        self.now = 1000.0
        self.moved = asyncio.Condition()

    async def sleep(self, seconds: float) -> None:
        until = self.now + seconds
        async with self.moved:
            await self.moved.wait_for(lambda: self.now >= until)

    async def pass_(self, seconds: float) -> None:
        async with self.moved:
            self.now += seconds
            self.moved.notify_all()


@dataclasses.dataclass
class Room:
    """A room on paper with the appliance `gate`, which runs, and a daemon that can be another one."""

    fabric: FabricRoom
    machine: FakeAppliance
    clock: Clock
    configs: Configs = dataclasses.field(init=False)
    confirming: Confirming = dataclasses.field(init=False)

    def __post_init__(self) -> None:
        self.begin_daemon()

    def begin_daemon(self) -> None:
        """Nothing of what one has in memory is known to the next."""
        site = dataclasses.replace(self.fabric.site, clock=lambda: self.clock.now)
        changes = Changes(site, self.fabric.runs)
        self.confirming = Confirming(site, changes, sleep=self.clock.sleep)
        self.configs = Configs(site, changes, self.confirming)

    async def end_daemon(self) -> None:
        for task in self.trials():
            task.cancel()
            await asyncio.wait([task])
        self.begin_daemon()

    def trials(self) -> list[asyncio.Task[Any]]:
        return [task for task in self.fabric.site.tasks.running if task.get_name() == "trial-gate"]

    async def settle(self) -> None:
        """Until nothing is on trial any more."""
        async with asyncio.timeout(20):
            await asyncio.gather(*self.trials())

    async def put(self, state: State) -> None:
        shelf = self.fabric.site.shelves.machines
        await shelf.save(shelf.get("gate").with_(state=state))

    async def saved(self) -> dict[str, Any]:
        view = await self.configs.show("gate", running=False)
        return {one.name: one.value for one in view.settings if one.is_set}

    def events(self, kind: str) -> int:
        return sum(event.kind == kind for event in self.fabric.site.events.since(0))


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_paper_room(tmp_path / "home") as fabric:
        store = fabric.site.images
        (store.folder / "gate").mkdir()
        gate = store.get("base").model_copy(update={"name": "gate", "settings": SCHEMA})
        (store.folder / "gate" / "image.json").write_text(gate.model_dump_json())
        await fabric.machines.create(MachineSpec(name="gate", image="gate", nics=()))
        room = Room(fabric, FakeAppliance(), Clock())
        agents: Any = fabric.runs
        agents.agent = lambda _name: room.machine
        await room.configs.change("gate", {"lan.mtu": 1400})
        terms = room.configs._changes.terms(fabric.site.shelves.machines.get("gate"))
        await put_settings(agents.agent("gate"), terms, {"lan.mtu": 1400})
        await room.put(State.RUNNING)
        yield room


async def test_what_nobody_confirms_goes(room: Room) -> None:
    view = await room.configs.change("gate", {"mode": "strict", "lan.mtu": 1300}, confirm=60)
    assert view.on_trial_until == 1060 and room.machine.running["lan.mtu"] == 1300
    assert (await room.configs.show("gate")).on_trial_until == 1060
    await room.clock.pass_(59)
    assert await room.saved() == {"mode": "strict", "lan.mtu": 1300}
    await room.clock.pass_(1)
    await room.settle()
    assert await room.saved() == {"lan.mtu": 1400}
    assert (room.machine.running["mode"], room.machine.running["lan.mtu"]) == ("open", 1400)
    (newest, *_) = await room.configs.history("gate")
    assert (newest.revision, newest.by, newest.why) == (3, "nobody confirmed", "end of the trial")
    assert room.events("settings.undone") == 1 and (await room.configs.show("gate")).on_trial_until is None


async def test_what_is_confirmed_stays(room: Room) -> None:
    await room.configs.change("gate", {"mode": "strict"}, confirm=60)
    view = await room.configs.confirm("gate")
    assert view.on_trial_until is None and view.revision == 2
    await room.clock.pass_(60)
    await room.settle()
    assert room.machine.running["mode"] == "strict" and room.events("settings.undone") == 0
    with pytest.raises(WrongState, match="none of the settings"):
        await room.configs.confirm("gate")


async def test_one_thing_at_a_time_is_on_trial(room: Room) -> None:
    await room.configs.change("gate", {"mode": "strict"}, confirm=60)
    for attempt in (
        room.configs.change("gate", {"lan.mtu": 1300}),
        room.configs.change("gate", {"lan.mtu": 1300}, confirm=5),
        room.configs.import_("gate", b"lan.mtu = 1300", confirm=5),
        room.configs.commit("gate"),
    ):
        with pytest.raises(WrongState, match="on trial"):
            await attempt
    assert await room.saved() == {"mode": "strict", "lan.mtu": 1400}


async def test_one_that_is_refused_is_not_on_trial(room: Room) -> None:
    room.machine.refuse = lambda settings: "no" if settings["mode"] == "strict" else ""
    with pytest.raises(Invalid, match="refuses: no"):
        await room.configs.change("gate", {"mode": "strict"}, confirm=60)
    with pytest.raises(Invalid, match="none of open, strict"):
        await room.configs.change("gate", {"mode": "loose"}, confirm=60)
    assert (await room.configs.show("gate")).on_trial_until is None and not room.trials()


async def test_revert_does_not_wait_for_the_time(room: Room) -> None:
    await room.configs.import_("gate", b"mode = 'strict'", confirm=60)
    await room.configs.revert("gate", None)
    assert await room.saved() == {"lan.mtu": 1400} and room.machine.running["mode"] == "open"
    await room.clock.pass_(60)
    await room.settle()
    assert room.events("settings.undone") == 1


async def test_the_next_daemon_goes_on_with_it(room: Room) -> None:
    await room.configs.change("gate", {"mode": "strict"}, confirm=60)
    await room.end_daemon()
    await room.clock.pass_(100)
    room.confirming.adopt()
    await room.settle()
    assert await room.saved() == {"lan.mtu": 1400} and room.machine.running["mode"] == "open"


async def test_it_waits_for_a_machine_that_is_starting(room: Room) -> None:
    await room.configs.change("gate", {"mode": "strict"}, confirm=60)
    await room.put(State.STARTING)
    await room.clock.pass_(60)
    await asyncio.sleep(0)
    await room.put(State.STOPPED)
    while room.trials():
        await room.clock.pass_(2)
        await asyncio.sleep(0)
    assert await room.saved() == {"lan.mtu": 1400}


async def test_before_the_first_revision_there_are_the_defaults(room: Room) -> None:
    await room.configs.reset("gate")
    await room.put(State.STOPPED)
    await room.configs.change("gate", {"mode": "strict"}, confirm=60)
    await room.clock.pass_(60)
    await room.settle()
    assert await room.saved() == {}


async def test_a_machine_that_is_gone_has_nothing_on_trial(room: Room) -> None:
    await room.put(State.STOPPED)
    await room.configs.change("gate", {"mode": "strict"}, confirm=60)
    await room.fabric.machines.remove("gate")
    await room.clock.pass_(60)
    await room.settle()
    assert room.events("settings.fallback") == 0
