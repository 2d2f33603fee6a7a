"""Forking rooms: all machines at one instant, with their networks, inserts and volumes, into a room of their own."""

import asyncio
import time
from collections.abc import Coroutine, Iterable
from contextlib import AsyncExitStack, ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.fabric.forks.disks import clone_disks, find_written
from weft.fabric.forks.relays import check_relays, open_relays
from weft.fabric.forks.roomcopy import copy_records
from weft.fabric.moments.subject import Captured
from weft.fabric.records.machine import MachineRecord
from weft.fabric.room import Room
from weft.fabric.rooms import Rooms
from weft.fabric.settings.floppies import floppy_path
from weft.host.clones import flush_file
from weft.model.errors import WrongState
from weft.model.fork import RoomForkSpec
from weft.model.insert import InsertState
from weft.model.machine import State
from weft.model.room import RoomSpec

SETTLED = (State.RUNNING, State.CREATED, State.STOPPED, State.FAILED)
PASSING = (InsertState.STARTING, InsertState.EJECTING)


@dataclass(frozen=True, slots=True)
class RoomForked:
    """What came of it; times in seconds, `pauses` by the names of the machines that ran."""

    pauses: dict[str, float]
    disks: float
    left_out: list[str]
    took: float


class RoomForks:
    """Forks rooms of a fabric."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms

    async def fork(self, name: str, wanted: RoomForkSpec) -> RoomForked:
        """Make a copy of a room, in which everything that ran goes on from one instant.

        Raises NotFound, Exists, WrongState (something in it starts, stops or cannot be captured), NoRoom, Unavailable;
        nothing is left of the copy then, and the original goes on.
        """
        begin = time.monotonic()
        source = self._rooms.get(name)
        _check_settled(source)
        if wanted.shadow:
            check_relays(source)
        record = self._rooms.record(name)
        description = record.spec.description if wanted.description is None else wanted.description
        # What a room is guaranteed it is guaranteed once.
        resources = record.spec.resources.model_copy(update={"memory": None, "cpus": None})
        noted = {"name": wanted.name, "description": description, "resources": resources}
        spec = record.spec.model_copy(update=noted)
        await self._rooms.create(RoomSpec.model_validate(spec.model_dump()), forking=True)
        try:
            work = _RoomFork(source, self._rooms.get(wanted.name))
            await work.carry_out(uplink=wanted.uplink, shadow=wanted.shadow)
            await self._rooms.settle(wanted.name)
        except BaseException:
            await asyncio.shield(self._rooms.remove(wanted.name, force=True, volumes=True))
            raise
        left_out = list(_find_left_out(source, uplink=wanted.uplink))
        return RoomForked(work.pauses, work.disks, left_out, time.monotonic() - begin)


class _RoomFork:
    """One room becoming two."""

    def __init__(self, source: Room, target: Room) -> None:
        self._source = source
        self._target = target
        self.pauses: dict[str, float] = {}
        self.disks = 0.0
        self._at_instant: dict[Path, Path] = {}
        self._before: dict[Path, Path] = {}

    async def carry_out(self, *, uplink: bool, shadow: bool) -> None:
        source, target = self._source.site, self._target.site
        async with AsyncExitStack() as stack:
            runs = [machine for machine in source.shelves.machines if machine.state is State.RUNNING]
            for machine in source.shelves.machines:
                if machine in runs:
                    continue
                await stack.enter_async_context(self._source.lifecycle.locked(machine.name))
            await copy_records(source.shelves, target.shelves, uplink=uplink, shadow=shadow, now=target.clock())
            self._at_instant = self._map_written(runs)
            self._before = self._map_rest()
            await clone_disks(self._before)
            wiring = asyncio.create_task(self._wire())
            try:
                captured = await self._capture([machine.name for machine in runs])
            finally:
                await asyncio.wait([wiring])
        with ExitStack() as moments:
            for one in captured.values():
                moments.callback(one.moment.close)
            await wiring
            await self._complete_volumes()
            await _each(self._start(name, one) for name, one in captured.items())
        for insert in target.shelves.inserts:
            await self._target.inserts.adopt(insert)
        if shadow:
            await open_relays(self._source, self._target)

    async def _wire(self) -> None:
        """Networks, and the links of all machines; of those that are yet to become themselves nothing comes out."""
        room = self._target
        await room.networks.adopt()
        for machine in room.site.shelves.machines:
            await room.ports.attach(machine)
        for machine in room.site.shelves.machines:
            await room.ports.splice_all(machine)
        for network in room.site.shelves.networks:
            await room.ports.splice_gateway(network)

    def _map_written(self, runs: Iterable[MachineRecord]) -> dict[Path, Path]:
        """Disks that are written to, and where their copies go."""
        found: dict[Path, Path] = {}
        for machine in runs:
            written = find_written(self._source.site, self._source.volumes, machine)
            found |= {path: self._moved(path) for path in written.values()}
        return found

    def _map_rest(self) -> dict[Path, Path]:
        """All other disks and floppies."""
        site, found = self._source.site, list[Path]()
        found += [self._source.volumes.path(volume) for volume in site.shelves.volumes]
        found += [site.layout.machine(machine.name).disk for machine in site.shelves.machines]
        mapped = {path: self._moved(path) for path in found if path not in self._at_instant}
        for machine in site.shelves.machines:
            mapped[floppy_path(site, machine)] = self._target.site.layout.machine(machine.name).floppy
        return {path: target for path, target in mapped.items() if path.exists()}

    def _moved(self, path: Path) -> Path:
        return self._target.site.layout.home / path.relative_to(self._source.site.layout.home)

    async def _capture(self, names: list[str]) -> dict[str, Captured]:
        if not names:
            self.disks = await clone_disks(self._at_instant)
            return {}
        captured = await self._source.capturing.capture(names, at_instant=self._clone_written)
        self.pauses = {name: one.pause for name, one in captured.items()}
        return captured

    async def _clone_written(self) -> None:
        self.disks = await clone_disks(self._at_instant)

    async def _complete_volumes(self) -> None:
        """What was copied is flushed, and volumes are whole."""
        copies = [*self._before.values(), *self._at_instant.values()]
        await asyncio.gather(*(asyncio.to_thread(flush_file, path) for path in copies))
        shelf = self._target.site.shelves.volumes
        for volume in shelf:
            await shelf.save(volume.with_(made=True))

    async def _start(self, name: str, captured: Captured) -> None:
        lifecycle = self._target.lifecycle
        origin = f"fork of {self._source.site.room}:{name}"
        await lifecycle.start(name, moment=captured.moment, origin=origin)
        await lifecycle.wait_ready(name)


async def _each(starts: Iterable[Coroutine[Any, Any, None]]) -> None:
    """All at once, each to its end; then the first failure counts."""
    for result in await asyncio.gather(*starts, return_exceptions=True):
        if isinstance(result, BaseException):
            raise result


def _check_settled(room: Room) -> None:
    """Raises WrongState for what is on its way somewhere."""
    for machine in room.site.shelves.machines:
        if machine.state not in SETTLED or machine.removing or machine.becoming or machine.change:
            what = "being removed" if machine.removing else str(machine.state)
            hint = (
                f"weft resume {machine.name}" if machine.state is State.SUSPENDED else "wait until it runs or does not"
            )
            raise WrongState(f"machine {machine.name!r} is {what}", hint=hint)
    for insert in room.site.shelves.inserts:
        if insert.state in PASSING:
            raise WrongState(f"insert {insert.name!r} is {insert.state}", hint="wait until it is in or out")


def _find_left_out(room: Room, *, uplink: bool) -> Iterable[str]:
    """What a copy does not have, in words."""
    for network in room.site.shelves.networks:
        if network.spec.uplink and not uplink:
            yield f"the uplink of network {network.name}"
    for machine in room.site.shelves.machines:
        if machine.spec.publish:
            yield f"published ports of machine {machine.name}"
