"""Taking over what an earlier daemon left: compare the records with what runs, repair, go on with what was begun."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.room import Room
from weft.model.errors import WeftError
from weft.store.contract import Store

log = logging.getLogger(__name__)

BOOT_KEY = "host/boot"
R = TypeVar("R", MachineRecord, InsertRecord, NetworkRecord)


async def adopt(room: Room, *, same_boot: bool) -> None:
    """Adopt everything on record of a room. What cannot be repaired of one machine is told, and holds up no other."""
    shelves, inserts = room.site.shelves, room.inserts
    await room.trial.adopt()  # before machines are ready, which may begin another one
    await room.networks.adopt()
    await room.volumes.adopt()
    await room.keeping.adopt(same_boot=same_boot)  # before machines let go of copies that they have not become
    await _each(room, shelves.machines, room.ports.attach)
    await _each(room, shelves.machines, room.ports.splice_all)
    await _each(room, shelves.networks, room.ports.splice_gateway)
    live = [machine for machine in shelves.machines if machine.state.is_live or machine.held]
    await _each(room, live, partial(room.adopting.adopt, same_boot=same_boot))
    await room.netboot.adopt()
    await room.templates.adopt()
    await _each(room, shelves.inserts, inserts.adopt)
    await room.restarts.adopt(same_boot=same_boot)
    room.confirming.adopt()
    for machine in shelves.machines:
        await room.forks.copies.adopt(machine)
        if machine.removing:
            room.site.tasks.start(room.machines.remove(machine.name, force=True), f"remove-{machine.name}")
        elif machine.change:
            room.site.tasks.start(room.updates.adopt(machine.name), f"update-{machine.name}")
        elif machine.is_appliance and shelves.inserts.find(machine.name) is None:
            room.site.tasks.start(inserts.retire_later(machine.name), f"drain-{machine.name}")


async def note_boot(store: Store) -> bool:
    """Whether the host has not been booted since: process ids on record mean nothing after that."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    last = await store.get(BOOT_KEY)
    await store.put(BOOT_KEY, boot)
    return last is not None and last.value == boot


async def _each(room: Room, records: Iterable[R], act: Callable[[R], Awaitable[None]]) -> None:
    for record in records:
        try:
            await act(record)
        except WeftError as err:
            log.exception("adopting %s", record.name)
            room.site.events.publish("adoption.failed", record.name, f"{record.name} is not whole: {err.message}")
