"""What a machine has mounted, made ready for a start: disks claimed and handed over, file servers held, and what its
init is told."""

import asyncio
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from weft.fabric.layout import MachineFiles
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.fabric.volumes import Volumes
from weft.guest.config import GuestMount
from weft.host.disks import create_disk, give_disk, takes_direct
from weft.host.file_server import check_folder, start_file_server
from weft.host.pids import watch_exit
from weft.host.process import Latched
from weft.host.sandbox import Bind, Identity
from weft.model.errors import Invalid
from weft.model.machine import MachineSpec
from weft.model.mount import MountKind
from weft.model.volume import DEFAULT_VOLUME
from weft.plan.boot import BootDisk, BootShare
from weft.plan.mounts import MountPlan, PlannedDisk, PlannedMount, plan_mounts

SERVER_LAG = 2.0
"""Seconds within which a machine's end is noticed after that of its file servers, which end with it."""


@dataclass(frozen=True, slots=True)
class Disks:
    """A machine's disks: the files it sees, and how QEMU has them."""

    binds: tuple[Bind, ...]
    devices: tuple[BootDisk, ...]


@dataclass(frozen=True, slots=True)
class Shares:
    """A machine's file servers, held at their latches, and QEMU's ends of their sockets."""

    servers: tuple[Latched, ...]
    devices: tuple[BootShare, ...]
    latches: ExitStack

    @property
    def fds(self) -> list[int]:
        return [device.fd for device in self.devices]

    def keep(self) -> None:
        """Nothing can go wrong any more: the latches are for whoever starts the machine to open."""
        self.latches.pop_all()


def check_folders(site: Site, spec: MachineSpec) -> None:
    """Raises Invalid for a folder of the host that is not there, or that no machine may have."""
    home = site.home.resolve()
    for mount in spec.mounts:
        if mount.kind is MountKind.HOST:
            check_folder(Path(mount.source))
            if Path(mount.source).resolve().is_relative_to(home):
                raise Invalid(f"{mount.source} is the fabric's own: no machine may have it")


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


def hold_shares(stack: ExitStack, plan: MountPlan, files: MachineFiles, log: int) -> Shares:
    """Start a server for each folder of the host, held. Raises Invalid, Unavailable.

    They end with `stack` unless they are kept; QEMU's ends of their sockets close with it in any case.
    """
    servers, devices, latches = [], [], stack.enter_context(ExitStack())
    for share in plan.shares:
        socket = files.folder / "share.sock"
        server = start_file_server(stack, Path(share.folder), socket, read_only=share.read_only, log=log)
        latches.callback(server.latched.abandon)
        servers.append(server.latched)
        devices.append(BootShare(share.tag, server.socket))
    return Shares(tuple(servers), tuple(devices), latches)


async def watch_server(site: Site, machine: MachineRecord, number: int, ended: "asyncio.Future[None]") -> None:
    """Tell when a machine's file server is gone while the machine is not: `ended` is the end of the machine."""
    watch = watch_exit(machine.servers[number].id)
    try:
        await watch.wait()
    finally:
        watch.close()
    await asyncio.wait([ended], timeout=SERVER_LAG)
    if not ended.done():
        share = plan_mounts(machine.spec, site.images.get(machine.spec.image)).shares[number]
        text = f"machine {machine.name} has lost {share.folder}, which was at {share.at}"
        site.events.publish("machine.cut", machine.name, text, folder=share.at)


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
