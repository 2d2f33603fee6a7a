"""Starting a machine's QEMU: files, descriptors, sandbox, limits."""

import asyncio
import os
import secrets
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

from weft.fabric.elastic.beginning import boot_elastic
from weft.fabric.latching import describe_limits, latch, open_taps
from weft.fabric.layout import MachineFiles
from weft.fabric.logs import open_logs
from weft.fabric.moments.moment import Moment, differences, shape_of
from weft.fabric.mounts import guest_mounts, hold_shares, prepare_disks
from weft.fabric.netboot.files import ROOT_FILE, write_ours
from weft.fabric.nics import guest_nics, guest_resolvers, networks_of
from weft.fabric.records.machine import MachineRecord
from weft.fabric.services import guest_services
from weft.fabric.settings.floppies import NO_SETTINGS, BootSettings, floppy_path, load_boot_settings, with_settings
from weft.fabric.site import Site
from weft.fabric.volumes import Volumes
from weft.guest.becoming import SEED_BYTES, Become
from weft.guest.config import GuestConfig, GuestRoot
from weft.guest.initramfs import build_initramfs
from weft.host.memory import create_memory
from weft.host.process import Latched
from weft.host.sandbox import Bind
from weft.host.sockets import listen_unix
from weft.model.errors import WrongState
from weft.model.image import ImageManifest
from weft.plan.boot import ROOT_SERIAL, Boot, BootNic, kernel_line, plan_boot
from weft.plan.entry import plan_program
from weft.plan.mounts import MountPlan, plan_mounts
from weft.plan.verity import DEVICE as VERITY_DEVICE
from weft.plan.verity import verity_arguments

OVERLAY = "50%"
"""The size of the writable layer over a machine's root: of its memory."""
_FORKS = ("fork of ", "shadow of ")
"""What the origin of a machine begins with that is a copy of another one."""


@dataclass(frozen=True, slots=True)
class Held:
    """A machine that is ready to run but held at the latch until it is on record."""

    latched: Latched
    limits: str
    settings: dict[str, object]
    booted: str
    servers: tuple[Latched, ...] = ()
    become: Become | None = None


async def load_settings(
    site: Site, machine: MachineRecord, moment: Moment | None = None
) -> tuple[MachineRecord, BootSettings | None]:
    """What a machine is told of its settings; its record then says whether it has its floppy as a disk.

    One that goes on from a moment has it as the machine had it that the moment is of.
    """
    settings = await load_boot_settings(site, machine, site.images.get(machine.spec.image))
    shows = moment.shape.floppy if moment else settings is not None and settings.floppy is not None
    return machine.with_(shows_floppy=shows), settings


async def hold(
    site: Site,
    volumes: Volumes,
    machine: MachineRecord,
    moment: Moment | None = None,
    settings: BootSettings | None = None,
) -> Held:
    """Prepare everything and start the process, held. With a `moment` it does not boot, but waits to go on from that.

    Raises what is missing, WrongState for a moment of another shape; nothing is left behind then.
    """
    files = site.layout.machine(machine.name)
    files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    image = site.images.get(machine.spec.image)
    plan = plan_mounts(machine.spec, image)
    if moment is not None:
        _check_shape(site, machine, moment)
    config = guest_config(site, machine, image, plan, moment.shape.macs if moment else None)
    config = with_settings(config, settings)
    if not machine.spec.pxe:
        files.initrd.write_bytes(b"" if moment else build_initramfs(site.init, config))
        files.initrd.chmod(0o644)  # read by the machine's own user; the folder is closed to everybody else
    identity = site.identity(machine.slot)
    disks = await prepare_disks(volumes, machine, plan, files, identity)
    with ExitStack() as stack:
        fds = await _open_descriptors(
            stack, site, machine, files, floppy_path(site, machine) if machine.shows_floppy else None
        )
        errors = stack.enter_context(open_logs(files, identity.uid if identity else None)).fileno()
        shares = hold_shares(stack, plan, files, errors)
        paths = _Files(site, machine, image, files)
        qemu = site.facts.choose_qemu(machine.spec.profile, folders=bool(plan.shares))
        memory = moment.memory if moment else create_memory(machine.boot_memory)
        if moment is None:
            stack.callback(os.close, memory)
        region = _create_region(stack, machine)
        boot = replace(
            _boot(site, machine, fds, paths),
            disks=disks.devices,
            shares=shares.devices,
            memory_fd=memory,
            memory_shared=moment is None,
            incoming=moment is not None,
            own_filter=qemu == site.facts.qemu,
            elastic=boot_elastic(machine, region[0] if region else None),
        )
        if boot.from_network:
            await asyncio.to_thread(write_ours, site, machine, kernel_line(boot), config, image)
        latched, group = latch(
            stack,
            site,
            machine,
            [qemu, *plan_boot(boot)],
            binds=[*paths.binds, *disks.binds],
            fds=[*fds.all, *shares.fds, memory, *region],
            errors=errors,
            own_filter=boot.own_filter,
            borrowed=moment is not None,
            disks=bool(disks.devices),
            servers=len(shares.servers),
        )
        shares.keep()
    for server in shares.servers:
        group.add(server.pid)
    become = Become(config, secrets.token_bytes(SEED_BYTES)) if moment else None
    noted = settings.record if settings else NO_SETTINGS
    if moment is not None and not moment.shape.held:  # it knows what was told to the machine that the moment is of
        noted = {**noted, "told": None}
    return Held(latched, describe_limits(site, group), noted, image.digest, shares.servers, become)


async def introduce(site: Site, machine: MachineRecord, macs: Sequence[str]) -> tuple[Become, dict[str, object]]:
    """What a copy is told that has no floppy and is to become this machine, and what is on record of its settings.

    Raises WrongState for a machine whose floppy its guest is to see.
    """
    image = site.images.get(machine.spec.image)
    settings = await load_boot_settings(site, machine, image)
    if settings is not None and settings.floppy is not None:
        raise WrongState(f"machine {machine.name!r} has a floppy with files")
    config = guest_config(site, machine, image, plan_mounts(machine.spec, image), macs)
    become = Become(with_settings(config, settings), secrets.token_bytes(SEED_BYTES))
    return become, settings.record if settings else NO_SETTINGS


def guest_config(
    site: Site, machine: MachineRecord, image: ImageManifest, plan: MountPlan, macs: Sequence[str] | None = None
) -> GuestConfig:
    """What a machine is told at boot, or when it goes on from a moment, whose guest knows its NICs by `macs`."""
    root = GuestRoot(serial=_root_device(machine, image), type=image.root_type)
    if machine.template:
        return GuestConfig(root=root, overlay=OVERLAY, template=True)
    program = plan_program(machine.spec, image.entry)
    nics, origin = guest_nics(site, machine), machine.origin
    if macs is not None:
        nics = tuple(replace(nic, was=was) for nic, was in zip(nics, macs, strict=True))
    return GuestConfig(
        hostname=machine.spec.hostname or machine.name,
        machine_id=machine.uuid.replace("-", ""),
        forked_from=next((origin.removeprefix(kind) for kind in _FORKS if origin.startswith(kind)), None),
        root=root,
        overlay=OVERLAY,
        nics=nics,
        wires=((nics[0].name, nics[1].name),) if image.wire and len(nics) > 1 else (),
        dns=guest_resolvers(site, machine),
        search=tuple(network.name for network in networks_of(site, machine)),
        argv=program.argv,
        env=program.env,
        cwd=program.cwd,
        user=program.user,
        restart=program.restart.value,
        restarts=program.restarts,
        stop=program.stop,
        read_only=machine.spec.read_only,
        mounts=guest_mounts(plan),
        services=guest_services(image),
    )


def _root_device(machine: MachineRecord, image: ImageManifest) -> str:
    """Who has come over the network whole has no other disk to be checked than what is in its memory."""
    if machine.spec.pxe:
        return ROOT_FILE
    return VERITY_DEVICE if image.verity else ROOT_SERIAL


def plan_arguments(site: Site, machine: MachineRecord) -> list[str]:
    """QEMU's arguments for a machine that boots, as far as they say what it is: without numbers of descriptors, and how
    the host's clock was measured. Raises NotFound (image, kernel)."""
    fds = _Descriptors(0, 0, 0, (0,) * len(machine.nics), 0 if machine.shows_floppy else None)
    paths = _Files(site, machine, site.images.get(machine.spec.image), site.layout.machine(machine.name))
    return plan_boot(replace(_boot(site, machine, fds, paths), memory_fd=0, tsc_khz=None))


def _check_shape(site: Site, machine: MachineRecord, moment: Moment) -> None:
    if found := differences(shape_of(site, machine), moment.shape):
        raise WrongState(f"machine {machine.name!r} cannot go on from there: {'; '.join(found)}")


@dataclass(frozen=True, slots=True)
class _Descriptors:
    qmp: int
    serial: int
    agent: int
    taps: tuple[int, ...]
    floppy: int | None = None

    @property
    def all(self) -> list[int]:
        floppy = [] if self.floppy is None else [self.floppy]
        return [self.qmp, self.serial, self.agent, *self.taps, *floppy]


async def _open_descriptors(
    stack: ExitStack, site: Site, machine: MachineRecord, files: MachineFiles, floppy: Path | None
) -> _Descriptors:
    """Sockets that listen and taps that are open: QEMU itself may open neither."""
    sockets = [stack.enter_context(listen_unix(path)).fileno() for path in (files.qmp, files.serial, files.agent)]
    taps = await open_taps(stack, site, machine)
    qmp, serial, agent = sockets
    floppy_fd = os.open(floppy, os.O_RDONLY | os.O_CLOEXEC) if floppy else None
    if floppy_fd is not None:
        stack.callback(os.close, floppy_fd)
    return _Descriptors(qmp, serial, agent, taps, floppy_fd)


def _create_region(stack: ExitStack, machine: MachineRecord) -> list[int]:
    """The memory that an elastic machine can get beside its own: a descriptor, or none."""
    if machine.elastic is None or not machine.elastic.region:
        return []
    region = create_memory(machine.elastic.region)
    stack.callback(os.close, region)
    return [region]


class _Files:
    """The files a machine sees."""

    def __init__(self, site: Site, machine: MachineRecord, image: ImageManifest, files: MachineFiles) -> None:
        kernel = site.kernels.get(machine.kernel)
        self.from_network = machine.spec.pxe
        self.kernel = Bind(site.kernels.vmlinux_path(kernel), "vmlinux")
        self.initrd = Bind(files.initrd, "initrd")
        self.root = Bind(site.images.root_path(image), "root")
        self.log = Bind(files.log, "serial.log", writable=True)
        checks = verity_arguments(image.verity) if image.verity and not self.from_network else ()
        self.kernel_args = (*checks, *image.kernel_args)

    @property
    def binds(self) -> list[Bind]:
        return [self.log] if self.from_network else [self.kernel, self.initrd, self.root, self.log]


def _boot(site: Site, machine: MachineRecord, fds: _Descriptors, paths: _Files) -> Boot:
    nics = tuple(BootNic(nic.mac, fd) for nic, fd in zip(machine.nics, fds.taps, strict=True))
    return Boot(
        name=machine.name,
        uuid=machine.uuid,
        profile=machine.spec.profile,
        accel=site.facts.accel,
        memory=machine.boot_memory,
        cpus=machine.spec.cpus,
        kernel="" if paths.from_network else str(paths.kernel.inside),
        initrd="" if paths.from_network else str(paths.initrd.inside),
        root="" if paths.from_network else str(paths.root.inside),
        from_network=paths.from_network,
        serial_log=str(paths.log.inside),
        qmp_fd=fds.qmp,
        serial_fd=fds.serial,
        agent_fd=fds.agent,
        nics=nics,
        tsc_khz=site.facts.tsc_khz or None,
        kernel_args=paths.kernel_args,
        floppy_fd=fds.floppy,
    )
