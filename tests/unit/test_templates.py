"""Templates on paper: what decides which one a machine goes on from, and how they are kept."""

import asyncio
import itertools
import os
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from tests.unit.paper_fabric import open_paper_fabric, open_paper_room

from weft.fabric.moments.moment import Moment
from weft.fabric.records.machine import MachineRecord
from weft.fabric.room import Room
from weft.fabric.site import Site
from weft.fabric.templates.choosing import complete_spec, find_key, find_spec, want_shape
from weft.fabric.templates.library import UNUSED, Library, TemplateRecord, open_library
from weft.host.memory import create_memory, seal_memory
from weft.model.errors import Invalid, NotFound, Unavailable
from weft.model.machine import MachineSpec, Profile, State
from weft.model.mount import MountKind, MountSpec
from weft.model.room import Isolation, RoomSpec
from weft.model.template import ORIGIN, TemplateSpec
from weft.plan.boot import Boot

SNIFFER = TemplateSpec(image="sniffer")
MEMORY = 1 << 20
run = asyncio.run


def make_moment(site: Site, spec: TemplateSpec, first: bytes = b"x") -> Moment:
    memory = create_memory(MEMORY)
    os.pwrite(memory, first, 5000)
    seal_memory(memory)
    return Moment(want_shape(site, spec), memory, b"devices")


def make_record(site: Site, spec: TemplateSpec = SNIFFER, created: float = 1.0) -> TemplateRecord:
    spec = complete_spec(site, spec)
    digest = site.images.get(spec.image).digest
    return TemplateRecord(key=find_key(site, spec), spec=spec, digest=digest, created=created, took=1.5)


async def put(room: Room, spec: TemplateSpec = SNIFFER) -> TemplateRecord:
    record = make_record(room.site, spec)
    await room.templates.library.put(record, make_moment(room.site, record.spec))
    return record


async def make_machine(room: Room, **wanted: Any) -> MachineRecord:
    await room.site.links.ensure_void()
    return await room.machines.create(MachineSpec(**({"name": "eye", "image": "sniffer"} | wanted)))


CHANGES: dict[str, Callable[[Site, TemplateSpec], tuple[Site, TemplateSpec]]] = {
    "another QEMU": lambda site, spec: (replace(site, facts=replace(site.facts, qemu_version=(7, 2, 1))), spec),
    "another program": lambda site, spec: (replace(site, facts=replace(site.facts, qemu="/usr/bin/other")), spec),
    "another accelerator": lambda site, spec: (replace(site, facts=replace(site.facts, accel="kvm")), spec),
    "another init": lambda site, spec: (replace(site, init=b"other"), spec),
    "more memory": lambda site, spec: (site, spec.model_copy(update={"memory": 128 << 20})),
    "more CPUs": lambda site, spec: (site, spec.model_copy(update={"cpus": 2})),
    "fewer NICs": lambda site, spec: (site, spec.model_copy(update={"nics": 1})),
    "another profile": lambda site, spec: (site, spec.model_copy(update={"profile": Profile.Q35})),
    "a floppy": lambda site, spec: (site, spec.model_copy(update={"floppy": True})),
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_decides_makes_another_key(tmp_path: Path, change: str) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            spec = complete_spec(room.site, SNIFFER)
            assert find_key(*CHANGES[change](room.site, spec)) != find_key(room.site, spec)

    run(look())


@pytest.mark.parametrize("what", ["image", "kernel"])
def test_an_image_or_a_kernel_built_anew_makes_another_key(tmp_path: Path, what: str) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            spec = complete_spec(room.site, SNIFFER)
            before = find_key(room.site, spec)
            path = tmp_path / ("images/sniffer/image.json" if what == "image" else "kernels/default/kernel.json")
            path.write_text(path.read_text().replace("0" * 64, "1" * 64))
            assert find_key(room.site, spec) != before

    run(look())


def test_what_does_not_decide_makes_the_same_key(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            spec = complete_spec(room.site, SNIFFER)
            measured = replace(room.site, facts=replace(room.site.facts, tsc_khz=2_100_000))
            assert find_key(measured, spec) == find_key(room.site, spec)
            other = await make_machine(room, name="other", hostname="b", env={"A": "b"}, labels={"x": "y"})
            for machine in (await make_machine(room), other):
                found = find_spec(machine, room.site.images.get("sniffer"))
                assert found == spec

    run(look())


def test_which_machines_boot(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            image, machine = room.site.images.get("sniffer"), await make_machine(room)
            assert find_spec(machine, image) is not None
            assert find_spec(machine.with_(failsafe=True), image) is None
            volume = MountSpec(kind=MountKind.VOLUME, source="data", target="/srv")
            folder = MountSpec(kind=MountKind.HOST, source="/srv", target="/srv")
            for changes in ({"cold": True}, {"mounts": (volume,)}, {"mounts": (folder,)}):
                spec = machine.spec.model_copy(update=changes)
                assert find_spec(machine.with_(spec=spec), image) is None, changes
            assert find_spec(machine, image.model_copy(update={"volumes": ("/var/lib/x",)})) is None
            memory = MountSpec(kind=MountKind.TMPFS, target="/scratch")
            assert find_spec(machine.with_(spec=machine.spec.model_copy(update={"mounts": (memory,)})), image)

    run(look())


def test_a_machine_goes_on_from_the_template_that_fits(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            record = await put(room)
            moment = await room.templates.find(await make_machine(room))
            assert moment is not None and moment.origin == f"{ORIGIN}{record.key}"
            assert os.pread(moment.memory, 1, 5000) == b"x"
            assert await room.templates.find(await make_machine(room, name="big", memory=128 << 20)) is None

    run(look())


def test_templates_can_be_switched_off(tmp_path: Path) -> None:
    (tmp_path / "weft.toml").write_text("templates = false\n")

    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            await put(room)
            assert await room.templates.find(await make_machine(room)) is None

    run(look())


def test_one_of_another_shape_is_thrown_away(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            record = make_record(room.site)
            other = record.spec.model_copy(update={"memory": 128 << 20})
            await room.templates.library.put(record, make_moment(room.site, other))
            assert await room.templates.find(await make_machine(room)) is None
            assert room.templates.views() == []
            (event,) = [event for event in room.site.events.since(0) if event.kind == "template.failed"]
            assert "the memory is 64 MiB here, and 128 MiB there" in event.text

    run(look())


def damage(folder: Path) -> None:
    path = next(folder.rglob("memory"))
    data = bytearray(path.read_bytes())
    data[5000] ^= 1
    path.write_bytes(bytes(data))


def test_a_damaged_one_is_thrown_away(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            record = await put(room)
            library = room.templates.library
            library.forget(record.key)
            damage(tmp_path / "templates" / record.key)
            assert await room.templates.find(await make_machine(room)) is None
            assert library.list() == [] and list((tmp_path / "templates").iterdir()) == []

    run(look())


def test_one_that_a_machine_could_not_go_on_from_is_thrown_away(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            record = await put(room)
            machine = (await make_machine(room)).with_(origin=f"{ORIGIN}{record.key}")
            room.templates.discard(machine, "it hangs")
            assert room.templates.views() == []
            with suppress(NotFound):
                room.templates.get(record.key)

    run(look())


def test_what_a_view_says(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            record = await put(room)
            machine = await make_machine(room)
            shelf = room.site.shelves.machines
            await shelf.save(machine.with_(state=State.RUNNING, origin=f"{ORIGIN}{record.key}"))
            (view,) = room.templates.views()
            assert (view.key, view.image, view.kernel, view.nics, view.memory) == (
                record.key, "sniffer", "default", 2, 64 << 20)  # fmt: skip
            assert (view.room, view.stale, view.loaded, view.machines, view.took) == (None, "", True, 1, 1.5)
            assert 0 < view.size < MEMORY

    run(look())


def test_what_is_of_no_use_is_pruned(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            record, other = await put(room), await put(room, TemplateSpec(image="base"))
            assert room.templates.prune().templates == []
            path = tmp_path / "kernels/default/kernel.json"
            path.write_text(path.read_text().replace("0" * 64, "1" * 64))
            assert {view.stale != "" for view in room.templates.views()} == {True}
            report = room.templates.prune()
            assert set(report.templates) == {record.key, other.key} and report.freed > 0
            await put(room)
            assert len(room.templates.prune(everything=True).templates) == 1

    run(look())


def test_they_go_with_their_image(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_fabric(tmp_path) as fabric:
            for name, digit in (("sniffer", "2"), ("base", "3")):
                path = tmp_path / f"images/{name}/image.json"
                path.write_text(path.read_text().replace("0" * 64, digit * 64))
            await put(fabric.default)
            await put(fabric.default, TemplateSpec(image="base"))
            fabric.images.remove("sniffer")
            assert [view.image for view in fabric.default.templates.views()] == ["base"]

    run(look())


def test_how_one_is_named(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            record = await put(room)
            for reference in (record.key, record.key[:4], "sniffer"):
                assert room.templates.get(reference).key == record.key
            for reference in (record.key[:3], "base", "nobody"):
                with pytest.raises(NotFound):
                    room.templates.get(reference)
            await put(room, TemplateSpec(image="sniffer", cpus=2))
            with pytest.raises(Invalid, match="2 templates are meant by 'sniffer'"):
                room.templates.get("sniffer")

    run(look())


def test_a_strict_room_has_its_own(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_fabric(tmp_path) as fabric:
            for name, isolation in (("acme", Isolation.NORMAL), ("bank", Isolation.STRICT)):
                await fabric.rooms.create(RoomSpec(name=name, isolation=isolation))
            acme, bank = fabric.room("acme"), fabric.room("bank")
            await put(fabric.default)
            assert len(acme.templates.views()) == 1 and bank.templates.views() == []
            assert await bank.templates.find(await make_machine(bank)) is None
            await put(bank)
            (view,) = bank.templates.views()
            assert view.room == "bank" and (tmp_path / "rooms/bank/own-templates" / view.key).is_dir()
            shared = await acme.templates.find(await make_machine(acme))
            own = await bank.templates.find(await make_machine(bank, name="ear"))
            assert shared and own and os.fstat(shared.memory).st_ino != os.fstat(own.memory).st_ino
            await fabric.rooms.change(RoomSpec(name="acme", isolation=Isolation.STRICT))
            assert acme.templates.views() == []

    run(look())


def test_what_was_left_half_made_goes(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            record = await put(room)
            folder = tmp_path / "templates"
            (folder / "0123456789ab" / "moment").mkdir(parents=True)
            assert [one.key for one in open_library(folder, lambda: 1.0).list()] == [record.key]
            assert [entry.name for entry in folder.iterdir()] == [record.key]

    run(look())


def test_what_cannot_be_saved_is_not_there(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            (tmp_path / "templates").write_text("no folder")
            record = make_record(room.site)
            with pytest.raises(Unavailable):
                await room.templates.library.put(record, make_moment(room.site, record.spec))
            assert not room.templates.library.is_loaded(record.key)

    run(look())


def test_memory_is_let_go_when_nobody_wants_it(tmp_path: Path) -> None:
    async def look() -> None:
        async with open_paper_room(tmp_path) as room:
            times = itertools.count(0.0, UNUSED / 4)
            library = Library(tmp_path / "templates", lambda: next(times))
            one, two = make_record(room.site), make_record(room.site, TemplateSpec(image="sniffer", cpus=2))
            for record in (one, two):
                await library.put(record, make_moment(room.site, record.spec))
            library.users["default"] = lambda: [two.key]
            library.trim()
            assert library.is_loaded(one.key)
            for _ in range(5):
                library.trim()
            assert [library.is_loaded(record.key) for record in (one, two)] == [False, True]
            held = await library.load(one.key)
            assert held is not None and os.pread(held.memory, 1, 5000) == b"x"
            library.trim(tight=True)
            assert [library.is_loaded(record.key) for record in (one, two)] == [False, True]
            assert os.pread(held.memory, 1, 5000) == b"x", "who is about to start a machine on it still has it"
            memory = held.memory
            del held
            with pytest.raises(OSError, match="Bad file descriptor"):
                os.fstat(memory)

    run(look())


def test_the_arguments_have_all_that_a_machine_is_booted_with() -> None:
    """A field that is new decides about templates, or is left out of what decides on purpose."""
    assert set(Boot.__dataclass_fields__) == {
        *("name", "uuid", "profile", "accel", "memory", "cpus", "kernel", "initrd", "root", "serial_log"),
        *("qmp_fd", "serial_fd", "agent_fd", "nics", "disks", "shares", "tsc_khz", "kernel_args", "floppy_fd"),
        *("memory_fd", "memory_shared", "incoming", "own_filter", "elastic", "from_network"),
    }
