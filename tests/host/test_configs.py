"""Settings of appliances: real floppies, real records, and a machine on paper that applies or refuses."""

import asyncio
import dataclasses
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, cast

import pytest
from benchmarks.harness.appliance import SCHEMA
from tests.host.fake_appliance import FakeAppliance
from tests.unit.paper_fabric import open_paper_fabric, open_paper_room

from weft.fabric.fabric import Fabric
from weft.fabric.launch import guest_config
from weft.fabric.records.machine import FirstSettings
from weft.fabric.room import Room as FabricRoom
from weft.fabric.settings.configs import Configs
from weft.fabric.settings.floppies import floppy_path, load_boot_settings, with_settings
from weft.image.floppy import create_floppy, open_change, open_floppy
from weft.image.store import ImageStore
from weft.model.errors import Invalid, NotFound, Unavailable, WeftError, WrongState
from weft.model.image import ImageKind
from weft.model.machine import MachineSpec, State
from weft.model.room import RoomSpec
from weft.plan.mounts import plan_mounts


@dataclasses.dataclass
class Room:
    """A room on paper with the appliance `gate`, and what is done to it."""

    fabric: FabricRoom
    machine: FakeAppliance

    @property
    def configs(self) -> Configs:
        return self.fabric.configs

    @property
    def path(self) -> Path:
        return floppy_path(self.fabric.site, self.fabric.site.shelves.machines.get("gate"))

    async def run(self, machine: FakeAppliance | None = None, **record: Any) -> FakeAppliance:
        """The machine runs, as after a start: told what its floppy says."""
        self.machine = machine or self.machine
        shelf = self.fabric.site.shelves.machines
        record_now = await shelf.save(shelf.get("gate").with_(state=State.STARTING, **record))
        image = self.fabric.site.images.get("gate")
        settings = await load_boot_settings(self.fabric.site, record_now, image)
        assert settings
        plan = plan_mounts(record_now.spec, image)
        config = with_settings(guest_config(self.fabric.site, record_now, image, plan), settings)
        self.machine.files = {file.path.split("/")[-1]: file.content.encode() for file in config.files}
        self.machine.hostname = str(config.hostname)
        await shelf.save(record_now.with_(**settings.record))
        await self.configs.prepare(shelf.get("gate"), cast(Any, self.machine))
        await shelf.save(shelf.get("gate").with_(state=State.RUNNING))
        return self.machine

    async def values(self, **options: Any) -> dict[str, Any]:
        view = await self.configs.show("gate", secrets=True, **options)
        return {setting.name: setting.value for setting in view.settings if setting.is_set}

    def events(self, kind: str) -> list[str]:
        return [event.text for event in self.fabric.site.events.since(0) if event.kind == kind]

    @property
    def noted(self) -> str:
        return self.fabric.machines.view(self.fabric.site.shelves.machines.get("gate")).settings


def add_gate(store: ImageStore) -> None:
    """An appliance with settings."""
    (store.folder / "gate").mkdir()
    gate = store.get("base").model_copy(update={"name": "gate", "settings": SCHEMA})
    (store.folder / "gate" / "image.json").write_text(gate.model_dump_json())


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    async with open_paper_room(tmp_path / "home") as fabric:
        add_gate(fabric.site.images)
        await fabric.machines.create(MachineSpec(name="gate", image="gate", nics=()))
        room = Room(fabric, FakeAppliance())
        agents: Any = fabric.runs
        agents.agent = lambda _name: room.machine
        yield room


async def test_a_stopped_machine_s_settings_are_saved_only(room: Room) -> None:
    view = await room.configs.change("gate", {"mode": "strict", "lan.mtu": 1400})
    assert (view.source, view.revision) == ("saved", 1)
    assert await room.values() == {"mode": "strict", "lan.mtu": 1400}
    assert room.machine.applied == [] and room.events("settings.saved") != []
    await room.configs.change("gate", {}, ["mode"])
    assert await room.values() == {"lan.mtu": 1400}
    history = await room.configs.history("gate")
    assert [(one.revision, one.why, one.fits) for one in history] == [
        (2, "mode unset", True), (1, "mode set, lan.mtu set", True)]  # fmt: skip


async def test_a_running_machine_applies_before_anything_is_saved(room: Room) -> None:
    machine = await room.run()
    assert machine.applied == [{"hostname": "gate", "mode": "open", "lan.mtu": 1500}]
    await room.configs.change("gate", {"lan.mtu": "9000", "hostname": "tor"})
    assert machine.applied[-1] == {"hostname": "tor", "mode": "open", "lan.mtu": 9000}
    assert machine.hostname == "tor" and b"WEFT_LAN_MTU=9000\n" in machine.files["settings.env"]
    assert room.noted == "revision 1"


async def test_what_the_machine_refuses_is_taken_back_and_not_saved(room: Room) -> None:
    machine = await room.run(FakeAppliance(lambda settings: "no jumbo here" if settings["lan.mtu"] > 1500 else ""))
    await room.configs.change("gate", {"mode": "strict"})
    before = (room.path.read_bytes(), dict(machine.files), machine.hostname)
    with pytest.raises(Invalid, match=r"the appliance refuses: no jumbo here$"):
        await room.configs.change("gate", {"lan.mtu": 9000, "hostname": "x"})
    assert (room.path.read_bytes(), dict(machine.files), machine.hostname) == before
    assert machine.applied[-1]["lan.mtu"] == 1500


async def test_what_cannot_be_saved_is_taken_back_from_the_machine(room: Room) -> None:
    machine = await room.run()
    async with open_change(room.path) as draft:
        await draft.write({"full": bytes((await draft.view()).free)})
    with pytest.raises(WeftError, match="the floppy is full"):
        await room.configs.change("gate", {"mode": "strict"})
    assert machine.running["mode"] == "open" and [one["mode"] for one in machine.applied] == ["open", "strict", "open"]


async def test_a_machine_s_own_changes_are_kept_on_commit_only(room: Room) -> None:
    machine = await room.run()
    await room.configs.change("gate", {"lan.mtu": 1400})
    machine.change(mode="strict", **{"lan.dns": ["10.0.0.1"]})
    (dns, mode) = await room.configs.diff("gate", None, None)
    assert (dns.name, dns.after, mode.before, mode.after) == ("lan.dns", ("10.0.0.1",), "open", "strict")
    with pytest.raises(WrongState, match=r"has changed lan.dns, mode itself"):
        await room.configs.change("gate", {"lan.mtu": 1300})
    await room.configs.commit("gate")
    assert await room.values(running=False) == {"lan.mtu": 1400, "mode": "strict", "lan.dns": ("10.0.0.1",)}
    machine.change(mode="open")
    await room.configs.revert("gate", None)
    assert machine.running["mode"] == "strict"
    assert len(await room.configs.history("gate")) == 2


async def test_a_machine_commits_by_itself(room: Room) -> None:
    await room.run()
    await room.fabric.lifecycle.hooks.on_commit("gate", '{"mode": "strict", "lan.mtu": 1500}')
    assert await room.values(running=False) == {"mode": "strict"}
    for text, told in (("[]", "no settings"), ("{", "no settings"), ('{"mode": 1}', "mode"), ('{"x": 1}', "x: there")):
        with pytest.raises(Invalid, match=told):
            await room.fabric.lifecycle.hooks.on_commit("gate", text)
    assert [one.by for one in await room.configs.history("gate")] == ["the machine"]


async def test_a_commit_from_within_a_change_is_refused_and_not_waited_for(room: Room) -> None:
    refused: list[WeftError] = []

    def commit_while_applying(_settings: Any) -> str:
        async def commit() -> None:
            try:
                await room.configs.on_commit("gate", "{}")
            except WeftError as err:
                refused.append(err)

        tasks.append(asyncio.ensure_future(commit()))
        return ""

    tasks: list[asyncio.Future[None]] = []
    await room.run(FakeAppliance())
    room.machine.refuse = commit_while_applying
    await room.configs.change("gate", {"mode": "strict"})
    await asyncio.gather(*tasks)
    assert len(refused) == 1 and "being changed" in refused[0].message


async def test_two_writers(room: Room) -> None:
    await asyncio.gather(*(room.configs.change("gate", {"lan.mtu": 1400 + n}) for n in range(4)))
    assert [one.revision for one in await room.configs.history("gate")] == [4, 3, 2, 1]
    with pytest.raises(WrongState, match="changed meanwhile: revision 4, not 3"):
        await room.configs.change("gate", {"lan.mtu": 1}, revision=3)
    await room.configs.change("gate", {"lan.mtu": 1400}, revision=4)


async def test_export_and_import(room: Room) -> None:
    await room.configs.change("gate", {"mode": "strict", "key": "s3cret"})
    text = await room.configs.export("gate")
    assert b'key = "s3cret"' in text
    await room.configs.import_("gate", b"lan.mtu = 1300\nalien = 1\n[unknown]\nolder = [1, 2]\n")
    view = await room.configs.show("gate")
    assert view.unknown == {"alien": 1, "older": [1, 2]} and await room.values() == {"lan.mtu": 1300}
    await room.configs.import_("gate", text)
    assert await room.values() == {"mode": "strict", "key": "s3cret"}
    assert (await room.configs.show("gate")).unknown == {"alien": 1, "older": [1, 2]}
    with pytest.raises(Invalid, match=r"mode: 5 is not.*lan.mtu: 1 is below"):
        await room.configs.import_("gate", b"mode = 5\nlan.mtu = 1\n")


async def test_revisions_come_back_as_new_ones(room: Room) -> None:
    machine = await room.run()
    for mtu in (1400, 1300):
        await room.configs.change("gate", {"lan.mtu": mtu})
    (change,) = await room.configs.diff("gate", 1, None)
    assert (change.before, change.after) == (1400, 1300)
    assert (await room.configs.revert("gate", 1)).revision == 3
    assert machine.running["lan.mtu"] == 1400 and await room.configs.diff("gate", 1, 3) == []
    with pytest.raises(NotFound):
        await room.configs.revert("gate", 9)


async def test_another_schema_loses_nothing(room: Room) -> None:
    await room.configs.change("gate", {"mode": "strict", "lan.mtu": 1400})
    record = room.fabric.site.images.folder / "gate" / "image.json"
    image = room.fabric.site.images.get("gate")
    old = SCHEMA.model_copy(update={"version": 1, "settings": {"mode": SCHEMA.settings["mode"]}})
    record.write_text(image.model_copy(update={"settings": old}).model_dump_json())
    await room.configs.change("gate", {"mode": "open"})
    assert (await room.configs.show("gate")).unknown == {"lan.mtu": 1400}
    record.write_text(image.model_dump_json())
    assert await room.values() == {"mode": "open", "lan.mtu": 1400}


@pytest.mark.parametrize("text", [b"lan.mtu = ", b"lan.mtu = 1\n", b"lan.mtu = [1]\n"])
async def test_what_does_not_fit_boots_with_the_last_good_revision(room: Room, text: bytes) -> None:
    await room.configs.change("gate", {"lan.mtu": 1400})
    await room.configs.change("gate", {"lan.mtu": 1300})
    async with open_change(room.path) as draft:
        await draft.write({"settings.toml": text, "history/0002.toml": b"torn"})
    machine = await room.run()
    assert machine.running["lan.mtu"] == 1400 and room.noted.startswith("revision 1: ")
    assert room.events("settings.fallback")
    with pytest.raises(WeftError):
        await room.configs.change("gate", {"mode": "strict"})
    await room.configs.revert("gate", 1)
    assert room.noted == "revision 3" and await room.values(running=False) == {"lan.mtu": 1400}


async def test_a_damaged_floppy_boots_too_and_is_not_given_to_the_machine(room: Room) -> None:
    await room.configs.change("gate", {"lan.mtu": 1400})
    data = bytearray(room.path.read_bytes())
    data[512 * 10] ^= 0xFF
    room.path.write_bytes(data)
    machine_record, image = room.fabric.site.shelves.machines.get("gate"), room.fabric.site.images.get("gate")
    settings = await load_boot_settings(room.fabric.site, machine_record, image)
    assert settings and settings.floppy is None
    assert (await room.run()).running["lan.mtu"] == 1400 and "damaged" in room.noted
    room.path.write_bytes(bytes(len(data)))
    assert (await room.run(FakeAppliance())).running["lan.mtu"] == 1500 and room.noted.startswith("factory defaults: ")
    await room.configs.reset("gate")
    await room.run(FakeAppliance())
    assert room.noted == "factory defaults"


async def test_a_floppy_is_shown_when_there_is_more_on_it_than_settings(room: Room) -> None:
    async def shown() -> bool:
        machine, image = room.fabric.site.shelves.machines.get("gate"), room.fabric.site.images.get("gate")
        settings = await load_boot_settings(room.fabric.site, machine, image)
        return settings is not None and settings.floppy == room.path

    assert not await shown()
    await room.configs.change("gate", {"lan.mtu": 1400})
    assert not await shown()
    async with open_change(room.path) as draft:
        await draft.write({"keys/id": b"s3cret"})
    assert await shown()


async def test_what_is_refused_at_boot_gives_way_to_what_is_not(room: Room) -> None:
    await room.configs.change("gate", {"lan.mtu": 1300})
    await room.configs.change("gate", {"lan.mtu": 1400})
    machine = await room.run(FakeAppliance(lambda settings: "odd" if settings["lan.mtu"] == 1400 else ""))
    assert machine.running["lan.mtu"] == 1300 and room.noted == "revision 1: revision 2: the appliance refuses: odd"
    machine = await room.run(FakeAppliance(lambda settings: "all odd" if settings["lan.mtu"] != 1500 else ""))
    assert machine.running["lan.mtu"] == 1500
    assert room.noted == "factory defaults: revision 2: the appliance refuses: all odd"
    await room.configs.change("gate", {}, ["lan.mtu"])
    assert room.noted == "revision 3"


async def test_failsafe_ignores_the_floppy_and_leaves_it_alone(room: Room) -> None:
    await room.configs.change("gate", {"lan.mtu": 1400})
    before = room.path.read_bytes()
    machine = await room.run(failsafe=True)
    assert machine.running["lan.mtu"] == 1500 and "failsafe" in room.noted and room.path.read_bytes() == before
    with pytest.raises(WrongState, match="failsafe"):
        await room.configs.commit("gate")
    await room.configs.change("gate", {"lan.mtu": 1300})
    assert machine.running["lan.mtu"] == 1500 and await room.values() == {"lan.mtu": 1300}


async def test_other_images_have_no_settings(room: Room) -> None:
    record = room.fabric.site.images.folder / "gate" / "image.json"
    image = room.fabric.site.images.get("gate").model_copy(update={"kind": ImageKind.OCI})
    record.write_text(image.model_dump_json())
    with pytest.raises(WrongState, match="no appliance"):
        await room.configs.show("gate")
    with pytest.raises(Invalid, match="no appliance"):
        await room.fabric.machines.create(MachineSpec(name="x", image="gate", nics=(), floppy="/x.img"))


async def test_a_machine_may_be_run_from_a_floppy_of_the_host(room: Room, tmp_path: Path) -> None:
    floppy = tmp_path / "acme.img"
    spec = MachineSpec(name="acme", image="gate", nics=(), floppy=str(floppy))
    with pytest.raises(NotFound, match="weft floppy create"):
        await room.fabric.machines.create(spec)
    await create_floppy(floppy)
    async with open_change(floppy) as draft:
        await draft.write({"settings.toml": b"[lan]\nmtu = 1300\n"})
    await room.fabric.machines.create(spec)
    await room.configs.change("acme", {"mode": "strict"})
    assert b"mtu = 1300" in await (await open_floppy(floppy)).read("settings.toml")
    link = tmp_path / "link.img"
    link.symlink_to(floppy)
    with pytest.raises(WrongState, match="'acme'"):
        await room.fabric.machines.create(spec.model_copy(update={"name": "two", "floppy": str(link)}))
    shutil.copyfile(floppy, tmp_path / "own.img")
    await room.fabric.machines.create(spec.model_copy(update={"name": "two", "floppy": str(tmp_path / "own.img")}))


async def test_a_machine_that_says_nothing_is_shown_as_saved(room: Room) -> None:
    machine = await room.run()
    machine.files.clear()
    assert (await room.configs.show("gate")).source == "saved"
    with pytest.raises(Unavailable):
        await room.configs.show("gate", running=True)
    await room.configs.change("gate", {"mode": "strict"})
    assert machine.running["mode"] == "strict"


async def test_settings_may_be_replaced_as_a_whole(room: Room) -> None:
    await room.configs.change("gate", {"lan.mtu": 1300, "hostname": "there"})
    await room.run()
    await room.configs.replace("gate", {"lan.mtu": 1400}, by="weft up")
    assert await room.values() == {"lan.mtu": 1400}
    assert room.machine.running["lan.mtu"] == 1400
    assert (await room.configs.history("gate"))[0].by == "weft up"
    with pytest.raises(Invalid, match="no such setting"):
        await room.configs.replace("gate", {"lan.nothing": 1}, by="weft up")
    assert await room.values() == {"lan.mtu": 1400}


async def test_a_floppy_is_one_machines_in_all_rooms(tmp_path: Path) -> None:
    """One that is given by its path, and one that another machine was made with."""
    path = tmp_path / "keys.img"
    await create_floppy(path)
    async with open_paper_fabric(tmp_path / "home") as fabric:
        add_gate(fabric.shared.images)
        acme, bolt = [await add_room(fabric, name) for name in ("acme", "bolt")]
        keys = MachineSpec(name="keys", image="gate", nics=(), floppy=str(path))
        await acme.machines.create(keys)
        for room, owner in ((bolt, "acme:keys"), (fabric.default, "acme:keys"), (acme, "keys")):
            with pytest.raises(WrongState, match=f"is the one of machine '{owner}'"):
                await room.machines.create(keys.model_copy(update={"name": "more"}))
        own = acme.site.layout.machine("own").floppy
        await acme.machines.create(MachineSpec(name="own", image="gate", nics=()), FirstSettings(values={}, by="test"))
        with pytest.raises(WrongState, match="is the one of machine 'acme:own'"):
            await bolt.machines.create(keys.model_copy(update={"floppy": str(own)}))
        await bolt.machines.create(MachineSpec(name="keys", image="gate", nics=()))
        with pytest.raises(WrongState, match="is the one of machine 'acme:keys'"):
            await bolt.updates.update("keys", keys)
        await acme.machines.remove("keys")
        await bolt.updates.update("keys", keys)
        assert bolt.site.shelves.machines.get("keys").spec.floppy == str(path)


async def add_room(fabric: Fabric, name: str) -> FabricRoom:
    await fabric.rooms.create(RoomSpec(name=name))
    return fabric.room(name)
