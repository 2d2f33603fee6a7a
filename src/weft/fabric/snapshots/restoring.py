"""Machines made again from snapshots: the same ones, copies with an identity of their own, and those that go back."""

from collections.abc import Callable
from contextlib import AsyncExitStack
from functools import partial

from weft.fabric.lifecycle import Lifecycle
from weft.fabric.machines import Machines
from weft.fabric.moments.folders import read_moment
from weft.fabric.moments.moment import Moment
from weft.fabric.records.machine import MachineRecord, NicRecord
from weft.fabric.site import Site
from weft.fabric.snapshots.fitting import check_disks, check_no_insert, check_shape, find_machine
from weft.fabric.snapshots.kept import KeptDisk, KeptSnapshots, OpenSnapshot
from weft.fabric.snapshots.placing import Targets, place, prepared, targets_of
from weft.fabric.snapshots.progress import meter
from weft.fabric.volumes import Volumes
from weft.host.blocks import Tell
from weft.image.progress import Progress
from weft.model.errors import Exists
from weft.model.machine import MachineSpec, MachineView, NicSpec
from weft.model.snapshot import RestoreSpec
from weft.model.volume import VolumeSpec
from weft.plan.forks import plan_copy, plan_volume_names
from weft.plan.restore import plan_same

Check = Callable[[MachineSpec, MachineSpec | None], None]
"""Whether a machine may be made so; beside it what its original is now, if that is there. Raises what is against it."""


def allow_all(_spec: MachineSpec, _original: MachineSpec | None) -> None:
    """Whoever asks may have it."""


class Restoring:
    """Makes machines from snapshots. What is damaged is found before anything runs."""

    def __init__(
        self, site: Site, kept: KeptSnapshots, machines: Machines, lifecycle: Lifecycle, volumes: Volumes
    ) -> None:
        self._site = site
        self._kept = kept
        self._machines = machines
        self._lifecycle = lifecycle
        self._volumes = volumes

    async def restore(self, name: str, spec: RestoreSpec, progress: Progress, check: Check = allow_all) -> MachineView:
        """A machine that goes on from a snapshot, ready. One that is there has what it has now, and is not checked.

        Raises NotFound (also for an image, a kernel or a network that is gone), Exists, Unavailable for a snapshot that
        is damaged or of another host; nothing of it is left then.
        """
        source = await self._kept.open(name)
        original = find_machine(self._site, source)
        machine = spec.name or original.name
        present = self._site.shelves.machines.find(machine)
        check_no_insert(self._site, machine)
        if present and not spec.replace:
            raise Exists(f"machine {machine!r} exists already", hint="--replace takes it back, --name makes a copy")
        check_shape(self._site, present or original, source.shape, f"snapshot {name!r}")
        if present is None:
            now = self._site.shelves.machines.find(original.name)
            check(_plan_spec(original, machine, {}), now.spec if now else None)
        tell = meter(progress, "loading", source.size)
        moment = await read_moment(source.sealed, tell=tell)
        try:
            if present:
                await self._take_back(present, source, moment, tell)
            else:
                await self._make(original, machine, source, moment, tell)
        finally:
            moment.close()
        text = f"machine {machine} goes on from snapshot {name}"
        self._site.events.publish("machine.restored", machine, text, snapshot=name)
        return self._machines.view(self._site.shelves.machines.get(machine))

    async def _make(self, original: MachineRecord, name: str, source: OpenSnapshot, moment: Moment, tell: Tell) -> None:
        async with AsyncExitStack() as undo:
            volumes = self._name_volumes(name, source)
            for disk in source.record.disks:
                if disk.volume is not None:
                    await self._make_volume(volumes[disk.volume], disk, source, tell)
                    undo.push_async_callback(self._volumes.remove, volumes[disk.volume])
            noted = {"becoming": True} | ({"uuid": original.uuid} if name == original.name else {})
            made = await self._machines.create(_plan_spec(original, name, volumes), noted=noted)
            undo.push_async_callback(self._machines.remove, name, force=True)
            own = {piece: path for piece, path in self._targets(made, source).items() if piece in source.own}
            async with prepared(source, own, tell):
                place(own)
            await self._go_on(name, source, moment)
            undo.pop_all()

    async def _make_volume(self, name: str, disk: KeptDisk, source: OpenSnapshot, tell: Tell) -> None:
        await self._volumes.reserve(VolumeSpec(name=name, size=source.sealed.pieces[disk.piece].size), name)
        try:
            await self._volumes.fill(name, partial(source.write, disk.piece, tell=tell))
        except BaseException:
            await self._volumes.remove(name)
            raise

    async def _take_back(self, machine: MachineRecord, source: OpenSnapshot, moment: Moment, tell: Tell) -> None:
        """The machine that is there gets memory and disks of a snapshot, and keeps its place in the fabric."""
        check_disks(self._site, self._volumes, machine, source)
        targets = self._targets(machine, source)
        async with prepared(source, targets, tell):
            await self._lifecycle.kill(machine.name)
            async with self._lifecycle.locked(machine.name):
                place(targets)
        await self._go_on(machine.name, source, moment)

    async def _go_on(self, name: str, source: OpenSnapshot, moment: Moment) -> None:
        origin = f"snapshot {source.name}"
        await self._lifecycle.start(name, failsafe=source.record.machine.failsafe, moment=moment, origin=origin)
        await self._lifecycle.wait_ready(name)

    def _targets(self, machine: MachineRecord, source: OpenSnapshot) -> Targets:
        return targets_of(self._site, self._volumes, machine, source)

    def _name_volumes(self, machine: str, source: OpenSnapshot) -> dict[str, str]:
        """What copies of volumes are called: as the originals where they are gone and the machine is the same."""
        volumes = [disk.volume for disk in source.record.disks if disk.volume is not None]
        taken = {volume.name for volume in self._site.shelves.volumes}
        kept = [one for one in volumes if machine == source.record.machine.name and one not in taken]
        given = plan_volume_names([one for one in volumes if one not in kept], machine, {*taken, *kept})
        return {**given, **{one: one for one in kept}}


def _plan_spec(machine: MachineRecord, name: str, volumes: dict[str, str]) -> MachineSpec:
    if name == machine.name:
        return plan_same(machine.spec, [_ask_again(nic) for nic in machine.nics], volumes)
    loose = [NicSpec(network=nic.network, role=nic.role, pinned=nic.pinned) for nic in machine.nics]
    return plan_copy(machine.spec, name, loose, volumes, remove=machine.spec.remove)


def _ask_again(nic: NicRecord) -> NicSpec:
    return NicSpec(**nic.model_dump(include=set(NicSpec.model_fields)))
