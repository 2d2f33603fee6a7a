"""Snapshots on a fabric on paper: taken, shown, passed on, removed; what is damaged stays out."""

import io
import os
import random
import resource
import tarfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import pytest
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.moments.capturing import Capturing
from weft.fabric.moments.moment import Moment, shape_of
from weft.fabric.moments.subject import Captured
from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.volume import VolumeRecord
from weft.fabric.room import Room
from weft.fabric.snapshots.archives import Archives
from weft.fabric.snapshots.kept import HEAD, KeptSnapshots
from weft.fabric.snapshots.placing import sweep_prepared
from weft.fabric.snapshots.taking import Taking
from weft.host.memory import create_memory
from weft.host.sealed import read_head
from weft.image.progress import ignore_progress
from weft.model.errors import Exists, Invalid, NoRoom, NotFound, Unavailable, WrongState
from weft.model.insert import InsertSpec
from weft.model.machine import MachineSpec, NicSpec
from weft.model.mount import MountKind, MountSpec
from weft.model.snapshot import SnapshotSpec
from weft.model.volume import VolumeSpec

MEMORY = 8 << 20
DATA = random.Random(5).randbytes(300_000)
AT = (0, 3 << 20, MEMORY - len(DATA))


class PaperCapturing:
    """Captures machines that never ran: their memory is zero but for a few places."""

    def __init__(self, room: Room) -> None:
        self._room = room

    async def capture(
        self, names: Sequence[str], *, go_on: bool = True, at_instant: Callable[[], Awaitable[None]] | None = None
    ) -> dict[str, Captured]:
        if at_instant is not None:
            await at_instant()
        return {name: Captured(self._moment(name), 0.012) for name in names}

    def _moment(self, name: str) -> Moment:
        memory = create_memory(MEMORY)
        for at in AT:
            os.pwrite(memory, DATA, at)
        site = self._room.site
        return Moment(shape_of(site, site.shelves.machines.get(name)), memory, b"device state")


class Snaps:
    """A room with the machine `web`, which has the volume `data`."""

    def __init__(self, room: Room) -> None:
        self.room = room
        self.kept = KeptSnapshots(room.site)
        self.taking = Taking(room.site, self.kept, room.volumes, cast(Capturing, PaperCapturing(room)))
        self.archives = Archives(room.site, self.kept)
        self.folder = room.site.layout.snapshots

    async def take(self, name: str | None = None) -> str:
        spec = SnapshotSpec(machine="web", name=name, labels={"why": "test"})
        return (await self.taking.take(spec, ignore_progress)).name

    async def export(self, name: str) -> bytes:
        return b"".join([piece async for piece in self.archives.export(name)])

    async def take_in(self, archive: bytes, name: str | None = None) -> str:
        received = await self.archives.receive(pieces_of(archive))
        return (await self.archives.take_in(received, name, ignore_progress)).name


async def pieces_of(data: bytes) -> AsyncIterator[bytes]:
    for at in range(0, len(data), 100_000):
        yield data[at : at + 100_000]


@pytest.fixture
async def snaps(tmp_path: Path) -> AsyncIterator[Snaps]:
    async with open_paper_room(tmp_path / "home") as room:
        disk = room.site.layout.volume("data") / "disk.img"
        disk.parent.mkdir(parents=True)
        disk.write_bytes(bytes(1 << 20) + DATA)
        record = VolumeRecord(spec=VolumeSpec(name="data", size=8 << 20), created=1.0, made=True)
        await room.site.shelves.volumes.save(record)
        mount = MountSpec(kind=MountKind.VOLUME, source="data", target="/srv")
        nics = (NicSpec(network="lan"),)
        await room.machines.create(MachineSpec(name="web", image="base", nics=nics, mounts=(mount,)))
        floppy = room.site.layout.machine("web").floppy
        floppy.parent.mkdir(parents=True, exist_ok=True)
        floppy.write_bytes(DATA[:1000] + bytes(1_473_560))
        yield Snaps(room)


async def test_what_is_taken_is_shown(snaps: Snaps) -> None:
    assert await snaps.take() == "web-1"
    assert await snaps.take("before-upgrade") == "before-upgrade"
    assert await snaps.take() == "web-2"
    assert [view.name for view in await snaps.kept.views()] == ["web-1", "before-upgrade", "web-2"]
    view = await snaps.kept.view("web-1")
    assert (view.machine, view.image, view.disks, view.labels) == ("web", "base", ["data"], {"why": "test"})
    assert (view.paused, view.broken) == (0.012, None)
    assert 0 < view.stored < MEMORY


async def test_disks_are_those_of_the_instant(snaps: Snaps) -> None:
    await snaps.take("one")
    (snaps.room.site.layout.volume("data") / "disk.img").write_bytes(b"later")
    source = await snaps.kept.open("one")
    path = snaps.folder / "copy"
    await source.write("disk-weft-volume0", path)
    assert path.read_bytes() == bytes(1 << 20) + DATA


async def test_a_name_is_taken_once(snaps: Snaps) -> None:
    await snaps.take("one")
    with pytest.raises(Exists):
        await snaps.take("one")


async def test_what_is_removed_is_gone(snaps: Snaps) -> None:
    await snaps.take("one")
    await snaps.kept.remove("one")
    assert not list(snaps.folder.iterdir())
    with pytest.raises(NotFound, match="'one' does not exist"):
        await snaps.kept.view("one")


async def test_a_broken_one_is_shown_as_such(snaps: Snaps) -> None:
    await snaps.take("one")
    (snaps.folder / "one" / HEAD).write_text("{}")
    (view,) = await snaps.kept.views()
    assert view.broken and "its head is not as it was saved" in view.broken
    await snaps.kept.remove("one")


async def test_a_full_disk_leaves_nothing(snaps: Snaps) -> None:
    os.truncate(snaps.room.site.layout.volume("data") / "disk.img", 2 * MEMORY)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (MEMORY, hard))
    try:
        with pytest.raises(NoRoom):
            await snaps.take("one")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert not list(snaps.folder.iterdir())
    assert await snaps.take("one") == "one"


async def test_what_was_prepared_when_the_daemon_died_goes(snaps: Snaps) -> None:
    layout = snaps.room.site.layout
    left = layout.volume("data") / "disk.img.restored"
    left.write_bytes(b"half")
    sweep_prepared(layout)
    assert not left.exists()
    assert (layout.volume("data") / "disk.img").exists()


async def test_no_snapshot_brings_folders_of_the_host(snaps: Snaps) -> None:
    await snaps.take("one")
    path = snaps.folder / "one" / HEAD
    head = read_head(path.parent, HEAD)
    head.about["snapshot"]["machine"]["spec"]["mounts"] = [{"kind": "host", "source": "/", "target": "/srv"}]
    path.write_bytes(head.dump())
    with pytest.raises(Unavailable, match="folders of the host"):
        await snaps.kept.open("one")


async def test_an_insert_has_no_snapshots(snaps: Snaps) -> None:
    spec = InsertSpec(name="web", appliance="sniffer", before="other")
    await snaps.room.site.shelves.inserts.save(InsertRecord(spec=spec, rank=Fraction(1), created=1.0))
    with pytest.raises(WrongState, match="is an insert"):
        await snaps.take()
    with pytest.raises(WrongState, match="is an insert"):
        await snaps.room.snapshots.suspending.suspend("web", ignore_progress)


async def test_there_and_back(snaps: Snaps) -> None:
    await snaps.take("one")
    archive = await snaps.export("one")
    assert len(archive) < MEMORY
    assert await snaps.take_in(archive, "two") == "two"
    for path in (snaps.folder / "one").iterdir():
        assert (snaps.folder / "two" / path.name).read_bytes() == path.read_bytes()
    with pytest.raises(Exists):
        await snaps.take_in(archive)
    await snaps.kept.remove("one")
    assert await snaps.take_in(archive) == "one"


async def test_tar_can_read_it(snaps: Snaps, tmp_path: Path) -> None:
    await snaps.take("one")
    (tmp_path / "one.tar").write_bytes(await snaps.export("one"))
    with tarfile.open(tmp_path / "one.tar") as tar:
        names = tar.getnames()
        tar.extract("one/memory", tmp_path / "out")
    assert names[0] == f"one/{HEAD}"
    assert (tmp_path / "out/one/memory").read_bytes() == (snaps.folder / "one/memory").read_bytes()


async def test_a_damaged_archive_is_refused(snaps: Snaps) -> None:
    await snaps.take("one")
    archive = await snaps.export("one")
    await snaps.kept.remove("one")
    for damaged in damage(archive, random.Random(7)):
        with pytest.raises((Invalid, Unavailable)):
            await snaps.take_in(damaged)
        assert not list(snaps.folder.iterdir())


def damage(archive: bytes, dice: random.Random) -> Iterator[bytes]:
    """Bytes of the pieces changed, an end that is missing, and what is no archive at all."""
    with tarfile.open(fileobj=io.BytesIO(archive)) as tar:
        places = [(member.offset_data, member.size) for member in tar if not getattr(member, "sparse", None)]
    for begin, size in places:
        at = begin + dice.randrange(size)
        yield archive[:at] + bytes([archive[at] ^ 1]) + archive[at + 1 :]
    yield archive[: len(archive) // 2]
    yield b""
    yield b"nothing of the kind" * 1000


@pytest.mark.parametrize("name", ["one/../../x", "/one/x", "x", "one/sub/x", "one/.hidden"])
async def test_a_strange_archive_is_refused(snaps: Snaps, name: str) -> None:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        entry = tarfile.TarInfo(name)
        entry.size = 1
        tar.addfile(entry, io.BytesIO(b"x"))
    with pytest.raises(Invalid):
        await snaps.take_in(out.getvalue())


async def test_any_byte_of_a_snapshot_counts(snaps: Snaps) -> None:
    await snaps.take("one")
    files = sorted((snaps.folder / "one").iterdir())
    assert {path.name for path in files} == {HEAD, "memory", "device", "floppy", "disk-weft-volume0"}
    dice = random.Random(11)
    for number in range(100):
        path = files[number % len(files)]
        flip(path, at := dice.randrange(path.stat().st_size), by := dice.randrange(1, 256))
        with pytest.raises(Unavailable, match="damaged"):
            await read_whole(snaps)
        flip(path, at, by)
    await read_whole(snaps)


async def read_whole(snaps: Snaps) -> None:
    source = await snaps.kept.open("one")
    for piece in source.sealed.pieces:
        await source.sealed.copy(piece)


def flip(path: Path, at: int, by: int) -> None:
    """Change one byte; the same again puts it back."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ by]))
