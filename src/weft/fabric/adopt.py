"""Taking over what an earlier daemon left: compare the records with what runs, repair, go on with what was begun."""

import logging
from collections.abc import Awaitable, Callable, Iterable
from functools import partial
from pathlib import Path
from typing import TypeVar

from weft.fabric.fabric import Fabric
from weft.fabric.records import InsertRecord, MachineRecord, NetworkRecord
from weft.model.errors import WeftError
from weft.store.contract import Store

log = logging.getLogger(__name__)

BOOT_KEY = "host/boot"
R = TypeVar("R", MachineRecord, InsertRecord, NetworkRecord)


async def adopt(fabric: Fabric, store: Store) -> None:
    """Adopt everything on record. What cannot be repaired of one machine is told, and holds up no other."""
    shelves, inserts = fabric.site.shelves, fabric.inserts
    same_boot = await _note_boot(store)
    await fabric.networks.adopt()
    await fabric.volumes.adopt()
    await _each(fabric, shelves.machines, fabric.ports.attach)
    await _each(fabric, shelves.machines, fabric.ports.splice_all)
    await _each(fabric, shelves.networks, fabric.ports.splice_gateway)
    live = [machine for machine in shelves.machines if machine.state.is_live]
    await _each(fabric, live, partial(fabric.lifecycle.adopt, same_boot=same_boot))
    await _each(fabric, shelves.inserts, inserts.adopt)
    await fabric.restarts.adopt(same_boot=same_boot)
    for machine in shelves.machines:
        if machine.removing:
            fabric.site.tasks.start(fabric.machines.remove(machine.name, force=True), f"remove-{machine.name}")
        elif machine.change:
            fabric.site.tasks.start(fabric.updates.adopt(machine.name), f"update-{machine.name}")
        elif machine.is_appliance and shelves.inserts.find(machine.name) is None:
            fabric.site.tasks.start(inserts.retire_later(machine.name), f"drain-{machine.name}")


async def _note_boot(store: Store) -> bool:
    """Whether the host has not been booted since: process ids on record mean nothing after that."""
    boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    last = await store.get(BOOT_KEY)
    await store.put(BOOT_KEY, boot)
    return last is not None and last.value == boot


async def _each(fabric: Fabric, records: Iterable[R], act: Callable[[R], Awaitable[None]]) -> None:
    for record in records:
        try:
            await act(record)
        except WeftError as err:
            log.exception("adopting %s", record.name)
            fabric.site.events.publish("adoption.failed", record.name, f"{record.name} is not whole: {err.message}")
