"""The snapshots of a room: a sealed folder for each, which is all that is on record of it.

`snapshot.json` is the folder's head. The pieces are `memory` and `device`, the machine's moment; `floppy`, the settings
of an appliance; and `disk-SERIAL` for each disk.
"""

import asyncio
import itertools
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from difflib import get_close_matches
from pathlib import Path

from pydantic import ValidationError

from weft.fabric.moments.folders import DEVICE, MEMORY, SHAPE
from weft.fabric.moments.moment import Shape
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.record import Record
from weft.fabric.site import Site
from weft.host.blocks import Tell, say_nothing
from weft.host.clones import flush_file
from weft.host.disks import find_stored
from weft.host.drafts import DRAFT, draft_of, sweep_drafts
from weft.host.sealed import Head, Sealed, open_sealed, opened, read_head
from weft.model.errors import Exists, NotFound, Unavailable, WeftError
from weft.model.mount import MountKind
from weft.model.snapshot import SnapshotView

HEAD = "snapshot.json"
FLOPPY = "floppy"
ABOUT = "snapshot"
OWN_DISK = "own"
"""How the disk of a machine's own is called where volumes have names."""


class KeptDisk(Record):
    """A disk in a snapshot: that of a volume or, with none, the machine's own."""

    serial: str
    volume: str | None = None

    @property
    def piece(self) -> str:
        return f"disk-{self.serial}"


class SnapshotRecord(Record):
    """What a snapshot is of. `machine`: its record at that instant; `paused`: seconds that it stood still."""

    created: float
    paused: float
    labels: dict[str, str]
    machine: MachineRecord
    disks: tuple[KeptDisk, ...] = ()

    @property
    def pieces(self) -> set[str]:
        """What must be there."""
        return {MEMORY, DEVICE, *(disk.piece for disk in self.disks)}


class OpenSnapshot:
    """A snapshot whose head is whole and whose files are all there; what is in them is looked at when it is read."""

    def __init__(self, name: str, sealed: Sealed) -> None:
        self.name = name
        self.sealed = sealed
        self.record, self.shape = read_about(sealed.folder, sealed.head)

    @property
    def size(self) -> int:
        """Bytes of all pieces."""
        return sum(piece.size for piece in self.sealed.pieces.values())

    @property
    def own(self) -> set[str]:
        """Pieces that go to the machine's own folder."""
        return {FLOPPY, *(disk.piece for disk in self.record.disks if disk.volume is None)}

    async def write(self, piece: str, path: Path, *, tell: Tell = say_nothing) -> None:
        """Copy a piece to a file, flushed. Raises NoRoom, or Unavailable when it is damaged; there is no file then."""
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        path.unlink(missing_ok=True)
        try:
            with opened(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL) as fd:
                await self.sealed.copy(piece, fd, tell=tell)
            await asyncio.to_thread(flush_file, path)
        except BaseException:
            path.unlink(missing_ok=True)
            raise


class KeptSnapshots:
    """Finds, shows and removes snapshots."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._folder = site.layout.snapshots
        self._making: set[str] = set()
        sweep_drafts(self._folder)

    def names(self) -> list[str]:
        """All there are, whole or not."""
        if not self._folder.is_dir():
            return []
        return sorted(entry.name for entry in os.scandir(self._folder) if entry.is_dir() and DRAFT not in entry.name)

    def path(self, name: str) -> Path:
        """The folder of one. Raises NotFound."""
        names = self.names()
        if name not in names:
            close = get_close_matches(name, names, n=1)
            raise NotFound(f"snapshot {name!r} does not exist", hint=f"did you mean {close[0]}?" if close else None)
        return self._folder / name

    @contextmanager
    def reserved(self, name: str) -> Iterator[Path]:
        """Where a new one is to be; nobody else makes one of this name meanwhile. Raises Exists."""
        path = self._folder / name
        if path.exists() or name in self._making:
            raise Exists(f"snapshot {name!r} exists already")
        self._making.add(name)
        try:
            yield path
        finally:
            self._making.discard(name)

    def choose_name(self, machine: str) -> str:
        """A free name for somebody who gave none: `web-1`."""
        names = {*self.names(), *self._making}
        return next(name for number in itertools.count(1) if (name := f"{machine}-{number}") not in names)

    async def views(self) -> list[SnapshotView]:
        """All of them, the oldest first."""
        found = await asyncio.to_thread(lambda: [self._view(name) for name in self.names()])
        return sorted(found, key=lambda view: view.created or 0.0)

    async def view(self, name: str) -> SnapshotView:
        """One. Raises NotFound."""
        self.path(name)
        return await asyncio.to_thread(self._view, name)

    async def open(self, name: str) -> OpenSnapshot:
        """One, to read what is in it. Raises NotFound, Unavailable when it is damaged."""
        return OpenSnapshot(name, await open_sealed(self.path(name), HEAD))

    async def remove(self, name: str) -> None:
        """Remove one. Raises NotFound."""
        path = self.path(name)
        gone = draft_of(path)
        await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)
        path.replace(gone)
        await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)
        self._site.events.publish("snapshot.removed", name, f"snapshot {name} removed")

    def _view(self, name: str) -> SnapshotView:
        folder = self._folder / name
        stored = sum(find_stored(path) for path in _files(folder))
        try:
            head = read_head(folder, HEAD)
            record, shape = read_about(folder, head)
        except WeftError as err:
            return SnapshotView(name=name, room=self._site.room, stored=stored, broken=err.message)
        machine = record.machine
        return SnapshotView(
            name=name,
            room=self._site.room,
            machine=machine.name,
            image=machine.spec.image,
            kernel=machine.kernel,
            profile=machine.spec.profile,
            memory=machine.memory,
            cpus=machine.spec.cpus,
            disks=[disk.volume or OWN_DISK for disk in record.disks],
            labels=record.labels,
            created=record.created,
            paused=record.paused,
            stored=stored,
            qemu=shape.qemu,
            accel=shape.accel,
        )


def about_snapshot(record: SnapshotRecord) -> dict[str, object]:
    """What a folder's head has to say of the snapshot in it, beside the shape."""
    return {ABOUT: record.model_dump(mode="json")}


def read_about(folder: Path, head: Head) -> tuple[SnapshotRecord, Shape]:
    """What a snapshot says that it is. Raises Unavailable."""
    try:
        record = SnapshotRecord.model_validate(head.about.get(ABOUT))
        shape = Shape.model_validate(head.about.get(SHAPE))
    except ValidationError as err:
        raise Unavailable(f"{folder} is of a version of Weft that this one does not know") from err
    if not record.pieces <= head.pieces.keys() <= record.pieces | {FLOPPY}:
        raise Unavailable(f"{folder} has not all that belongs to a snapshot")
    if any(mount.kind is MountKind.HOST for mount in record.machine.spec.mounts):
        raise Unavailable(f"{folder} wants folders of the host, which no snapshot has")
    return record, shape


def _files(folder: Path) -> Iterator[Path]:
    yield from (path for path in folder.iterdir() if path.is_file())
