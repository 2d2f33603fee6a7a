"""The last step before a machine runs: its QEMU behind its walls, in its control group, held at the latch."""

import os
from collections.abc import Iterable, Sequence
from contextlib import ExitStack

from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import KVM, Site
from weft.host.cgroup import Cgroup, Limits
from weft.host.confinement import CONFINEMENT
from weft.host.frugality import plan_frugality
from weft.host.process import Latched, start_latched
from weft.host.sandbox import Bind, plan_sandbox
from weft.host.seccomp import open_filter
from weft.model.limits import NO_LIMITS
from weft.plan.linknames import tap_name

IO_CPUS = 0.5
"""What QEMU's own threads may use beside the vCPUs."""
PIDS = 64
"""QEMU's threads: vCPUs, its I/O threads, and the monitor process around it."""
SERVER_PIDS = 16
"""The same for a file server."""


def latch(
    stack: ExitStack,
    site: Site,
    machine: MachineRecord,
    command: Sequence[str],
    *,
    binds: Iterable[Bind],
    fds: Sequence[int],
    errors: int,
    own_filter: bool,
    borrowed: bool = False,
    disks: bool = False,
    servers: int = 0,
) -> tuple[Latched, Cgroup]:
    """Start QEMU held, and the control group that it is in. Raises Unavailable.

    `own_filter`: it filters its system calls itself, too. `borrowed`: its memory is another's until it writes there.
    `errors` gets its complaints; `fds` are those that it inherits.
    """
    rules = plan_frugality(site.facts.accel, borrowed=borrowed, disks=disks)
    filter_fd = open_filter(stack, rules if own_filter else [*CONFINEMENT, *rules])
    argv = plan_sandbox(
        command,
        binds=list(binds),
        devices=[KVM] if site.facts.accel == "kvm" else [],
        identity=site.identity(machine.slot),
        proc=True,
        filter_fd=filter_fd,
    )
    group = site.cgroups.create(machine.group_name, limits_of(site, machine, servers=servers))
    return start_latched(argv, fds=[*fds, filter_fd], doors=group.doors, stdout=errors, stderr=errors), group


async def open_taps(stack: ExitStack, site: Site, machine: MachineRecord) -> tuple[int, ...]:
    """The taps of a machine's NICs, open as long as `stack`: QEMU itself may open none."""
    taps = []
    for number in range(len(machine.nics)):
        fd = await site.links.open_tap(tap_name(machine.slot, number))
        stack.callback(os.close, fd)
        taps.append(fd)
    return tuple(taps)


def describe_limits(site: Site, group: Cgroup) -> str:
    """How the limits of a group hold."""
    return f"cgroup {group.mode}" if group.paths else f"not enforced: {site.cgroups.reason}"


def limits_of(site: Site, machine: MachineRecord, *, servers: int = 0, emulators: int = 1) -> Limits:
    """What the processes of a machine may use. With a second QEMU: twice the memory, since it keeps what it writes.

    Of an elastic one all boot memory: what its balloon holds it takes back by itself before its kernel ends a process.
    No group may have more processors than the one around it, which is the room's.
    """
    memory = max(machine.boot_memory, machine.granted_memory)
    threads = machine.spec.elastic.max_cpus or 0 if machine.spec.elastic else 0
    return Limits(
        cpus=min(machine.granted_cpus + IO_CPUS, site.ledger.cpu_bound(site.room)),
        memory_bytes=(memory + site.settings.memory_overhead) * emulators,
        pids=PIDS * emulators + threads + SERVER_PIDS * servers,
        weight=(machine.spec.limits or NO_LIMITS).weight,
    )
