"""What a machine has mounted, made ready for a start: disks claimed and handed over, and what its init is told."""

from dataclasses import dataclass
from pathlib import Path

from weft.fabric.layout import MachineFiles
from weft.fabric.records import MachineRecord
from weft.fabric.volumes import Volumes
from weft.guest.config import GuestMount
from weft.host.disks import create_disk, give_disk, takes_direct
from weft.host.sandbox import Bind, Identity
from weft.model.volume import DEFAULT_VOLUME
from weft.plan.boot import BootDisk
from weft.plan.mounts import MountPlan, PlannedDisk, PlannedMount


@dataclass(frozen=True, slots=True)
class Disks:
    """A machine's disks: the files it sees, and how QEMU has them."""

    binds: tuple[Bind, ...]
    devices: tuple[BootDisk, ...]


async def prepare_disks(
    volumes: Volumes, machine: MachineRecord, plan: MountPlan, files: MachineFiles, identity: Identity | None
) -> Disks:
    """Claim the volumes and hand all disks to the machine's user. Raises WrongState, NotFound, NoRoom, Unavailable."""
    binds, devices = [], []
    for disk in plan.disks:
        path = await _find_disk(volumes, machine, disk, files)
        give_disk(path, identity, shared=disk.read_only)
        bind = Bind(path, disk.serial, writable=not disk.read_only)
        binds.append(bind)
        devices.append(BootDisk(disk.serial, str(bind.inside), disk.read_only, direct=takes_direct(path)))
    return Disks(tuple(binds), tuple(devices))


def guest_mounts(plan: MountPlan) -> tuple[GuestMount, ...]:
    """The mounts as init is told of them."""
    return tuple(_guest_mount(mount) for mount in plan.mounts)


async def _find_disk(volumes: Volumes, machine: MachineRecord, disk: PlannedDisk, files: MachineFiles) -> Path:
    if disk.volume is not None:
        return await volumes.claim(machine, disk.volume, read_only=disk.read_only)
    if not files.disk.exists():
        await create_disk(files.disk, DEFAULT_VOLUME)
    return files.disk


def _guest_mount(mount: PlannedMount) -> GuestMount:
    return GuestMount(
        at=mount.at,
        type=mount.type,
        serial=mount.serial,
        tag=mount.tag,
        sub=mount.sub,
        size=mount.size,
        copy=mount.copy,
        read_only=mount.read_only,
    )
