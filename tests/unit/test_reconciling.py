"""Rooms as plans see them, and what is done for each step of a plan, on a fabric on paper."""

import asyncio
from collections.abc import AsyncIterator
from fractions import Fraction
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import pytest
from tests.unit.paper_fabric import SIDES, open_paper_fabric

from weft.fabric.fabric import Fabric
from weft.fabric.reconciling.acts import _ACTS, Means, act
from weft.fabric.reconciling.applying import Run, Watch
from weft.fabric.reconciling.knowing import HostKnowledge
from weft.fabric.reconciling.observing import Observer
from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.volume import VolumeRecord
from weft.image.progress import ignore_progress
from weft.model.errors import Internal, Invalid, NotFound, WeftError, WrongState
from weft.model.insert import FailPolicy, InsertSpec, InsertState
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.network import NetworkSpec
from weft.model.room import RoomSpec
from weft.model.steps import ApplyReport, Kind, Plan, Progress, Step, StepReport, Verb
from weft.model.volume import VolumeSpec


@pytest.fixture
async def fabric(tmp_path: Path) -> AsyncIterator[Fabric]:
    async with open_paper_fabric(tmp_path / "home") as opened:
        yield opened


@pytest.fixture
def means(fabric: Fabric) -> Means:
    return Means(fabric.shared, fabric.rooms, fabric.images, asyncio.Semaphore(1), asyncio.Semaphore(1))


def step(kind: Kind, name: str, verb: Verb, **rest: Any) -> Step:
    return Step(key=f"acme/{kind}/{name}/{verb}", room="acme", kind=kind, name=name, verb=verb, **rest)


WEB = MachineSpec(name="web", image="base", nics=(NicSpec(network="lan"),))
DMZ = NetworkSpec(name="dmz", subnet=IPv4Network("10.1.0.0/24"), gateway="web")
ROOM = step(Kind.ROOM, "acme", Verb.CREATE, spec=RoomSpec(name="acme", description="a customer"))


async def look(fabric: Fabric, room: str = "acme") -> Any:
    return (await Observer(fabric.rooms).look([room]))[room]


async def take(means: Means, *steps: Step) -> None:
    for one in steps:
        await act(means, one, ignore_progress)


async def test_a_room_that_is_not_there_is_seen_so(fabric: Fabric) -> None:
    assert not (await look(fabric)).exists


async def test_what_steps_make_is_seen(fabric: Fabric, means: Means) -> None:
    await take(means, ROOM, step(Kind.NETWORK, "dmz", Verb.CREATE, spec=DMZ))
    await take(means, step(Kind.MACHINE, "web", Verb.CREATE, spec=WEB, start=False))
    room = await look(fabric)
    assert (room.name, room.exists, room.description) == ("acme", True, "a customer")
    assert room.networks["dmz"] == DMZ and set(room.networks) == {"lan", "dmz"}
    web = room.machines["web"]
    assert web.spec.image == "base" and web.state is State.CREATED and not web.outdated
    assert [(nic.network, str(nic.address)) for nic in web.nics] == [("lan", "10.0.0.2")]


async def test_what_steps_change_and_remove(fabric: Fabric, means: Means) -> None:
    await take(means, ROOM, step(Kind.MACHINE, "web", Verb.CREATE, spec=WEB, start=False))
    await take(means, step(Kind.NETWORK, "dmz", Verb.CREATE, spec=DMZ))
    larger = WEB.model_copy(update={"memory": 128 << 20})
    await take(means, step(Kind.MACHINE, "web", Verb.CHANGE, spec=larger, start=False))
    assert (await look(fabric)).machines["web"].spec.memory == 128 << 20
    await take(means, step(Kind.MACHINE, "web", Verb.RECREATE, spec=WEB, start=False))
    other = DMZ.model_copy(update={"mtu": 1400})
    await take(means, step(Kind.NETWORK, "dmz", Verb.RECREATE, spec=other))
    led = other.model_copy(update={"dns": ("10.1.0.9",)})
    await take(means, step(Kind.NETWORK, "dmz", Verb.CHANGE, spec=led))
    assert (await look(fabric)).networks["dmz"].dns == ("10.1.0.9",)
    with pytest.raises(WrongState, match="made anew"):
        await take(means, step(Kind.NETWORK, "dmz", Verb.CHANGE, spec=DMZ))
    described = step(Kind.ROOM, "acme", Verb.CHANGE, spec=RoomSpec(name="acme", description="two"))
    await take(means, described)
    room = await look(fabric)
    assert (room.machines["web"].spec.memory, room.networks["dmz"].mtu, room.description) == (None, 1400, "two")
    await take(means, step(Kind.MACHINE, "web", Verb.STOP), step(Kind.MACHINE, "web", Verb.REMOVE))
    await take(means, step(Kind.NETWORK, "dmz", Verb.REMOVE))
    room = await look(fabric)
    assert not room.machines and set(room.networks) == {"lan"}
    await take(means, step(Kind.ROOM, "acme", Verb.REMOVE))
    assert not (await look(fabric)).exists


async def test_inserts_are_seen_in_the_order_of_their_chain(fabric: Fabric, means: Means) -> None:
    await take(means, ROOM, step(Kind.MACHINE, "web", Verb.CREATE, spec=WEB, start=False))
    shelves, state = fabric.room("acme").site.shelves, InsertState.BYPASSED
    for name, rank in (("inner", 2), ("outer", 1)):
        spec = InsertSpec(name=name, appliance="sniffer", before="web")
        stands_for = "guard" if name == "outer" else ""
        record = InsertRecord(spec=spec, rank=Fraction(rank), created=1.0, state=state, stands_for=stands_for)
        await shelves.inserts.save(record)
    room = fabric.room("acme")
    await room.site.links.ensure_void()
    await room.machines.create(MachineSpec(name="inner", image="sniffer"))
    seen = await look(fabric)
    assert [(insert.spec.name, insert.logical) for insert in seen.inserts.values()] == [
        ("outer", "guard"),
        ("inner", "inner"),
    ]
    assert set(seen.machines) == {"web"}
    change = InsertSpec(name="outer", appliance="sniffer", before="web", fail=FailPolicy.CLOSED)
    await take(means, step(Kind.INSERT, "outer", Verb.CHANGE, spec=change))
    assert (await look(fabric)).inserts["outer"].spec.fail is FailPolicy.CLOSED


async def test_volumes_that_are_whole_are_seen(fabric: Fabric) -> None:
    shelf = fabric.default.site.shelves.volumes
    await shelf.save(VolumeRecord(spec=VolumeSpec(name="half"), created=1.0))
    await shelf.save(VolumeRecord(spec=VolumeSpec(name="data"), created=1.0, made=True))
    assert set((await look(fabric, "default")).volumes) == {"data"}
    labels = VolumeSpec(name="data", labels={"of": "acme"})
    assert (await fabric.default.volumes.change(labels)).spec.labels == {"of": "acme"}


async def test_a_machine_of_an_image_that_was_built_anew_is_outdated(fabric: Fabric) -> None:
    room = fabric.default
    made = await room.machines.create(WEB)
    digest = fabric.shared.images.get("base").digest
    for booted, state, outdated in (
        (digest, State.RUNNING, False),
        ("sha256:" + "1" * 64, State.RUNNING, True),
        ("sha256:" + "1" * 64, State.STOPPED, False),
        ("", State.RUNNING, False),
    ):
        await room.site.shelves.machines.save(made.with_(booted=booted, state=state))
        assert (await look(fabric, "default")).machines["web"].outdated is outdated
    await room.site.shelves.machines.save(made)


def test_there_is_an_act_for_whatever_a_plan_may_have() -> None:
    made = {(kind, verb) for kind in Kind for verb in (Verb.CREATE, Verb.REMOVE) if kind is not Kind.IMAGE}
    assert made <= set(_ACTS)


async def test_a_step_that_nobody_knows_is_a_defect(means: Means) -> None:
    with pytest.raises(Internal, match="nobody knows how to stop a network"):
        await take(means, step(Kind.NETWORK, "lan", Verb.STOP))
    with pytest.raises(Internal, match="does not say what is to be"):
        await take(means, ROOM, step(Kind.NETWORK, "lan", Verb.CREATE, spec=WEB))


class Onlooker:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.told: list[tuple[str, Progress]] = []
        self.watch = Watch(self.tell, lambda _key, _text, _fraction: None)

    def tell(self, report: StepReport) -> None:
        self.told.append((report.step.key, report.progress))


PAIR = Plan(
    file="/srv/weft.yaml",
    steps=(
        Step(key="one", room="acme", kind=Kind.NETWORK, name="lan", verb=Verb.CREATE),
        Step(key="two", room="acme", kind=Kind.MACHINE, name="web", verb=Verb.CREATE, after=("one",)),
    ),
)


async def run(plan: Plan, failing: WeftError | None = None, *, stop_at: str = "") -> tuple[ApplyReport, Onlooker]:
    onlooker = Onlooker()

    async def do(one: Step, _progress: object) -> None:
        if one.key == stop_at:
            onlooker.watch.stop.set()
        if failing:
            raise failing

    return await Run(plan, do, onlooker.watch).carry_out(), onlooker


async def test_a_run_tells_of_each_step_and_reports() -> None:
    report, onlooker = await run(PAIR)
    assert onlooker.told == [(key, progress) for key in ("one", "two") for progress in (Progress.BEGUN, Progress.DONE)]
    assert [one.progress for one in report.steps] == [Progress.DONE] * 2
    assert (report.file, report.stopped, report.failed) == ("/srv/weft.yaml", False, [])
    assert all(one.seconds is not None for one in report.steps)


async def test_a_step_that_fails_takes_along_what_needs_it() -> None:
    report, _ = await run(PAIR, NotFound("no image", hint="build it"))
    assert [one.progress for one in report.steps] == [Progress.FAILED, Progress.SKIPPED]
    assert report.steps[0].error == {"code": "not-found", "message": "no image", "hint": "build it", "detail": None}
    assert not report.stopped


async def test_once_it_is_stopped_nothing_more_is_begun() -> None:
    report, _ = await run(PAIR, stop_at="one")
    assert [one.progress for one in report.steps] == [Progress.DONE, Progress.SKIPPED] and report.stopped
    report, _ = await run(PAIR, stop_at="two")
    assert [one.progress for one in report.steps] == [Progress.DONE] * 2 and not report.stopped


RECIPE = 'name = "gate"\nversion = "1"\npackages = ["busybox-static"]\nmemory = "48M"\n'


def test_what_is_known_of_the_host(fabric: Fabric, tmp_path: Path) -> None:
    known = HostKnowledge(fabric.shared)
    assert known.memory == 4 << 30
    sniffer = known.find_image("sniffer")
    assert sniffer is not None and sniffer.nics == SIDES
    assert known.find_image("nothing") is None
    assert known.has_kernel("default") and not known.has_kernel("mine")
    (tmp_path / "gate").mkdir()
    (tmp_path / "gate" / "recipe.toml").write_text(RECIPE)
    image = known.read_recipe(str(tmp_path / "gate"))
    assert (image.name, image.memory) == ("gate", 48 << 20)
    with pytest.raises(NotFound, match="no recipe at"):
        known.read_recipe(str(tmp_path))
    known.check_folder(str(tmp_path))
    for folder, what in ((tmp_path / "none", "is not a folder"), (tmp_path / "home", "the fabric's own")):
        with pytest.raises(Invalid, match=what):
            known.check_folder(str(folder))


def test_texts_that_a_file_names(fabric: Fabric, tmp_path: Path) -> None:
    known = HostKnowledge(fabric.shared)
    (tmp_path / "env").write_text("A=1\n")
    (tmp_path / "bytes").write_bytes(b"\xff\xfe")
    (tmp_path / "large").write_bytes(b"#" * ((1 << 20) + 1))
    assert known.read_text(str(tmp_path / "env")) == "A=1\n"
    for name, error, what in (
        ("none", NotFound, "cannot be read: No such file"),
        ("bytes", Invalid, "not a text"),
        ("large", Invalid, "larger than 1 MiB"),
    ):
        with pytest.raises(error, match=what):
            known.read_text(str(tmp_path / name))
