"""Volumes: disks on record that outlive the machines that use them."""

import asyncio
import shutil
from collections import defaultdict
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.volume import VolumeRecord
from weft.fabric.site import DISK_USER, Site
from weft.host.disks import create_disk, find_stored, grow_disk, replay_journal
from weft.model.errors import Exists, Invalid, NotFound, Unavailable, WrongState
from weft.model.machine import MachineSpec
from weft.model.mount import MountKind
from weft.model.volume import DEFAULT_VOLUME, VolumeSpec, VolumeUse, VolumeView


class Volumes:
    """The volumes of a fabric."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._shelf = site.shelves.volumes
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def create(self, spec: VolumeSpec) -> VolumeRecord:
        """Make an empty volume. Raises Exists, NoRoom, Unavailable; nothing is left behind then."""
        async with self._locks[spec.name]:
            if self._shelf.find(spec.name):
                raise Exists(f"volume {spec.name!r} exists already")
            return await self._create(spec)

    async def ensure(self, spec: MachineSpec) -> None:
        """Make the volumes of a machine that are not there yet."""
        for mount in spec.mounts:
            if mount.kind is MountKind.VOLUME:
                async with self._locks[mount.source]:
                    if self._shelf.find(mount.source) is None:
                        await self._create(VolumeSpec(name=mount.source, size=mount.size or DEFAULT_VOLUME))

    async def reserve(self, like: VolumeSpec, name: str) -> None:
        """Put a volume on record whose disk is yet to come, by `fill`. Raises Exists."""
        async with self._locks[name]:
            if self._shelf.find(name):
                raise Exists(f"volume {name!r} exists already")
            spec = like.model_copy(update={"name": name})
            await self._shelf.save(VolumeRecord(spec=spec, created=self._site.clock()))

    async def fill(self, name: str, put: Callable[[Path], Awaitable[None]]) -> None:
        """Give a reserved volume its disk, which `put` makes at a path."""
        async with self._locks[name]:
            await put(self._site.layout.volume(name) / "disk.img")
            await self._shelf.save(self._shelf.get(name).with_(made=True))
        self._site.events.publish("volume.created", name, f"volume {name} made")

    async def remove(self, name: str) -> None:
        """Remove a volume with all that is on it. Raises NotFound, WrongState while a machine uses it."""
        async with self._locks[name]:
            record = self._shelf.get(name)
            self._check_free(record)
            await self._remove(await self._shelf.save(record.with_(removing=True)))
        self._site.events.publish("volume.removed", name, f"volume {name} removed")

    async def prune(self) -> list[str]:
        """Remove all volumes that no machine uses; their names."""
        removed = []
        for name in sorted(record.name for record in self._shelf if not self.users(record.name)):
            with suppress(NotFound, WrongState):  # taken or removed by somebody else meanwhile
                await self.remove(name)
                removed.append(name)
        return removed

    async def resize(self, name: str, size: int) -> VolumeRecord:
        """Make a volume larger that no running machine has.

        Raises NotFound, WrongState, Invalid (it would shrink), NoRoom, Unavailable (it is damaged).
        """
        async with self._locks[name]:
            record = self._shelf.get(name)
            if size < record.spec.size:
                raise Invalid(f"volume {name!r} has {record.spec.size} bytes and can only grow")
            live = [user.machine for user in self.users(name) if user.live]
            if live:
                raise WrongState(f"volume {name!r} is in use by {', '.join(live)}", hint="stop it first")
            await grow_disk(self.path(record), size, self._site.identity(DISK_USER))
            spec = record.spec.model_copy(update={"size": size})
            return await self._shelf.save(record.with_(spec=spec))

    async def change(self, spec: VolumeSpec) -> VolumeRecord:
        """Give a volume other labels, and make it larger if it is to be. Raises as `resize` does."""
        if spec.size != self._shelf.get(spec.name).spec.size:
            await self.resize(spec.name, spec.size)
        async with self._locks[spec.name]:
            return await self._shelf.save(self._shelf.get(spec.name).with_(spec=spec))

    async def adopt(self) -> None:
        """Finish what was begun: a volume that was being made never was, one that was being removed goes."""
        for record in self._shelf:
            if record.removing or not record.made:
                await self._remove(record)

    async def claim(self, machine: MachineRecord, name: str, *, read_only: bool) -> Path:
        """The disk of a volume, for a machine that is about to start.

        Raises WrongState when another machine that runs writes to it, or reads what this one wants to write;
        Unavailable when it is lost or damaged.
        """
        async with self._locks[name]:
            path = self.path(self._shelf.get(name))
            others = self._live_users(machine, name)
            for other, reads in others.items():
                if not (reads and read_only):
                    doing = "read" if reads else "written"
                    raise WrongState(f"volume {name!r} is being {doing} by machine {other!r}", hint="stop it first")
            if read_only and not others:
                await replay_journal(path, self._site.identity(DISK_USER))
            return path

    def path(self, record: VolumeRecord) -> Path:
        """Its disk. Raises Unavailable when that is lost."""
        path = self._site.layout.volume(record.name) / "disk.img"
        if not path.is_file():
            raise Unavailable(f"the disk of volume {record.name!r} is not there any more", hint=f"it was {path}")
        return path

    def users(self, name: str) -> list[VolumeUse]:
        """All machines that have it in their spec, whether or not they run."""
        return [
            VolumeUse(
                machine=machine.name, target=mount.target, read_only=mount.read_only, live=machine.state.holds_disks
            )
            for machine in self._site.shelves.machines
            for mount in machine.spec.mounts
            if mount.kind is MountKind.VOLUME and mount.source == name
        ]

    def view(self, record: VolumeRecord) -> VolumeView:
        """A volume as it is shown."""
        return VolumeView(
            name=record.name,
            size=record.spec.size,
            stored=find_stored(self._site.layout.volume(record.name) / "disk.img"),
            labels=record.spec.labels,
            created=record.created,
            users=self.users(record.name),
        )

    async def _create(self, spec: VolumeSpec) -> VolumeRecord:
        record = await self._shelf.save(VolumeRecord(spec=spec, created=self._site.clock()))
        try:
            await create_disk(self._site.layout.volume(spec.name) / "disk.img", spec.size)
        except BaseException:
            await self._remove(record)
            raise
        record = await self._shelf.save(record.with_(made=True))
        self._site.events.publish("volume.created", spec.name, f"volume {spec.name} made")
        return record

    async def _remove(self, record: VolumeRecord) -> None:
        await asyncio.to_thread(shutil.rmtree, self._site.layout.volume(record.name), ignore_errors=True)
        await self._shelf.drop(record.name)

    def _check_free(self, record: VolumeRecord) -> None:
        users = dict.fromkeys(user.machine for user in self.users(record.name))
        if users:
            raise WrongState(
                f"volume {record.name!r} is used by {', '.join(users)}", hint="remove these machines first"
            )

    def _live_users(self, machine: MachineRecord, name: str) -> dict[str, bool]:
        """Other machines that hold the volume, and whether they only read it.

        Of two that start at once the earlier one holds it: both are live before either has asked.
        """
        mine = (machine.started or 0.0, machine.name)
        others = {
            other.name: (other.started or 0.0, other.name)
            for other in self._site.shelves.machines
            if other.state.holds_disks and other.name != machine.name
        }
        return {
            user.machine: user.read_only
            for user in self.users(name)
            if user.machine in others and others[user.machine] < mine
        }
