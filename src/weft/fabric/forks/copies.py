"""Copies of a machine in its own room: made, told apart from their original, started from its moment, taken back."""

import asyncio
import shutil
from contextlib import suppress
from functools import partial

from weft.fabric.forks.disks import OWN
from weft.fabric.forks.instants import FOLDER, Instant
from weft.fabric.lifecycle import Lifecycle
from weft.fabric.machines import Machines
from weft.fabric.ports import Ports
from weft.fabric.records.machine import MachineRecord
from weft.fabric.settings.floppies import floppy_path
from weft.fabric.site import Site
from weft.fabric.volumes import Volumes
from weft.guest.agent import Agent
from weft.host.clones import clone_file
from weft.model.errors import NotFound, WrongState
from weft.model.fork import ForkSpec
from weft.model.machine import NicSpec
from weft.plan.forks import plan_copy, plan_volume_names, written_volumes


class Copies:
    """The copies of a room's machines. One that is `becoming` sends nothing until its agent says that it is itself."""

    def __init__(self, site: Site, machines: Machines, ports: Ports, lifecycle: Lifecycle, volumes: Volumes) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._machines = machines
        self._ports = ports
        self._lifecycle = lifecycle
        self._volumes = volumes

    async def make(self, original: MachineRecord, name: str, wanted: ForkSpec) -> MachineRecord:
        """Put a copy on record, with its links and places for its volumes. Raises as making any machine does."""
        taken = [volume.name for volume in self._site.shelves.volumes]
        volumes = plan_volume_names(written_volumes(original.spec), name, taken)
        nics = [_want_nic(original, number, shadow=wanted.shadow) for number in range(len(original.nics))]
        remove = wanted.remove or original.spec.remove
        spec = plan_copy(original.spec, name, nics, volumes, remove=remove)
        noted: dict[str, object] = {"becoming": True}
        if wanted.shadow:  # it stays what it was, on no network: what it hears is meant for that
            noted |= {"shadows": original.name, "nics": tuple(nic.with_(network=None) for nic in original.nics)}
        try:
            for volume, copy in volumes.items():
                await self._volumes.reserve(self._site.shelves.volumes.get(volume).spec, copy)
            return await self._machines.create(spec, noted=noted)
        except BaseException:
            await self._remove_volumes(list(volumes.values()))
            raise

    async def start(self, copy: MachineRecord, original: MachineRecord, instant: Instant) -> None:
        """Let a copy go on from an instant of its original, and wait until it is ready as itself."""
        await self._place_disks(copy, original, instant)
        origin = f"{'shadow' if copy.shadows else 'fork'} of {original.name}"
        await self._lifecycle.start(copy.name, moment=instant.captured.moment, origin=origin)
        await self._lifecycle.wait_ready(copy.name)

    async def discard(self, name: str) -> None:
        """Take a copy back that has not come to be, with its volumes. Nothing happens when it is gone."""
        copy = self._shelf.find(name)
        if copy is not None:
            with suppress(NotFound):
                await self._machines.remove(name, force=True)
            await self._remove_volumes(written_volumes(copy.spec))

    async def join(self, machine: MachineRecord, _agent: Agent) -> None:
        """A machine's agent answers: a copy has become itself, and from now on frames come and go."""
        if self._shelf.get(machine.name).becoming:
            machine = await self._shelf.save(self._shelf.get(machine.name).with_(becoming=False))
            await self._ports.splice_all(machine)
            await self._splice_original(machine)

    async def on_end(self, machine: MachineRecord) -> None:
        """A shadow that has ended is no shadow any more."""
        if machine.shadows is not None and (found := self._shelf.find(machine.name)):
            await self._shelf.save(found.with_(shadows=None))
            await self._splice_original(machine)

    async def forget(self, name: str) -> None:
        """A machine is about to be removed: another of its name will have no shadows."""
        for machine in self._shelf:
            if machine.shadows == name:
                await self._shelf.save(machine.with_(shadows=None))

    async def adopt(self, machine: MachineRecord) -> None:
        """Go on after an earlier daemon: a copy that was becoming never was, and clones of disks are nobody's."""
        shutil.rmtree(self._site.layout.machine(machine.name).folder / FOLDER, ignore_errors=True)
        if machine.becoming:
            self._site.tasks.start(self.discard(machine.name), f"discard-{machine.name}")

    async def _place_disks(self, copy: MachineRecord, original: MachineRecord, instant: Instant) -> None:
        files = self._site.layout.machine(copy.name)
        files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if OWN in instant.disks:
            await instant.disks.give(OWN, files.disk)
        given = dict(zip(written_volumes(original.spec), written_volumes(copy.spec), strict=True))
        for volume, name in given.items():
            await self._volumes.fill(name, partial(instant.disks.give, volume))
        floppy = floppy_path(self._site, original)
        if floppy.exists():
            await asyncio.to_thread(clone_file, floppy, files.floppy)

    async def _splice_original(self, shadow: MachineRecord) -> None:
        original = self._shelf.find(shadow.shadows) if shadow.shadows else None
        if original is not None:
            await self._ports.splice_all(original)

    async def _remove_volumes(self, names: list[str]) -> None:
        for name in names:
            with suppress(NotFound, WrongState):
                await self._volumes.remove(name)


def _want_nic(original: MachineRecord, number: int, *, shadow: bool) -> NicSpec:
    nic = original.nics[number]
    return NicSpec(network=None if shadow else nic.network, role=nic.role, pinned=nic.pinned)
