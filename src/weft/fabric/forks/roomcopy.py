"""What a room's copy has on record: the same names, slots and addresses of both kinds, nothing of what is going on.

All of it is void where the copy of the room does not come to be.
"""

import uuid

from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.records.volume import VolumeRecord
from weft.fabric.site import Shelves
from weft.model.machine import State


def copy_network(network: NetworkRecord, *, uplink: bool, shadow: bool, now: float) -> NetworkRecord:
    """In the same slot: the gateway's hardware address is made of it, and machines know that."""
    spec = network.spec.model_copy(update={"uplink": network.spec.uplink and uplink})
    copied: NetworkRecord = network.with_(spec=spec, created=now, relays=(), silent=shadow)
    return copied


def copy_machine(machine: MachineRecord, now: float) -> MachineRecord:
    """One that runs is to become itself from its original's moment; one that does not is as it was."""
    runs = machine.state is State.RUNNING
    fresh = MachineRecord(
        spec=machine.spec.model_copy(update={"publish": (), "floppy": None}),
        slot=machine.slot,
        uuid=str(uuid.uuid4()),
        created=now,
        kernel=machine.kernel,
        memory=machine.memory,
        nics=machine.nics,
        first=machine.first,
        becoming=runs,
    )
    if runs:
        return fresh
    ended: MachineRecord = fresh.with_(state=machine.state, reason=machine.reason, exit=machine.exit)
    return ended


def copy_insert(insert: InsertRecord, now: float) -> InsertRecord:
    """As it stands; its time, if it has one, is what is left of it."""
    copied: InsertRecord = insert.with_(created=now)
    return copied


def copy_volume(volume: VolumeRecord, now: float) -> VolumeRecord:
    """One whose disk is yet to come."""
    return VolumeRecord(spec=volume.spec, created=now)


async def copy_records(source: Shelves, target: Shelves, *, uplink: bool, shadow: bool, now: float) -> None:
    """Put everything on record that a copy of a room is to have."""
    for network in source.networks:
        await target.networks.save(copy_network(network, uplink=uplink, shadow=shadow, now=now))
    for volume in source.volumes:
        await target.volumes.save(copy_volume(volume, now))
    for machine in source.machines:
        await target.machines.save(copy_machine(machine, now))
    for insert in source.inserts:
        await target.inserts.save(copy_insert(insert, now))
