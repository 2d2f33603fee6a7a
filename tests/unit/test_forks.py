"""Forks on paper: copies on record, ports that lead nowhere until a copy is itself, captures that are shared."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest
from tests.host.waiting import wait_until
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.forks.copies import Copies
from weft.fabric.forks.forking import Forks
from weft.fabric.forks.instants import FOLDER, Instants
from weft.fabric.moments.capturing import Capturing
from weft.fabric.moments.moment import Moment
from weft.fabric.moments.subject import Captured
from weft.fabric.records.volume import VolumeRecord
from weft.fabric.room import Room
from weft.guest.agent import Agent
from weft.model.errors import Exists, Unavailable, WeftError, WrongState
from weft.model.fork import ForkSpec
from weft.model.machine import MachineSpec, NicSpec, State
from weft.model.mount import MountKind, MountSpec
from weft.model.names import PortName
from weft.model.volume import VolumeSpec
from weft.model.wiring import BYPASS_SLOT, Filter, FilterKind
from weft.plan.linknames import VOID


class PaperMoment:
    """One that tells whether it was let go of."""

    def __init__(self) -> None:
        self.closed = False

    def close(self) -> None:
        self.closed = True


class PaperCapturing:
    """Captures that take until they are let."""

    def __init__(self) -> None:
        self.moments: list[PaperMoment] = []
        self.go = asyncio.Event()
        self.go.set()

    async def capture(
        self, names: Sequence[str], *, go_on: bool = True, at_instant: Callable[[], Awaitable[None]] | None = None
    ) -> dict[str, Captured]:
        self.moments += [PaperMoment()]
        moment = cast(Moment, self.moments[-1])
        await self.go.wait()
        if at_instant is not None:
            await at_instant()
        return {name: Captured(moment=moment, pause=0.01) for name in names}


class PaperLife:
    """Machines that are ready when they are started, but for those that fail."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.failing: set[str] = set()
        self.copies: Copies | None = None
        self.voided: dict[str, list[Filter]] = {}

    async def start(self, name: str, *, moment: Moment, origin: str) -> None:
        shelf = self.room.site.shelves.machines
        machine = await shelf.save(shelf.get(name).with_(state=State.STARTING, wanted=True))
        self.voided[name] = await self.room.site.links.list_filters(machine.ends(0).tap)

    @asynccontextmanager
    async def locked(self, name: str) -> AsyncIterator[None]:
        yield

    async def wait_ready(self, name: str) -> None:
        assert self.copies is not None
        if name in self.failing:
            raise Unavailable(f"machine {name!r} did not become ready")
        await self.copies.join(self.room.site.shelves.machines.get(name), cast(Agent, None))
        shelf = self.room.site.shelves.machines
        await shelf.save(shelf.get(name).with_(state=State.RUNNING))


class Paper:
    """A room with a machine `web` that runs, and forks of it."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.capturing = PaperCapturing()
        self.life = PaperLife(room)
        self.copies = Copies(room.site, room.machines, room.ports, cast(Any, self.life), room.volumes)
        self.life.copies = self.copies
        self.instants = Instants(room.site, cast(Capturing, self.capturing), room.volumes)
        self.forks = Forks(room.site, self.copies, self.instants)

    @property
    def names(self) -> list[str]:
        return sorted(machine.name for machine in self.room.site.shelves.machines)

    async def filters(self, name: str) -> tuple[list[Filter], list[Filter]]:
        ends = self.room.site.shelves.machines.get(name).ends(0)
        links = self.room.site.links
        return await links.list_filters(ends.patch), await links.list_filters(ends.tap)


@pytest.fixture
async def paper(tmp_path: Path) -> AsyncIterator[Paper]:
    async with open_paper_room(tmp_path / "home") as room:
        await room.site.links.ensure_void()
        shelf, volumes = room.site.shelves.machines, room.site.shelves.volumes
        for name in ("data", "site"):
            await volumes.save(VolumeRecord(spec=VolumeSpec(name=name), created=1.0, made=True))
            disk = room.site.layout.volume(name) / "disk.img"
            disk.parent.mkdir(parents=True)
            disk.write_bytes(name.encode() * 1000)
        mounts = (
            MountSpec(kind=MountKind.VOLUME, source="data", target="/data"),
            MountSpec(kind=MountKind.VOLUME, source="site", target="/site", read_only=True),
        )
        spec = MachineSpec(name="web", image="base", nics=(NicSpec(network="lan"),), mounts=mounts, labels={"a": "b"})
        machine = await room.machines.create(spec)
        await shelf.save(machine.with_(state=State.RUNNING))
        yield Paper(room)


async def test_a_copy_has_a_place_and_disks_of_its_own(paper: Paper) -> None:
    forked = await paper.forks.fork("web", ForkSpec())
    site = paper.room.site
    web, copy = site.shelves.machines.get("web"), site.shelves.machines.get("web-fork-1")
    assert (forked.names, forked.failed, forked.pause) == (["web-fork-1"], [], 0.01)
    assert copy.uuid != web.uuid
    assert copy.slot != web.slot
    assert copy.nics[0].mac != web.nics[0].mac
    assert (copy.nics[0].address, web.nics[0].address) == (web.nics[0].address + 1, web.nics[0].address)  # type: ignore[operator]
    assert [mount.source for mount in copy.spec.mounts] == ["web-fork-1-data", "site"]
    assert (site.layout.volume("web-fork-1-data") / "disk.img").read_bytes() == b"data" * 1000
    assert site.shelves.volumes.get("web-fork-1-data").made
    assert paper.capturing.moments[0].closed
    assert not any((site.layout.machine("web").folder / FOLDER).glob("*"))


async def test_nothing_comes_out_of_a_copy_before_it_is_itself(paper: Paper) -> None:
    await paper.forks.fork("web", ForkSpec(name="api"))
    ends = paper.room.site.shelves.machines.get("api").ends(0)
    assert paper.life.voided["api"] == [Filter(BYPASS_SLOT, FilterKind.REDIRECT, VOID)]
    assert await paper.filters("api") == (
        [Filter(BYPASS_SLOT, FilterKind.REDIRECT, ends.tap)],
        [Filter(BYPASS_SLOT, FilterKind.REDIRECT, ends.patch)],
    )


async def test_one_that_fails_is_taken_back_and_the_others_stand(paper: Paper) -> None:
    paper.life.failing = {"web-fork-2"}
    forked = await paper.forks.fork("web", ForkSpec(count=3))
    assert forked.names == ["web-fork-1", "web-fork-3"]
    assert [(failure.name, failure.code) for failure in forked.failed] == [("web-fork-2", "unavailable")]
    assert paper.names == ["web", "web-fork-1", "web-fork-3"]
    assert paper.room.site.shelves.volumes.find("web-fork-2-data") is None
    paper.life.failing = {"only"}
    with pytest.raises(Unavailable, match="'only' did not become ready"):
        await paper.forks.fork("web", ForkSpec(name="only"))
    assert "only" not in paper.names
    assert all(moment.closed for moment in paper.capturing.moments)


async def test_without_room_for_all_nothing_is_captured(paper: Paper) -> None:
    with pytest.raises(WeftError, match="no free address"):
        await paper.forks.fork("web", ForkSpec(count=10))
    assert (paper.names, paper.capturing.moments) == (["web"], [])
    assert [volume.name for volume in paper.room.site.shelves.volumes] == ["data", "site"]
    with pytest.raises(Exists):
        await paper.forks.fork("web", ForkSpec(name="web"))
    shelf = paper.room.site.shelves.machines
    await shelf.save(shelf.get("web").with_(state=State.STOPPED))
    with pytest.raises(WrongState, match="'web' is stopped, not running"):
        await paper.forks.fork("web", ForkSpec())


async def test_those_who_ask_while_one_is_captured_share_the_next(paper: Paper) -> None:
    async def take() -> object:
        async with paper.instants.take("web") as instant:
            assert not cast(PaperMoment, instant.captured.moment).closed
            return instant

    paper.capturing.go.clear()
    first = asyncio.create_task(take())
    await wait_until(lambda: len(paper.capturing.moments) == 1)
    others = [asyncio.create_task(take()) for _ in range(3)]
    await asyncio.sleep(0)
    paper.capturing.go.set()
    one, *same = await asyncio.gather(first, *others)
    assert len(set(map(id, same))) == 1
    assert one not in same
    assert [moment.closed for moment in paper.capturing.moments] == [True, True]


async def test_many_at_once_get_names_of_their_own(paper: Paper) -> None:
    forked = await asyncio.gather(*(paper.forks.fork("web", ForkSpec()) for _ in range(4)))
    assert sorted(one.names[0] for one in forked) == [f"web-fork-{number}" for number in range(1, 5)]


async def test_who_gives_up_takes_nothing_from_others(paper: Paper) -> None:
    paper.capturing.go.clear()
    tasks = [asyncio.create_task(paper.forks.fork("web", ForkSpec())) for _ in range(3)]
    await wait_until(lambda: len(paper.names) == 4)
    tasks[0].cancel()
    await asyncio.wait([tasks[0]])
    paper.capturing.go.set()
    assert [(await task).names for task in tasks[1:]] == [["web-fork-2"], ["web-fork-3"]]
    assert paper.names == ["web", "web-fork-2", "web-fork-3"]
    assert all(moment.closed for moment in paper.capturing.moments)


async def test_a_shadow_hears_what_reaches_its_original_while_it_runs(paper: Paper) -> None:
    await paper.forks.fork("web", ForkSpec(name="shade", shadow=True))
    shelf = paper.room.site.shelves.machines
    web, shade = shelf.get("web"), shelf.get("shade")
    assert (shade.nics[0].network, shade.nics[0].mac) == (None, web.nics[0].mac)
    tap = shade.ends(0).tap
    patch, _ = await paper.filters("web")
    assert [found for found in patch if found.kind is FilterKind.MIRROR] == [Filter(100, FilterKind.MIRROR, tap)]
    assert await paper.room.site.links.list_filters(tap) == [Filter(BYPASS_SLOT, FilterKind.REDIRECT, VOID)]
    assert await paper.room.ports.splice(PortName("web")) == 0
    ended = await shelf.save(shade.with_(state=State.STOPPED))
    await paper.copies.on_end(ended)
    patch, _ = await paper.filters("web")
    assert [found.kind for found in patch] == [FilterKind.REDIRECT]
    assert shelf.get("shade").shadows is None


async def test_a_copy_that_an_earlier_daemon_began_is_taken_back(paper: Paper) -> None:
    shelf = paper.room.site.shelves.machines
    left = paper.room.site.layout.machine("web").folder / FOLDER / "1"
    left.mkdir(parents=True)
    await paper.copies.make(shelf.get("web"), "half", ForkSpec())
    for machine in shelf:
        await paper.copies.adopt(machine)
    await wait_until(lambda: paper.names == ["web"])
    assert not left.exists()
