"""Rooms: made, adopted, removed. Each is built on a namespace, shelves and folders of its own."""

import asyncio
import hashlib
import logging
import shutil
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, AsyncExitStack
from difflib import get_close_matches
from functools import partial
from pathlib import Path

from weft.fabric.ledger.room_groups import RoomGroups
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.room import RoomRecord
from weft.fabric.records.shelf import Shelf
from weft.fabric.room import Room
from weft.fabric.settings.floppies import list_floppies
from weft.fabric.shared import Shared
from weft.fabric.site import ROOMS, Shelves
from weft.model.errors import Exists, Invalid, NoRoom, NotFound, Unavailable, WeftError, WrongState
from weft.model.names import DEFAULT_ROOM
from weft.model.room import RoomSpec, RoomView

log = logging.getLogger(__name__)

FABRIC_BLOCKS = 4096
"""Blocks of user ids for default rooms, chosen by the fabric's id alone."""
ROOM_BLOCKS = range(FABRIC_BLOCKS, 9 * FABRIC_BLOCKS - 1)
"""Blocks for all other rooms: with the default `uid_base` they end below 2³¹."""

Opener = Callable[[RoomRecord, Shelves], AbstractAsyncContextManager[Room]]


class Rooms:
    """The rooms of a fabric. `opener` builds a room on what is on record, adopts what runs, and leaves it running."""

    def __init__(self, shared: Shared, opener: Opener) -> None:
        self._shared = shared
        self._opener = opener
        self._shelf = Shelf(shared.store, ROOMS, RoomRecord)
        self._shelves: dict[str, Shelves] = {}
        self._open: dict[str, Room] = {}
        self._closing: dict[str, AsyncExitStack] = {}
        self._broken: dict[str, WeftError] = {}
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._groups = RoomGroups(shared.facts)
        shared.ledger.find_entries = self._entries

    @property
    def default(self) -> Room:
        """The room that is always there."""
        return self._open[DEFAULT_ROOM]

    def __iter__(self) -> Iterator[Room]:
        """Those that are open, the default one first, then by age."""
        return iter([self._open[record.name] for record in self.records() if record.name in self._open])

    def __contains__(self, name: str) -> bool:
        """Whether a room is open."""
        return name in self._open

    def records(self) -> list[RoomRecord]:
        """All there are, the default one first, then by age."""
        return sorted(self._shelf, key=lambda record: (record.name != DEFAULT_ROOM, record.created))

    def record(self, name: str) -> RoomRecord:
        """What is on record of a room. Raises NotFound."""
        record = self._shelf.find(name)
        if record is None:
            close = get_close_matches(name, [other.name for other in self._shelf], n=1)
            hint = f"did you mean {close[0]}?" if close else f"weft room create {name}"
            raise NotFound(f"room {name!r} does not exist", hint=hint)
        return record

    def get(self, name: str) -> Room:
        """A room that is open. Raises NotFound, WrongState while it is being removed, Unavailable when it is broken."""
        if self.record(name).removing:
            raise WrongState(f"room {name!r} is being removed")
        return self._get_open(name)

    def machines_that(self, wanted: Callable[[MachineRecord], bool]) -> list[str]:
        """Names of machines in all rooms, broken ones too; with the room's where that is not the default one."""
        found: list[str] = []
        for room, shelves in self._shelves.items():
            prefix = "" if room == DEFAULT_ROOM else f"{room}:"
            found += [f"{prefix}{machine.name}" for machine in shelves.machines if wanted(machine)]
        return found

    async def open(self) -> None:
        """Adopt all rooms, at once. One that is broken holds up no other; but without the default one nothing goes."""
        await self._shelf.load()
        if self._shelf.find(DEFAULT_ROOM) is None:
            block = int(self._shared.id, 16) % FABRIC_BLOCKS
            spec = RoomSpec(name=DEFAULT_ROOM)
            await self._shelf.save(RoomRecord(spec=spec, block=block, created=self._shared.clock()))
        await asyncio.gather(*(self._adopt(record) for record in self._shelf))
        if DEFAULT_ROOM in self._broken:
            raise self._broken[DEFAULT_ROOM]
        self._share_out()
        for record in self._shelf:
            if (record.removing or record.forking) and record.name in self._open:
                self.default.site.tasks.start(self._finish_removal(record.name), f"remove-room-{record.name}")

    async def close(self) -> None:
        """Let go of all rooms; what runs in them runs on."""
        await asyncio.gather(*(self._close(name) for name in list(self._closing)))

    async def dismantle(self) -> None:
        """Stop every machine of every room and take all wiring away; everything stays on record."""
        await asyncio.gather(*(room.dismantle() for room in self._open.values()))

    async def create(self, spec: RoomSpec, *, forking: bool = False) -> RoomRecord:
        """Make a room. `forking`: until it is settled it is removed if the daemon ends. Raises Exists, NoRoom,
        Unavailable."""
        async with self._locks[spec.name]:
            if self._shelf.find(spec.name):
                raise Exists(f"room {spec.name!r} exists already")
            block = self._choose_block(spec.name)
            self._shared.ledger.check_room(spec)
            record = RoomRecord(spec=spec, block=block, created=self._shared.clock(), forking=forking)
            await self._shelf.save(record)
            try:
                await self._open_room(record)
            except BaseException:
                await self._forget(spec.name)
                raise
            self._share_out()
        self._shared.events.publish("room.created", spec.name, f"room {spec.name} was made", room=spec.name)
        return record

    async def remove(self, name: str, *, force: bool = False, volumes: bool = False) -> None:
        """Take a room away with its networks; with `force` also its machines and inserts, with `volumes` its volumes
        and snapshots.

        Raises NotFound, Invalid for the default room, WrongState while there is something it may not take away.
        """
        record = self.record(name)
        if name == DEFAULT_ROOM:
            raise Invalid(f"room {name!r} is always there", hint="weft rm -f removes machines of it")
        if not record.removing:
            room = self._get_open(name)
            _check_empty(room, force=force, volumes=volumes)
            await self._shelf.save(record.with_(removing=True))
        await self._finish_removal(name)

    async def change(self, spec: RoomSpec) -> RoomRecord:
        """Give a room another description, other resources, or from the next starts on another isolation.

        Raises NotFound, NoRoom.
        """
        record = self.record(spec.name)
        self._shared.ledger.check_room(spec)
        record = await self._shelf.save(record.with_(spec=spec))
        if room := self._open.get(spec.name):
            room.templates.isolation = spec.isolation
        self._share_out()
        return record

    async def settle(self, name: str) -> RoomRecord:
        """The copy of a room is complete, and stays. Raises NotFound."""
        return await self._shelf.save(self.record(name).with_(forking=False))

    async def note(self, name: str, *, file: str | None, applied: str | None) -> RoomRecord:
        """Put on record which fabric file the room matches now. Raises NotFound."""
        return await self._shelf.save(self.record(name).with_(file=file, applied=applied))

    def view(self, record: RoomRecord) -> RoomView:
        """A room as it is shown."""
        shelves = self._shelves.get(record.name) or Shelves.of(self._shared.store, record.name)
        live = [machine for machine in shelves.machines if machine.state.is_live]
        broken = self._broken.get(record.name)
        return RoomView(
            name=record.name,
            description=record.spec.description,
            isolation=record.spec.isolation,
            resources=record.spec.resources,
            created=record.created,
            file=record.file,
            networks=[network.name for network in sorted(shelves.networks, key=lambda network: network.created)],
            machines=len(shelves.machines),
            running=len(live),
            inserts=len(shelves.inserts),
            volumes=len(shelves.volumes),
            memory=sum(machine.granted_memory for machine in live),
            limits=self._describe_limits(record.name),
            broken=broken.message if broken else None,
        )

    def _share_out(self) -> None:
        """What rooms get of the host's processors depends on all of them."""
        self._groups.apply([(room.site, self.record(name).spec) for name, room in self._open.items()])

    def _describe_limits(self, name: str) -> str:
        room = self._open.get(name)
        if room is None:
            return ""
        groups = room.site.cgroups
        return f"cgroup {groups.mode}" if groups.bases else f"not enforced: {groups.reason}"

    def _entries(self) -> Iterator[tuple[RoomRecord, Shelf[MachineRecord]]]:
        """All rooms, broken ones too: what runs in them has its memory all the same."""
        for record in self._shelf:
            if shelves := self._shelves.get(record.name):
                yield record, shelves.machines

    def _get_open(self, name: str) -> Room:
        if broken := self._broken.get(name):
            raise Unavailable(f"room {name!r} could not be opened: {broken.message}", hint="restart the daemon")
        room = self._open.get(name)
        if room is None:
            raise Unavailable(f"room {name!r} is not open yet")
        return room

    def _choose_block(self, name: str) -> int:
        """User ids that no room of this fabric has, and probably none of another."""
        taken = {record.block for record in self._shelf}
        begin = int(hashlib.sha256(f"{self._shared.id}/{name}".encode()).hexdigest(), 16) % len(ROOM_BLOCKS)
        for step in range(len(ROOM_BLOCKS)):
            block = ROOM_BLOCKS[(begin + step) % len(ROOM_BLOCKS)]
            if block not in taken:
                return block
        raise NoRoom(f"this fabric has {len(ROOM_BLOCKS)} rooms already")

    async def _adopt(self, record: RoomRecord) -> None:
        try:
            await self._open_room(record)
        except (WeftError, OSError) as err:
            log.exception("opening room %s", record.name)
            self._broken[record.name] = err if isinstance(err, WeftError) else Unavailable(str(err))
            text = f"room {record.name} could not be opened: {err}"
            self._shared.events.publish("adoption.failed", record.name, text, room=record.name)

    async def _open_room(self, record: RoomRecord) -> None:
        shelves = self._shelves[record.name] = Shelves.of(self._shared.store, record.name)
        await shelves.load()
        async with AsyncExitStack() as stack:
            room = self._open[record.name] = await stack.enter_async_context(self._opener(record, shelves))
            room.machines.floppies_elsewhere = partial(self._floppies_besides, record.name)
            self._closing[record.name] = stack.pop_all()

    def _floppies_besides(self, room: str) -> Iterator[tuple[str, Path]]:
        """Of machines in all other rooms, broken ones too."""
        for other, shelves in self._shelves.items():
            if other != room:
                layout = self._shared.layout if other == DEFAULT_ROOM else self._shared.layout.room(other)
                yield from list_floppies(layout, shelves.machines, prefix=f"{other}:")

    async def _close(self, name: str) -> None:
        self._open.pop(name, None)
        if closing := self._closing.pop(name, None):
            await closing.aclose()

    async def _finish_removal(self, name: str) -> None:
        """Everything that a room has, then the room: each step can be done again by a later daemon."""
        async with self._locks[name]:
            if self._shelf.find(name) is None:
                return
            await self._get_open(name).clear()
            await self._close(name)
            await self._forget(name)
            self._share_out()
        self._shared.events.publish("room.removed", name, f"room {name} removed", room=name)

    async def _forget(self, name: str) -> None:
        self._shelves.pop(name, None)
        await asyncio.to_thread(shutil.rmtree, self._shared.layout.room(name).home, ignore_errors=True)
        await self._shelf.drop(name)


def _check_empty(room: Room, *, force: bool, volumes: bool) -> None:
    """Raises WrongState for what a removal would take away unasked."""
    name, shelves = room.site.room, room.site.shelves
    if len(shelves.machines) and not force:
        machines = ", ".join(machine.name for machine in shelves.machines)
        raise WrongState(f"room {name!r} has machines: {machines}", hint=f"weft room rm -f {name} removes them too")
    if len(shelves.volumes) and not volumes:
        kept = ", ".join(volume.name for volume in shelves.volumes)
        raise WrongState(f"room {name!r} has volumes: {kept}", hint=f"weft room rm --volumes {name} removes them too")
    if (snapshots := room.snapshots.kept.names()) and not volumes:
        kept = ", ".join(snapshots)
        raise WrongState(f"room {name!r} has snapshots: {kept}", hint=f"weft room rm --volumes {name} removes them too")
