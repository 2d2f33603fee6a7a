"""The second QEMU of a capture: a successor, in which the machine goes on, or a holder, which keeps what it is.

It is started with the words that the machine's QEMU was started with, so both are alike to the last device.
"""

import os
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from weft.fabric.launch import limits_of
from weft.fabric.layout import MachineFiles
from weft.fabric.logs import read_tail
from weft.fabric.moments.waking import HOLDER
from weft.fabric.records import CaptureRecord, MachineRecord, Stamp
from weft.fabric.site import Site
from weft.host.cgroup import Cgroup
from weft.host.confinement import CONFINEMENT
from weft.host.descriptors import read_command, take_descriptor
from weft.host.frugality import plan_frugality
from weft.host.memory import create_memory, open_memory
from weft.host.pids import ProcessId, stop_processes
from weft.host.process import Latched, start_latched
from weft.host.qemu import Qmp, open_qmp
from weft.host.seccomp import open_filter
from weft.host.sockets import listen_unix
from weft.host.taps import open_tap
from weft.model.errors import Unavailable, WeftError, WrongState
from weft.plan.incoming import RunningCommand, parse_running, plan_incoming
from weft.plan.linknames import spare_tap_name

START_TIMEOUT = 30.0


@dataclass(slots=True)
class Receiver:
    """A QEMU that waits for a machine's state. `memory` is a descriptor of what that machine's memory is in."""

    latched: Latched
    qmp: Qmp
    group: Cgroup
    memory: int

    async def end(self) -> None:
        """End it, and let go of the memory."""
        await self.let_go()
        os.close(self.memory)

    async def let_go(self) -> None:
        """End it, but keep the memory."""
        await self.qmp.close()
        await stop_processes([*self.latched.process.children(), self.latched.process], term_for=0)


def read_running(machine: MachineRecord) -> RunningCommand:
    """What the command line of a machine's QEMU says. Raises WrongState when it cannot be captured."""
    if machine.monitor is None:
        raise WrongState(f"machine {machine.name!r} is {machine.state}")
    running = parse_running(read_command(machine.monitor.id))
    if running.folders:
        raise WrongState(
            f"machine {machine.name!r} has folders of the host, and cannot be captured",
            hint="volumes can be: see `weft volume`",
        )
    if running.memory is None:
        hint = "start it again, and it can be"
        raise WrongState(
            f"machine {machine.name!r} was started by an earlier version, and cannot be captured", hint=hint
        )
    return running


async def start_receiver(site: Site, machine: MachineRecord, running: RunningCommand, *, hold: bool) -> Receiver:
    """Start one for a machine that runs, and put it on the machine's record. With `hold` it has memory of its own.

    Raises WrongState, Unavailable; nothing is left then.
    """
    qemu = find_qemu(machine)
    _check_files(machine, running, qemu)
    files = site.layout.machine(machine.name)
    files.next.folder.mkdir(mode=0o700, exist_ok=True)
    limits = limits_of(site, machine, emulators=1 if hold else 2)
    group = site.cgroups.create(machine.group_name + HOLDER * hold, limits)
    with ExitStack() as stack:
        fds = await _open_descriptors(stack, site, machine, running, qemu, files.next, hold=hold)
        assert running.memory is not None
        memory = fds[running.memory]
        rules = plan_frugality(site.facts.accel, borrowed=not hold, disks=running.disks)
        filter_fd = open_filter(stack, rules if "-sandbox" in running.argv else [*CONFINEMENT, *rules])
        argv = plan_incoming(running, fds, shared=hold, idle=hold, seccomp=filter_fd)
        errors = os.open(files.errors, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        stack.callback(os.close, errors)
        latched = start_latched(argv, fds=[*fds.values(), filter_fd], doors=group.doors, stdout=errors, stderr=errors)
        memory = os.dup(memory)
    try:
        shelf = site.shelves.machines
        await shelf.save(shelf.get(machine.name).with_(capture=CaptureRecord(receiver=Stamp.of(latched.process))))
        latched.release()
        qmp = await open_qmp(files.next.qmp, timeout=START_TIMEOUT)
    except BaseException as err:
        os.close(memory)
        latched.abandon()
        await stop_processes([*latched.process.children(), latched.process], term_for=0)
        if isinstance(err, WeftError):
            detail = read_tail(files.errors).decode(errors="replace")
            raise Unavailable(f"no second QEMU for machine {machine.name!r}: {err.message}", detail=detail) from err
        raise
    return Receiver(latched, qmp, group, memory)


def find_qemu(machine: MachineRecord) -> ProcessId:
    """A machine's QEMU, in its walls. Raises WrongState when it has ended."""
    children = machine.monitor.id.children() if machine.monitor else []
    if not children:
        raise WrongState(f"machine {machine.name!r} has ended")
    return children[0]


def _check_files(machine: MachineRecord, running: RunningCommand, qemu: ProcessId) -> None:
    """What the walls show by a name must still be what it was when they were made."""
    for inside, outside in running.files:
        try:
            same = Path(f"/proc/{qemu.pid}/root{inside}").samefile(outside)
        except OSError:
            same = False
        if not same:
            raise WrongState(
                f"machine {machine.name!r} cannot be captured: {outside} has been replaced since it was started",
                hint="start it again, and it can be",
            )


async def _open_descriptors(
    stack: ExitStack,
    site: Site,
    machine: MachineRecord,
    running: RunningCommand,
    qemu: ProcessId,
    files: MachineFiles,
    *,
    hold: bool,
) -> dict[int, int]:
    """What the second one is given, by the numbers that the first one has it under."""
    fds: dict[int, int] = {}
    for channel, number in running.channels.items():
        fds[number] = stack.enter_context(listen_unix(files.channel(channel))).fileno()
    for place, number in enumerate(running.taps):
        # A holder never runs: it gets taps to look at that nothing leads to, and that go with it.
        spare = open_tap(site.namespace, spare_tap_name(machine.slot, place)) if hold else None
        fds[number] = await spare if spare else take_descriptor(qemu, number)
        stack.callback(os.close, fds[number])
    for number in running.others:
        fds[number] = take_descriptor(qemu, number)
        stack.callback(os.close, fds[number])
    assert running.memory is not None
    fds[running.memory] = create_memory(machine.memory) if hold else open_memory(qemu.pid)
    stack.callback(os.close, fds[running.memory])
    return fds
