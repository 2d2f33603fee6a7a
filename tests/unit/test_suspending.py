"""Suspended machines on a fabric on paper: what may be done with them, and what a dead daemon's leftovers become."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.endings import UNSEEN, end_of_run
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.volume import VolumeRecord
from weft.fabric.room import Room
from weft.model.errors import Unavailable, WrongState
from weft.model.machine import Exit, MachineRestart, MachineSpec, State
from weft.model.mount import MountKind, MountSpec
from weft.model.volume import VolumeSpec


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_paper_room(tmp_path / "home") as opened:
        yield opened


async def suspended(room: Room, name: str = "web", **spec: Any) -> MachineRecord:
    """A machine on record as suspended, with a folder for its moment that has nothing in it."""
    record = await room.machines.create(MachineSpec(name=name, image="base", nics=(), **spec))
    room.site.layout.machine(name).moment.mkdir(parents=True)
    return await room.site.shelves.machines.save(record.with_(state=State.SUSPENDED, wanted=True))


def state_of(room: Room, name: str = "web") -> State:
    return room.site.shelves.machines.get(name).state


async def test_what_cannot_go_on_stays_suspended(room: Room) -> None:
    await suspended(room)
    with pytest.raises(Unavailable, match="damaged"):
        await room.lifecycle.start("web")
    machine = room.site.shelves.machines.get("web")
    assert (machine.state, machine.resuming, machine.exit) == (State.SUSPENDED, False, None)
    assert "damaged" in machine.reason
    assert room.site.layout.machine("web").moment.is_dir()


@pytest.mark.parametrize("end", ["stop", "kill"])
async def test_what_is_stopped_is_discarded(room: Room, end: str) -> None:
    await suspended(room)
    await getattr(room.lifecycle, end)("web")
    machine = room.site.shelves.machines.get("web")
    assert (machine.state, machine.wanted) == (State.STOPPED, False)
    assert not room.site.layout.machine("web").moment.exists()


async def test_one_that_is_removed_is_gone(room: Room) -> None:
    await suspended(room)
    await room.machines.remove("web")
    assert not room.site.layout.machine("web").folder.exists()


async def test_a_boot_of_the_host_starts_none_of_them(room: Room) -> None:
    await suspended(room, restart=MachineRestart.ALWAYS)
    await suspended(room, "brief", remove=True)
    await room.restarts.adopt(same_boot=False)
    assert [state_of(room), state_of(room, "brief")] == [State.SUSPENDED, State.SUSPENDED]
    assert room.site.shelves.machines.get("web").again_at is None


async def test_its_volumes_stay_as_they_are(room: Room) -> None:
    disk = room.site.layout.volume("data") / "disk.img"
    disk.parent.mkdir(parents=True)
    disk.write_bytes(bytes(4096))
    spec = VolumeSpec(name="data", size=8 << 20)
    await room.site.shelves.volumes.save(VolumeRecord(spec=spec, created=1.0, made=True))
    mount = MountSpec(kind=MountKind.VOLUME, source="data", target="/srv")
    await suspended(room, mounts=(mount,))
    other = await room.machines.create(MachineSpec(name="other", image="base", nics=(), mounts=(mount,)))
    with pytest.raises(WrongState, match="being written by machine 'web'"):
        await room.volumes.claim(other.with_(started=2.0), "data", read_only=False)
    with pytest.raises(WrongState, match="in use by web"):
        await room.volumes.resize("data", 16 << 20)


async def test_what_it_could_not_go_on_with_is_refused(room: Room) -> None:
    machine = await suspended(room)
    larger = machine.spec.model_copy(update={"memory": 128 << 20})
    with pytest.raises(WrongState, match="is suspended, and could not go on with another memory"):
        await room.updates.update("web", larger)
    labelled = machine.spec.model_copy(update={"labels": {"tier": "front"}})
    await room.updates.update("web", labelled)
    assert state_of(room) is State.SUSPENDED


async def test_only_what_runs_is_suspended_and_only_what_is_suspended_resumed(room: Room) -> None:
    await room.machines.create(MachineSpec(name="web", image="base", nics=()))
    with pytest.raises(WrongState, match="created"):
        await room.snapshots.suspending.suspend("web", lambda _text, _part: None)
    with pytest.raises(WrongState, match="not suspended"):
        await room.snapshots.suspending.resume("web")


@pytest.mark.parametrize(
    ("state", "flag", "then"),
    [
        (State.RUNNING, "suspending", State.SUSPENDED),
        (State.STARTING, "resuming", State.SUSPENDED),
        (State.STOPPING, "resuming", State.STOPPED),
        (State.RUNNING, None, State.FAILED),
    ],
)
async def test_what_the_end_of_a_run_leaves(room: Room, state: State, flag: str | None, then: State) -> None:
    machine = await room.machines.create(MachineSpec(name="web", image="base", nics=()))
    flags = {flag: True} if flag else {}
    ended = end_of_run(machine.with_(state=state, **flags), Exit(reason=UNSEEN))
    assert (ended.state, ended.suspending, ended.resuming) == (then, False, False)


@pytest.mark.parametrize("flag", ["suspending", "resuming"])
async def test_what_a_dead_daemon_was_at_ends_as_suspended(room: Room, flag: str) -> None:
    machine = await suspended(room)
    state = State.RUNNING if flag == "suspending" else State.STARTING
    machine = await room.site.shelves.machines.save(machine.with_(state=state, **{flag: True}))
    await room.adopting.adopt(machine, same_boot=False)
    assert state_of(room) is State.SUSPENDED
    assert room.site.layout.machine("web").moment.is_dir()
