"""The second QEMU of a capture: a successor, in which the machine goes on, or a holder, which keeps what it is.

It is started with the words that the machine's QEMU was started with, so both are alike to the last device.
"""

import os
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from weft.fabric.endings import remove_group
from weft.fabric.latching import limits_of
from weft.fabric.layout import MachineFiles
from weft.fabric.logs import read_tail
from weft.fabric.moments.waking import HOLDER
from weft.fabric.records.machine import CaptureRecord, MachineRecord
from weft.fabric.records.record import Stamp
from weft.fabric.site import Site
from weft.host.cgroup import Cgroup
from weft.host.confinement import CONFINEMENT
from weft.host.descriptors import find_taps, read_command, take_descriptor
from weft.host.frugality import plan_frugality
from weft.host.memory import create_memory, open_memory
from weft.host.pids import ProcessId, stop_processes
from weft.host.process import Latched, start_latched
from weft.host.qemu import Qmp, open_qmp
from weft.host.seccomp import open_filter
from weft.host.sockets import listen_unix
from weft.host.taps import open_tap, read_header, restore_header
from weft.model.errors import Unavailable, WeftError, WrongState
from weft.plan.incoming import RunningCommand, follow_move, parse_running, plan_incoming
from weft.plan.linknames import spare_tap_name, tap_name

START_TIMEOUT = 30.0


@dataclass(slots=True)
class Receiver:
    """A QEMU that waits for a machine's state. `memory` is a descriptor of the memory it was given, for the caller.

    `taps` are those that a successor will have, as its `tap_numbers`, with the `headers` that the machine's QEMU uses.
    """

    latched: Latched
    group: Cgroup
    holds: bool
    memory: int
    tap_numbers: Sequence[int]
    taps: list[int]
    headers: tuple[int, ...]
    monitor: Qmp | None = None

    @property
    def qmp(self) -> Qmp:
        assert self.monitor is not None
        return self.monitor

    async def make_machine(self) -> None:
        """Open the taps of a successor and make its machine. Raises Unavailable, Internal."""
        for number, tap in enumerate(self.tap_numbers):
            await self.qmp.open_tap(f"net{number}", tap)
        await self.qmp.make_machine()

    def close_taps(self) -> None:
        """They are the machine's alone from now on."""
        while self.taps:
            os.close(self.taps.pop())

    def give_taps_back(self) -> None:
        """The machine's QEMU uses them as before."""
        for tap, header in zip(self.taps, self.headers, strict=True):
            restore_header(tap, header)

    async def end(self) -> None:
        """End it; its memory stays."""
        self.close_taps()
        if self.monitor is not None:
            await self.monitor.close()
        self.latched.abandon()
        await stop_processes([*self.latched.process.children(), self.latched.process], term_for=0)
        if self.holds:
            await remove_group(self.group)


def read_running(site: Site, machine: MachineRecord) -> RunningCommand:
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
    pool, folder = site.layout.pool.machines, site.layout.machine(machine.name).folder
    return follow_move(running, str(pool), str(folder))


async def start_receiver(site: Site, machine: MachineRecord, running: RunningCommand, *, hold: bool) -> Receiver:
    """Start one for a machine that runs, and put it on the machine's record. With `hold` it has memory of its own.

    Raises WrongState, Unavailable; nothing is left then.
    """
    files, shelf = site.layout.machine(machine.name), site.shelves.machines
    receiver = await _start_held(site, machine, running, hold=hold)
    try:
        noted = CaptureRecord(receiver=Stamp.of(receiver.latched.process), headers=receiver.headers)
        await shelf.save(shelf.get(machine.name).with_(capture=noted))
        receiver.latched.release()
        receiver.monitor = await open_qmp(files.next.qmp, timeout=START_TIMEOUT)
    except BaseException as err:
        await receiver.end()
        os.close(receiver.memory)
        if isinstance(err, WeftError):
            detail = read_tail(files.errors).decode(errors="replace")
            raise Unavailable(f"no second QEMU for machine {machine.name!r}: {err.message}", detail=detail) from err
        raise
    return receiver


async def _start_held(site: Site, machine: MachineRecord, running: RunningCommand, *, hold: bool) -> Receiver:
    """It waits at the latch. A holder is in a group of its own: its memory is the moment's, and not the machine's."""
    qemu, files = find_qemu(machine), site.layout.machine(machine.name)
    _check_files(machine, running, qemu)
    files.next.folder.mkdir(mode=0o700, exist_ok=True)
    with ExitStack() as stack:
        fds = _open_descriptors(stack, machine, running, qemu, files.next, hold=hold)
        taps = await _open_taps(stack, site, machine, qemu, spare=hold)
        headers = () if hold else tuple(read_header(tap) for tap in taps)
        errors = os.open(files.errors, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        stack.callback(os.close, errors)
        rules = plan_frugality(site.facts.accel, borrowed=not hold, disks=running.disks)
        filter_fd = open_filter(stack, rules if "-sandbox" in running.argv else [*CONFINEMENT, *rules])
        argv = plan_incoming(running, fds, shared=hold, idle=hold, taps=taps, seccomp=filter_fd)
        limits = limits_of(site, machine, emulators=1 if hold else 2)
        group = site.cgroups.create(machine.group_name + HOLDER * hold, limits)
        given = [*fds.values(), *taps, filter_fd]
        latched = start_latched(argv, fds=given, doors=group.doors, stdout=errors, stderr=errors)
        assert running.memory is not None
        kept = [] if hold else [os.dup(tap) for tap in taps]
        return Receiver(latched, group, hold, os.dup(fds[running.memory]), taps, kept, headers)


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


def _open_descriptors(
    stack: ExitStack,
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
    for number in running.others:
        fds[number] = take_descriptor(qemu, number)
        stack.callback(os.close, fds[number])
    assert running.memory is not None
    fds[running.memory] = create_memory(machine.memory) if hold else open_memory(qemu.pid)
    stack.callback(os.close, fds[running.memory])
    return fds


async def _open_taps(
    stack: ExitStack, site: Site, machine: MachineRecord, qemu: ProcessId, *, spare: bool
) -> list[int]:
    """The taps of the machine's QEMU itself; or `spare` ones, to which nothing leads, and that go with who has them."""
    taps, present = [], {} if spare else find_taps(qemu)
    for number in range(len(machine.nics)):
        if spare:
            tap = await open_tap(site.namespace, spare_tap_name(machine.slot, number))
        else:
            tap = take_descriptor(qemu, present[tap_name(machine.slot, number)])
        stack.callback(os.close, tap)
        taps.append(tap)
    return taps
