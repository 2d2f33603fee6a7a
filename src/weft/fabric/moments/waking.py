"""Letting machines go on: one that was started from a moment, one that stands still, one whose daemon has died."""

import os
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from weft.fabric.endings import remove_group
from weft.fabric.layout import MachineFiles
from weft.fabric.moments.sockets import move_sockets, remove_next
from weft.fabric.moments.traffic import drop_held_links
from weft.fabric.records.machine import CaptureRecord, MachineRecord
from weft.fabric.site import Site
from weft.guest.connecting import open_agent
from weft.host.descriptors import find_taps, take_descriptor
from weft.host.migration import load_device, stop_sending
from weft.host.pids import ProcessId, stop_processes
from weft.host.qemu import Qmp, open_qmp
from weft.host.taps import restore_header
from weft.model.errors import Unavailable
from weft.plan.linknames import tap_name

SENDING = "finish-migrate"
STANDING = ("paused", "postmigrate", SENDING)
"""Run states of a QEMU whose machine stands still and can go on."""
HOLDER = ".holder"
"""What the name of a holder's control group ends with: its memory is the moment's, and not charged to the machine."""


async def wake(path: Path, device: bytes | None, before: Callable[[], Awaitable[None]]) -> None:
    """Tell the QEMU whose monitor is at `path`; without a device state it has that already. `before`: what is done when
    nothing can go wrong any more.

    Raises Unavailable, Internal with what it says.
    """
    async with _speak(path) as qmp:
        if device is not None:
            await load_device(qmp, device)
        await before()
        await qmp.resume()


async def prepare(path: Path, device: bytes) -> None:
    """The same without going on. Raises what `wake` raises."""
    async with _speak(path) as qmp:
        await load_device(qmp, device)


async def rehearse(files: MachineFiles, timeout: float) -> None:
    """Let a held machine that is prepared run once through what becoming somebody takes, and stand still again.

    Its QEMU has translated that code then, and it becomes somebody five times as fast. Raises Unavailable.
    """
    async with _speak(files.qmp) as qmp:
        await qmp.resume()
        async with open_agent(files.agent, timeout=timeout) as agent:
            await agent.rehearse(timeout=timeout)
        await qmp.pause()


@asynccontextmanager
async def _speak(path: Path) -> AsyncIterator[Qmp]:
    qmp = await open_qmp(path)
    try:
        yield qmp
    finally:
        await qmp.close()


async def rouse(site: Site, machine: MachineRecord) -> None:
    """Let a machine that stands still go on, and note that. Raises Unavailable when its QEMU does not answer."""
    qmp = await open_qmp(site.layout.machine(machine.name).qmp)
    try:
        if (status := await qmp.status()) == SENDING:
            await stop_sending(qmp)
        if status in STANDING:
            await qmp.resume()
    finally:
        await qmp.close()
    shelf = site.shelves.machines
    await shelf.save(shelf.get(machine.name).with_(capture=None))


async def mend(site: Site, machine: MachineRecord) -> MachineRecord:
    """End the half of a capture that its daemon did not finish, so that one QEMU is left, which the record names."""
    capture = machine.capture
    if capture is None:
        return machine
    files = site.layout.machine(machine.name)
    for process in (stamp.id for stamp in (capture.receiver, capture.former) if stamp):
        await stop_processes([*process.children(), process], term_for=0)
    if capture.former is not None:
        move_sockets(files)
    elif machine.monitor is not None:
        _give_taps_back(machine, machine.monitor.id.children(), capture.headers)
    remove_next(files)
    await drop_held_links(site, machine)
    await remove_group(site.cgroups.group(machine.group_name + HOLDER))
    return await site.shelves.machines.save(machine.with_(capture=CaptureRecord()))


def _give_taps_back(machine: MachineRecord, processes: Sequence[ProcessId], headers: Sequence[int]) -> None:
    """A successor that did not take over has set up the machine's taps for itself."""
    for qemu in processes[:1]:
        with suppress(Unavailable):  # it has ended, which others notice
            taps = find_taps(qemu)
            for number, header in enumerate(headers):
                tap = take_descriptor(qemu, taps[tap_name(machine.slot, number)])
                restore_header(tap, header)
                os.close(tap)
