"""Starting a QEMU for a machine that brings its own system: its kernel, its media, its NICs."""

import asyncio
from contextlib import ExitStack

from weft.fabric.foreign.firmware import open_firmware
from weft.fabric.foreign.kernels import BootKernel, find_kernel
from weft.fabric.foreign.media import open_media
from weft.fabric.latching import describe_limits, latch, open_taps
from weft.fabric.launch import Held
from weft.fabric.logs import open_logs
from weft.fabric.netboot.files import write_foreign
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.host.sandbox import Bind
from weft.host.sockets import listen_unix
from weft.model.foreign import Display
from weft.plan.boot import BootNic
from weft.plan.foreign_boot import ForeignBoot, plan_foreign_boot


async def hold_foreign(site: Site, machine: MachineRecord) -> Held:
    """Prepare everything and start the process, held. Raises what is missing; nothing is left behind then."""
    foreign = machine.spec.foreign
    assert foreign is not None, "it is foreign"
    files = site.layout.machine(machine.name)
    files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    identity = site.identity(machine.slot)
    if machine.spec.pxe:
        await asyncio.to_thread(write_foreign, site, machine)
    kernel = BootKernel() if machine.spec.pxe else find_kernel(site, machine, files)
    with ExitStack() as stack:
        errors = stack.enter_context(open_logs(files, identity.uid if identity else None)).fileno()
        sockets = (files.qmp, files.serial, files.events)
        qmp, serial, events = (stack.enter_context(listen_unix(path)).fileno() for path in sockets)
        taps = await open_taps(stack, site, machine)
        media = open_media(stack, site, machine)
        flash = await asyncio.to_thread(open_firmware, stack, site, machine)
        log = Bind(files.log, "serial.log", writable=True)
        boot = ForeignBoot(
            name=machine.name,
            uuid=machine.uuid,
            profile=machine.spec.profile,
            accel=site.facts.accel,
            memory=machine.memory,
            cpus=machine.spec.cpus,
            serial_log=str(log.inside),
            qmp_fd=qmp,
            serial_fd=serial,
            events_fd=events,
            nics=tuple(BootNic(nic.mac, tap) for nic, tap in zip(machine.nics, taps, strict=True)),
            nic_model=foreign.nic_model,
            kernel=kernel.path,
            modules=kernel.modules,
            flash=flash,
            cdroms=media.cdroms,
            floppy=media.floppy,
            disks=media.disks,
            network_boot=machine.spec.pxe,
            screen=foreign.display is Display.VNC,
        )
        latched, group = latch(
            stack,
            site,
            machine,
            [site.facts.qemu, *plan_foreign_boot(boot)],
            binds=[*kernel.binds, log],
            fds=[qmp, serial, events, *taps, *media.fds, *(flash.fds if flash else ())],
            errors=errors,
            own_filter=boot.own_filter,
            disks=boot.has_media,
        )
    return Held(latched, describe_limits(site, group), {}, site.images.get(machine.spec.image).digest)
