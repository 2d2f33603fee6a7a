"""What is done for each step of a plan. Each act is one call of a room's controllers, or a few in a row.

All raise what these raise. A machine that was made and does not start stays: its logs say why, and the next plan has a
start for it.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from weft.fabric.images import Images
from weft.fabric.records.machine import FirstSettings
from weft.fabric.room import Room
from weft.fabric.rooms import Rooms
from weft.fabric.shared import Shared
from weft.image.build import build_image
from weft.image.progress import Progress
from weft.model.errors import Internal, Unavailable
from weft.model.insert import InsertSpec, Mode
from weft.model.machine import MachineSpec, State
from weft.model.network import NetworkSpec
from weft.model.pool import PoolSpec
from weft.model.room import RoomSpec
from weft.model.steps import Kind, Step, Verb
from weft.model.volume import VolumeSpec

BY = "weft up"
"""Who changes settings, as their history tells it."""
SpecType = TypeVar("SpecType", RoomSpec, NetworkSpec, VolumeSpec, MachineSpec, InsertSpec, PoolSpec)


@dataclass(frozen=True, slots=True)
class Means:
    """What acts work with. `boots` and `builds` bound how many machines start and how many images are made at once."""

    shared: Shared
    rooms: Rooms
    images: Images
    boots: AbstractAsyncContextManager[Any]
    builds: AbstractAsyncContextManager[Any]


Act = Callable[[Means, Step, Progress], Awaitable[None]]


async def act(means: Means, step: Step, progress: Progress) -> None:
    """Take a step. Raises what the controllers raise."""
    found = _ACTS.get((step.kind, step.verb))
    if found is None:
        raise Internal(f"nobody knows how to {step.verb} a {step.kind}", detail=step.key)
    await found(means, step, progress)


def _spec(step: Step, kind: type[SpecType]) -> SpecType:
    if not isinstance(step.spec, kind):
        raise Internal(f"step {step.key} does not say what is to be")
    return step.spec


def _room(means: Means, step: Step) -> Room:
    return means.rooms.get(step.room)


async def _create_room(means: Means, step: Step, _progress: Progress) -> None:
    await means.rooms.create(_spec(step, RoomSpec))


async def _change_room(means: Means, step: Step, _progress: Progress) -> None:
    await means.rooms.change(_spec(step, RoomSpec))


async def _remove_room(means: Means, step: Step, _progress: Progress) -> None:
    await means.rooms.remove(step.room)


async def _build_image(means: Means, step: Step, progress: Progress) -> None:
    async with means.builds:
        await build_image(
            Path(step.recipe or step.name),
            means.shared.layout.home,
            name=step.name,
            progress=progress,
            trial=means.rooms.default.trials.check_memory,
        )


async def _pull_image(means: Means, step: Step, progress: Progress) -> None:
    async with means.builds:
        await means.images.pull(step.name, progress)


async def _create_volume(means: Means, step: Step, _progress: Progress) -> None:
    await _room(means, step).volumes.create(_spec(step, VolumeSpec))


async def _change_volume(means: Means, step: Step, _progress: Progress) -> None:
    """It grows between two runs of the machines that are to be stopped for it; its labels change at any time."""
    room, spec = _room(means, step), _spec(step, VolumeSpec)
    for name in step.restarts:
        await room.lifecycle.stop(name)
    try:
        await room.volumes.change(spec)
    finally:
        for name in step.restarts:
            await _boot(means, room, name)


async def _remove_volume(means: Means, step: Step, _progress: Progress) -> None:
    await _room(means, step).volumes.remove(step.name)


async def _recreate_volume(means: Means, step: Step, progress: Progress) -> None:
    await _remove_volume(means, step, progress)
    await _create_volume(means, step, progress)


async def _create_network(means: Means, step: Step, _progress: Progress) -> None:
    await _room(means, step).networks.create(_spec(step, NetworkSpec))


async def _change_network(means: Means, step: Step, _progress: Progress) -> None:
    await _room(means, step).networks.change(_spec(step, NetworkSpec))


async def _remove_network(means: Means, step: Step, _progress: Progress) -> None:
    await _room(means, step).networks.remove(step.name)


async def _recreate_network(means: Means, step: Step, progress: Progress) -> None:
    await _remove_network(means, step, progress)
    await _create_network(means, step, progress)


async def _create_machine(means: Means, step: Step, _progress: Progress) -> None:
    room = _room(means, step)
    first = FirstSettings(values=step.settings, by=BY) if step.settings else None
    await room.machines.create(_spec(step, MachineSpec), first, at_once=step.start)
    if step.start:
        await _boot(means, room, step.name)


async def _change_machine(means: Means, step: Step, _progress: Progress) -> None:
    room = _room(means, step)
    async with means.boots:
        await room.updates.update(step.name, _spec(step, MachineSpec), restart=bool(step.restarts))
        if step.restarts:
            await room.lifecycle.wait_ready(step.name)


async def _recreate_machine(means: Means, step: Step, progress: Progress) -> None:
    await _remove_machine(means, step, progress)
    await _create_machine(means, step, progress)


async def _start_machine(means: Means, step: Step, _progress: Progress) -> None:
    await _boot(means, _room(means, step), step.name)


async def _stop_machine(means: Means, step: Step, _progress: Progress) -> None:
    await _room(means, step).lifecycle.stop(step.name)


async def _remove_machine(means: Means, step: Step, _progress: Progress) -> None:
    await _room(means, step).machines.remove(step.name, force=True)


async def _configure_machine(means: Means, step: Step, _progress: Progress) -> None:
    await _room(means, step).configs.replace(step.name, step.settings or {}, by=BY)


async def _create_insert(means: Means, step: Step, _progress: Progress) -> None:
    inserts = _room(means, step).inserts
    async with means.boots:
        await (await inserts.create(_spec(step, InsertSpec), stands_for=step.stands_for or ""))


async def _change_insert(means: Means, step: Step, _progress: Progress) -> None:
    """A lifetime counts from now, if it is another."""
    room, spec = _room(means, step), _spec(step, InsertSpec)
    now = room.site.shelves.inserts.get(step.name).spec
    lifetime = spec.lifetime if spec.lifetime != now.lifetime else None
    await room.inserts.change(step.name, fail=spec.fail, lifetime=lifetime)


async def _start_insert(means: Means, step: Step, _progress: Progress) -> None:
    """Its machine anew, whatever state that is in: one that hangs runs. Until frames go through it."""
    room = _room(means, step)
    await room.lifecycle.stop(step.name)
    await _boot(means, room, step.name)
    if room.site.shelves.inserts.get(step.name).spec.mode is Mode.COPY:
        return
    try:
        async with asyncio.timeout(means.shared.settings.boot_timeout):
            await room.hearts.wait_alive(step.name)
    except TimeoutError as err:
        raise Unavailable(f"insert {step.name!r} let no frames through in time") from err


async def _remove_insert(means: Means, step: Step, _progress: Progress) -> None:
    await _room(means, step).inserts.eject(step.name)


async def _recreate_insert(means: Means, step: Step, progress: Progress) -> None:
    await _remove_insert(means, step, progress)
    await _create_insert(means, step, progress)


async def _set_pool(means: Means, step: Step, _progress: Progress) -> None:
    """It is filled afterwards, by and by."""
    await _room(means, step).pools.set(_spec(step, PoolSpec))


async def _remove_pool(means: Means, step: Step, _progress: Progress) -> None:
    await _room(means, step).pools.remove(step.name)


async def _boot(means: Means, room: Room, name: str) -> None:
    """Until the machine's agent answers; one that runs already has done so. One that is being stopped ends first."""
    async with means.boots:
        if room.site.shelves.machines.get(name).state is State.STOPPING:
            await room.runs.wait_end(name)
        await room.lifecycle.wait_ready(name)


_ACTS: dict[tuple[Kind, Verb], Act] = {
    (Kind.ROOM, Verb.CREATE): _create_room,
    (Kind.ROOM, Verb.CHANGE): _change_room,
    (Kind.ROOM, Verb.REMOVE): _remove_room,
    (Kind.IMAGE, Verb.BUILD): _build_image,
    (Kind.IMAGE, Verb.PULL): _pull_image,
    (Kind.VOLUME, Verb.CREATE): _create_volume,
    (Kind.VOLUME, Verb.CHANGE): _change_volume,
    (Kind.VOLUME, Verb.RECREATE): _recreate_volume,
    (Kind.VOLUME, Verb.REMOVE): _remove_volume,
    (Kind.NETWORK, Verb.CREATE): _create_network,
    (Kind.NETWORK, Verb.CHANGE): _change_network,
    (Kind.NETWORK, Verb.RECREATE): _recreate_network,
    (Kind.NETWORK, Verb.REMOVE): _remove_network,
    (Kind.MACHINE, Verb.CREATE): _create_machine,
    (Kind.MACHINE, Verb.CHANGE): _change_machine,
    (Kind.MACHINE, Verb.CONFIGURE): _configure_machine,
    (Kind.MACHINE, Verb.RECREATE): _recreate_machine,
    (Kind.MACHINE, Verb.START): _start_machine,
    (Kind.MACHINE, Verb.STOP): _stop_machine,
    (Kind.MACHINE, Verb.REMOVE): _remove_machine,
    (Kind.INSERT, Verb.CREATE): _create_insert,
    (Kind.INSERT, Verb.CHANGE): _change_insert,
    (Kind.INSERT, Verb.CONFIGURE): _configure_machine,
    (Kind.INSERT, Verb.START): _start_insert,
    (Kind.INSERT, Verb.RECREATE): _recreate_insert,
    (Kind.INSERT, Verb.REMOVE): _remove_insert,
    (Kind.POOL, Verb.CREATE): _set_pool,
    (Kind.POOL, Verb.CHANGE): _set_pool,
    (Kind.POOL, Verb.REMOVE): _remove_pool,
}
"""All that plans have; a test holds that against what plans are made of."""
