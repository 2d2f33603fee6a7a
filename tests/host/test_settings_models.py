"""Settings that have to fit a place: a model on paper, real floppies and records, a machine on paper."""

import dataclasses
import json
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path
from typing import Any, cast

import pytest
from tests.host.fake_appliance import FakeAppliance
from tests.unit.paper_fabric import SIDES, open_paper_room

from weft.fabric.launch import guest_config
from weft.fabric.records.machine import FirstSettings
from weft.fabric.room import Room as FabricRoom
from weft.fabric.settings.floppies import floppy_path, load_boot_settings, with_settings
from weft.fabric.settings.models import MODELS
from weft.image.floppy import open_change
from weft.model.errors import Invalid, NotFound
from weft.model.image import ImageManifest
from weft.model.insert import InsertSpec
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.place import Place
from weft.model.schema import Setting, SettingsSchema
from weft.plan.mounts import plan_mounts

SCHEMA = SettingsSchema(
    settings={"doors": Setting(type="list", help="Zones to open.", separator=";")}, apply=("/bin/apply",), model="paper"
)


class PaperModel:
    """Doors have to be zones."""

    def check(self, values: Mapping[str, Any], place: Place | None) -> list[str]:
        doors = values.get("doors", ())
        missing = [(at, door) for at, door in enumerate(doors) if place and place.find_zone(door) is None]
        return [f"doors[{at}]: there is no zone {door!r}" for at, door in missing]

    def render(self, values: Mapping[str, Any], place: Place) -> dict[str, str]:
        return {"doors.conf": "".join(f"open {door}\n" for door in values.get("doors", ()))}

    def find_machines(self, values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
        yield from ()


@dataclasses.dataclass
class Room:
    """A fabric on paper with an image `fw`, and the machine that stands for any of its machines."""

    fabric: FabricRoom
    machine: FakeAppliance

    async def create(self, *networks: str, **settings: Any) -> None:
        spec = MachineSpec(name="fw", image="fw", nics=tuple(NicSpec(network=name) for name in networks))
        await self.fabric.machines.create(spec, FirstSettings(values=settings, by="weft run") if settings else None)

    async def boot(self, name: str = "fw") -> None:
        """As a start does it, without QEMU."""
        site = self.fabric.site
        record = site.shelves.machines.get(name)
        image = site.images.get(record.spec.image)
        settings = await load_boot_settings(site, record, image)
        assert settings
        config = with_settings(guest_config(site, record, image, plan_mounts(record.spec, image)), settings)
        self.machine.files = {Path(file.path).name: file.content.encode() for file in config.files}
        record = await site.shelves.machines.save(record.with_(state=State.STARTING, **settings.record))
        await self.fabric.configs.prepare(record, cast(Any, self.machine))
        await site.shelves.machines.save(site.shelves.machines.get(name).with_(state=State.RUNNING))

    async def settle(self) -> None:
        """Whatever was begun beside has been done."""
        for task in list(self.fabric.site.tasks.running):
            if task.get_name() == "places":
                await task

    @property
    def place(self) -> Place:
        return Place.model_validate_json(self.machine.files["place.json"])

    @property
    def noted(self) -> str:
        return self.fabric.site.shelves.machines.get("fw").settings


@pytest.fixture
async def room(tmp_path: Path) -> AsyncIterator[Room]:
    MODELS["paper"] = PaperModel()
    async with open_paper_room(tmp_path / "home") as fabric:
        add_image(fabric, "fw", SCHEMA)
        room = Room(fabric, FakeAppliance())
        await fabric.site.links.ensure_void()
        agents: Any = fabric.runs
        agents.agent = lambda _name: room.machine
        yield room
    del MODELS["paper"]


def add_image(fabric: FabricRoom, name: str, schema: SettingsSchema) -> ImageManifest:
    store = fabric.site.images
    (store.folder / name).mkdir()
    image = store.get("base").model_copy(update={"name": name, "settings": schema, "nics": SIDES})
    (store.folder / name / "image.json").write_text(image.model_dump_json())
    return image


async def test_a_machine_is_told_its_place_and_what_the_model_makes_of_it(room: Room) -> None:
    await room.create("lan", doors="lan")
    await room.boot()
    (zone,) = room.place.zones
    assert (zone.name, zone.nic, zone.addresses, zone.subnets) == ("lan", "eth0", ("10.0.0.2/29",), ("10.0.0.0/29",))
    assert zone.uplink and room.place.gateway == "10.0.0.1" == room.place.resolvers[0]
    assert room.machine.files["doors.conf"] == b"open lan\n" and b"PLACE_NICS=eth0\n" in room.machine.files["place.env"]
    (first,) = await room.fabric.configs.history("fw")
    assert (first.revision, first.by, room.noted) == (1, "weft run", "revision 1")


async def test_settings_are_checked_before_anything_is_made(room: Room) -> None:
    for wanted, told in (
        ({"doors": ["lan", "dmz"]}, r"doors\[1\]: there is no zone 'dmz'"),
        ({"windows": 1}, "windows: there is no such setting"),
        ({"doors": 5}, "doors: 5 is not a list"),
    ):
        with pytest.raises(Invalid, match=told):
            await room.create("lan", **wanted)
        assert room.fabric.site.shelves.machines.find("fw") is None
    await room.create("lan")
    with pytest.raises(Invalid, match="no appliance"):
        await room.fabric.inserts.create(InsertSpec(name="x", appliance="base", before="fw", settings={"doors": "x"}))


async def test_what_does_not_fit_the_place_is_not_saved(room: Room) -> None:
    await room.create("lan")
    with pytest.raises(Invalid, match=r"doors\[0\]: there is no zone 'dmz'"):
        await room.fabric.configs.change("fw", {"doors": "dmz; lan"})
    await room.boot()
    for attempt in (
        room.fabric.configs.change("fw", {"doors": ["dmz"]}),
        room.fabric.configs.import_("fw", b"doors = ['dmz']"),
        room.fabric.configs.on_commit("fw", '{"doors": ["dmz"]}'),
    ):
        with pytest.raises(Invalid, match=r"doors\[0\]"):
            await attempt
    assert await room.fabric.configs.history("fw") == [] and json.loads(room.machine.files["settings.json"])
    await room.fabric.configs.change("fw", {"doors": "lan"})
    assert room.machine.files["doors.conf"] == b"open lan\n"


async def test_what_does_not_fit_the_place_at_boot_falls_back(room: Room) -> None:
    await room.create("lan")
    await room.fabric.configs.change("fw", {"doors": "lan"})
    record = room.fabric.site.shelves.machines.get("fw")
    async with open_change(floppy_path(room.fabric.site, record)) as draft:
        await draft.write({"settings.toml": b"doors = ['dmz']\n"})
    await room.boot()
    assert room.machine.files["doors.conf"] == b"open lan\n"
    assert room.noted == "revision 1: what is saved does not fit: doors[0]: there is no zone 'dmz'"


async def test_neighbours_are_told_and_nothing_is_applied_for_them(room: Room) -> None:
    await room.create("lan")
    await room.boot()
    await room.settle()
    applied = len(room.machine.applied)
    await room.fabric.machines.create(MachineSpec(name="web", image="base", nics=(NicSpec(network="lan"),)))
    await room.settle()
    assert [(one.zone, one.name, one.address) for one in room.place.neighbours] == [("lan", "web", "10.0.0.3")]
    await room.fabric.machines.remove("web")
    await room.settle()
    assert room.place.neighbours == () and len(room.machine.applied) == applied


async def test_a_parked_appliance_is_told_where_it_is_inserted(room: Room) -> None:
    await room.fabric.machines.create(MachineSpec(name="web", image="base", nics=(NicSpec(network="lan"),)))
    await room.fabric.machines.create(MachineSpec(name="fw", image="fw"))
    await room.boot()
    assert [zone.name for zone in room.place.zones] == ["network", "machine"] and not room.place.zones[0].subnets
    shelf = room.fabric.site.shelves.inserts
    spec = InsertSpec(name="fw", appliance="fw", before="web", settings={"doors": "machine"})
    task = await room.fabric.inserts.create(spec)
    task.cancel()
    assert shelf.get("fw").parked
    await room.fabric.inserts.move("fw", spec.settings)
    assert room.place.zones[0].subnets == ("10.0.0.0/29",) and room.machine.files["doors.conf"] == b"open machine\n"
    assert room.machine.applied[-1]["doors"] == ["machine"]
    with pytest.raises(Invalid, match=r"doors\[0\]"):
        await room.fabric.inserts.move("fw", {"doors": "lan"})
    applied = len(room.machine.applied)
    await room.fabric.inserts.move("fw", {})
    assert len(room.machine.applied) == applied
    since = room.place.since
    assert f"PLACE_SINCE={since}\n".encode() in room.machine.files["place.env"]
    await shelf.save(shelf.get("fw").with_(created=since and since + 60))
    await room.fabric.inserts.move("fw", {})
    assert len(room.machine.applied) == applied + 1, "it has come there anew, to the same place"


async def test_an_unknown_model_is_refused(room: Room) -> None:
    add_image(room.fabric, "alien", SCHEMA.model_copy(update={"model": "ufo"}))
    with pytest.raises(Invalid, match="model 'ufo' are not known here"):
        await room.fabric.machines.create(MachineSpec(name="a", image="alien", nics=()))
    with pytest.raises(NotFound):
        room.fabric.site.shelves.machines.get("a")


async def test_settings_that_were_not_written_in_time_are_written_later(room: Room) -> None:
    """As after a daemon that was killed between a machine's record and its floppy."""
    await room.create("lan")
    shelf = room.fabric.site.shelves.machines
    floppy_path(room.fabric.site, shelf.get("fw")).unlink(missing_ok=True)
    first = FirstSettings(values={"doors": ["lan"]}, by="weft run")
    await shelf.save(shelf.get("fw").with_(first=first))
    await room.boot()
    assert room.machine.files["doors.conf"] == b"open lan\n" and shelf.get("fw").first is None
