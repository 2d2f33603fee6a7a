"""Rooms as they are, for plans."""

import asyncio
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.machine import MachineRecord
from weft.fabric.room import Room
from weft.fabric.rooms import Rooms
from weft.fabric.settings.floppies import floppy_path, is_appliance
from weft.fabric.site import Site
from weft.image.settings import load_saved
from weft.model.errors import WeftError
from weft.model.room import RoomSpec
from weft.plan.changes.state import GivenNic, InsertNow, MachineNow, RoomNow

Seen = dict[Path, tuple[tuple[int, int], Mapping[str, Any]]]
"""Settings on floppies by the file's inode and time: it is replaced with each change, and never written to."""
AT_ONCE = 8
"""Floppies that are read at a time; each takes two programs."""


class Observer:
    """Looks at rooms. Whether anything is on its way in them is for whoever asks to know."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._seen: Seen = {}
        self._reading = asyncio.Semaphore(AT_ONCE)

    async def look(self, names: Iterable[str]) -> dict[str, RoomNow]:
        """All of these rooms; one that is not there is said to be so. Raises WrongState, Unavailable."""
        known = {record.name for record in self._rooms.records()}
        wanted = list(dict.fromkeys(names))
        found = await asyncio.gather(*(self._look_at(name, known=name in known) for name in wanted))
        return dict(zip(wanted, found, strict=True))

    async def _look_at(self, name: str, *, known: bool) -> RoomNow:
        if not known:
            return RoomNow(name, exists=False)
        room = self._rooms.get(name)
        settings = await self._read_all(room.site)
        return observe_room(room, self._rooms.record(name).spec, settings)

    async def _read_all(self, site: Site) -> dict[str, Mapping[str, Any]]:
        machines = list(site.shelves.machines)
        found = await asyncio.gather(*(self._read(site, machine) for machine in machines))
        return {machine.name: values for machine, values in zip(machines, found, strict=True)}

    async def _read(self, site: Site, machine: MachineRecord) -> Mapping[str, Any]:
        """What is saved of a machine's settings; nothing where that is damaged."""
        image = site.images.find(machine.spec.image)
        if image is None or not is_appliance(image):
            return {}
        if machine.first is not None:
            return machine.first.values
        path = floppy_path(site, machine)
        try:
            state = path.stat()
        except OSError:
            return {}
        mark = (state.st_ino, state.st_mtime_ns)
        if path not in self._seen or self._seen[path][0] != mark:
            self._seen[path] = mark, await self._load(path)
        return self._seen[path][1]

    async def _load(self, path: Path) -> Mapping[str, Any]:
        async with self._reading:
            try:
                document = (await load_saved(path)).document
            except WeftError:
                return {}
        return {**document.unknown, **document.values}


def observe_room(room: Room, spec: RoomSpec, settings: Mapping[str, Mapping[str, Any]]) -> RoomNow:
    """A room, given the settings of its machines by name."""
    site, shelves = room.site, room.site.shelves
    inserts = sorted((record for record in shelves.inserts), key=lambda record: (str(record.port), record.rank))
    return RoomNow(
        name=site.room,
        description=spec.description,
        isolation=spec.isolation,
        resources=spec.resources,
        networks={record.name: record.spec for record in shelves.networks if not record.removing},
        machines={
            record.name: _observe_machine(site, record, settings.get(record.name, {}))
            for record in shelves.machines
            if not record.removing and shelves.inserts.find(record.name) is None
        },
        inserts={record.name: _observe_insert(record, settings.get(record.name, {})) for record in inserts},
        volumes={record.name: record.spec for record in shelves.volumes if record.made and not record.removing},
        pools={record.name: record.spec for record in shelves.pools},
    )


def _observe_machine(site: Site, record: MachineRecord, settings: Mapping[str, Any]) -> MachineNow:
    nics = (GivenNic(nic.network, nic.mac, nic.address, nic.address6) for nic in record.nics)
    return MachineNow(record.spec, record.state, tuple(nics), settings, _is_outdated(site, record))


def _is_outdated(site: Site, record: MachineRecord) -> bool:
    """Machines that were started before it was noted what they run on say nothing of it."""
    image = site.images.find(record.spec.image)
    return bool(record.state.is_live and record.booted and image and image.digest != record.booted)


def _observe_insert(record: InsertRecord, settings: Mapping[str, Any]) -> InsertNow:
    return InsertNow(record.spec, record.state, settings, record.stands_for)
