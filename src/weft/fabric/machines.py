"""Machines as a whole: made, looked at, removed. Their life between start and end is in `lifecycle`."""

import itertools
import logging
import shutil
import uuid
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from weft.fabric.elastic.showing import show
from weft.fabric.foreign.checking import check_foreign
from weft.fabric.lifecycle import Lifecycle
from weft.fabric.mounts import check_folders
from weft.fabric.networks import Networks
from weft.fabric.nics import give_nics
from weft.fabric.ports import Ports
from weft.fabric.published import Publishing
from weft.fabric.records.machine import FirstSettings, MachineRecord, NicRecord
from weft.fabric.records.pool import CopyRecord
from weft.fabric.settings.creating import plan_first
from weft.fabric.settings.floppies import (
    check_floppy,
    ensure_floppy,
    floppy_path,
    is_appliance,
    list_floppies,
    refuse_shared,
)
from weft.fabric.settings.models import check_model
from weft.fabric.site import MACHINE_SLOTS, Site, free_slot
from weft.fabric.volumes import Volumes
from weft.model.errors import Exists, Invalid, WeftError, WrongState
from weft.model.image import ImageManifest, NicRole
from weft.model.machine import Address, HealthView, MachineSpec, MachineView, NicSpec, PublishedPort
from weft.model.names import DEFAULT_KERNEL, DEFAULT_NETWORK
from weft.model.publish import PublishSpec
from weft.model.reference import find_stem
from weft.plan.elastic.growth import check_growth
from weft.plan.foreign import complete_foreign
from weft.plan.mounts import check_slots, plan_mounts

log = logging.getLogger(__name__)

_SHOWN = {
    "profile", "command", "entrypoint", "user", "labels", "mounts", "restart", "remove", "limits", "foreign", "pxe",
    "expose",
}  # fmt: skip
"""What is shown of a spec as it stands in it."""


@dataclass(frozen=True, slots=True)
class Checked:
    """A spec that a machine could have here, and what it comes to: kernel, bytes of memory, NICs."""

    spec: MachineSpec
    kernel: str
    memory: int
    nics: tuple[NicSpec, ...]


class StandIn(Protocol):
    """Has copies that could become machines."""

    def find(self, checked: Checked) -> CopyRecord | None:
        """A copy for such a machine."""

    async def take(self, copy: CopyRecord, machine: MachineRecord) -> None:
        """Give what the copy has on the host to the machine, which has it by its record."""


class Machines:
    """The machines of a fabric."""

    def __init__(
        self,
        site: Site,
        networks: Networks,
        ports: Ports,
        lifecycle: Lifecycle,
        volumes: Volumes,
        publishing: Publishing,
    ) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._networks = networks
        self._ports = ports
        self._lifecycle = lifecycle
        self._volumes = volumes
        self._publishing = publishing
        self.find_health: Callable[[str], HealthView | None] = lambda _name: None
        self.checks: list[Callable[[MachineSpec, Sequence[NicSpec]], None]] = []
        """What else is looked at before a machine is made or changed. They raise what is against it."""
        self.find_enforced: Callable[[MachineRecord], str] = lambda machine: machine.limits
        self.before_remove: list[Callable[[str], Awaitable[None]]] = []
        self.on_change: list[Callable[[], None]] = []
        self.stand_in: StandIn | None = None
        self.floppies_elsewhere: Callable[[], Iterable[tuple[str, Path]]] = lambda: ()
        """Machines of other rooms, with the room's name, and where they keep their settings."""

    def choose_name(self, image: str) -> str:
        """A free name for somebody who gave none: `web-1`. Raises NotFound when there is no such image."""
        stem = find_stem(self._site.images.get(image).name)
        return next(name for number in itertools.count(1) if self._shelf.find(name := f"{stem}-{number}") is None)

    async def create(
        self,
        spec: MachineSpec,
        first: FirstSettings | None = None,
        *,
        at_once: bool = False,
        noted: Mapping[str, object] | None = None,
    ) -> MachineRecord:
        """Make a machine, its links and its place on its networks; start nothing.

        `first`: settings that an appliance is to begin with. `at_once`: it will be started, so a copy that a pool keeps
        ready may become it. `noted`: what else is put on its record. Raises Exists, NotFound (image, kernel, network),
        Invalid, NoRoom; nothing is left behind then.
        """
        checked = await self.check(spec)
        spec = checked.spec
        await self.find_networks(checked.nics)
        self._publishing.check(spec, on_network=any(nic.network for nic in checked.nics))
        await self._volumes.ensure(spec)
        # From here to the record nothing else runs: name, slot and addresses are still free when it is written.
        if self._shelf.find(spec.name):
            raise Exists(f"machine {spec.name!r} exists already")
        refuse_shared(spec, self._other_floppies(spec.name))
        copy = self.stand_in.find(checked) if self.stand_in is not None and at_once else None
        record: MachineRecord = MachineRecord(
            spec=spec,
            slot=free_slot(MACHINE_SLOTS, self._site.shelves.machine_slots(), "machines"),
            uuid=str(uuid.uuid4()),
            created=self._site.clock(),
            kernel=checked.kernel,
            memory=checked.memory,
            nics=give_nics(self._site, spec.name, checked.nics),
        ).with_(**(noted or {}))
        if first is not None:
            record = record.with_(first=plan_first(self._site, record, first))
        record = await self._shelf.save(copy.lend_to(record) if copy is not None else record)
        try:
            if copy is not None and self.stand_in is not None:
                record = await self._take(self.stand_in, copy, record)
            if first is not None:
                await ensure_floppy(self._site, record)
            await self._ports.attach(record)
            await self._ports.splice_all(record)
            self.tell_networks(record)
        except BaseException:
            await self.remove(spec.name)
            raise
        self._site.events.publish("machine.created", spec.name, f"machine {spec.name} made from {spec.image}")
        return record

    async def _take(self, stand_in: StandIn, copy: CopyRecord, record: MachineRecord) -> MachineRecord:
        """A copy that cannot be taken is ended: the machine then starts as if there were none."""
        try:
            await stand_in.take(copy, record)
        except WeftError as err:
            log.warning("machine %s does not take copy %s: %s", record.name, copy.name, err)
            return await self._lifecycle.let_go(record)
        return record

    async def check(self, spec: MachineSpec) -> Checked:
        """Whether there could be such a machine here. Raises NotFound (image, kernel), Invalid, WrongState."""
        checked = await self._check(spec)
        for check in self.checks:
            check(checked.spec, checked.nics)
        return checked

    async def _check(self, spec: MachineSpec) -> Checked:
        image = self._site.images.get(spec.image)
        if self._site.images.find(spec.image):  # no digest: the full name says the same tomorrow, whatever comes in
            spec = spec.model_copy(update={"image": image.name})
        spec = complete_foreign(spec, image)
        if spec.is_foreign:
            memory = spec.memory or image.memory
            kernel = check_foreign(self._site, spec, memory)
            return Checked(spec, kernel, memory, _wanted_nics(spec, image))
        await check_floppy(self._site, spec, image)
        refuse_shared(spec, self._other_floppies(spec.name))
        check_model(image)
        kernel = self._find_linux(spec.kernel or DEFAULT_KERNEL)
        wanted, mounts = _wanted_nics(spec, image), plan_mounts(spec, image)
        disks, shares, floppy = len(mounts.disks), len(mounts.shares), spec.floppy is not None
        check_slots(spec.name, spec.profile, nics=len(wanted), disks=disks, shares=shares, floppy=floppy)
        check_folders(self._site, spec)
        memory = spec.memory or image.memory
        check_growth(spec, memory)
        return Checked(spec, kernel, memory, wanted)

    def _find_linux(self, name: str) -> str:
        kernel = self._site.kernels.get(name)
        if kernel.format != "linux":
            raise Invalid(f"kernel {kernel.name!r} is not Linux, and boots no image of ours", hint="take image plan9")
        return kernel.name

    async def remove(self, name: str, *, force: bool = False) -> None:
        """Take a machine away with everything it had. Raises WrongState while it runs, unless `force`."""
        machine = self._shelf.get(name)
        if machine.state.is_live and not force:
            raise WrongState(f"machine {name!r} is {machine.state}", hint="stop it first, or use rm -f")
        await self._shelf.save(machine.with_(removing=True))
        for hook in self.before_remove:
            await hook(name)
        await self._lifecycle.kill(name)
        async with self._lifecycle.locked(name):
            await self._ports.detach(machine)
            shutil.rmtree(self._site.layout.machine(name).folder, ignore_errors=True)
            await self._shelf.drop(name)
        await self._ports.sync_tables()
        self.tell_networks(machine)
        self._site.events.publish("machine.removed", name, f"machine {name} removed")

    def view(self, machine: MachineRecord) -> MachineView:
        """A machine as it is shown."""
        insert = self._site.shelves.inserts.find(machine.name)
        pid = machine.qemu or machine.monitor
        return MachineView(
            name=machine.name,
            room=self._site.room,
            image=machine.spec.image,
            state=machine.state,
            reason=machine.reason,
            insert=str(insert.port) if insert else None,
            networks=[
                _view_nic(number, nic, pinned=self._ports.pins.holds(machine, number))
                for number, nic in enumerate(machine.nics)
            ],
            pid=pid.pid if pid else None,
            kernel=machine.kernel,
            memory=machine.granted_memory,
            cpus=machine.granted_cpus,
            elastic=show(machine),
            ports=list(machine.published) or [_unpublished(port) for port in machine.spec.publish],
            health=self.find_health(machine.name),
            restarts=machine.restarts,
            again=machine.again_at,
            created=machine.created,
            started=machine.started,
            ready=machine.ready,
            exit=machine.exit,
            accel=self._site.facts.accel if machine.state.is_live else None,
            origin=machine.origin,
            enforced=self.find_enforced(machine),
            resident=_resident(pid.pid) if pid else None,
            **machine.spec.model_dump(include=_SHOWN),
            floppy=self._find_floppy(machine),
            settings=machine.settings,
        )

    def _other_floppies(self, name: str) -> Iterator[tuple[str, Path]]:
        yield from list_floppies(self._site.layout, [other for other in self._shelf if other.name != name])
        yield from self.floppies_elsewhere()

    def _find_floppy(self, machine: MachineRecord) -> str | None:
        image = self._site.images.find(machine.spec.image)
        return str(floppy_path(self._site, machine)) if image is not None and is_appliance(image) else None

    async def find_networks(self, nics: Sequence[NicSpec]) -> None:
        """The networks of NICs must be there; the default one is made. Raises NotFound."""
        for name in {nic.network for nic in nics if nic.network is not None}:
            if name == DEFAULT_NETWORK:
                await self._networks.ensure_default()
            self._site.shelves.networks.get(name)

    def tell_networks(self, machine: MachineRecord) -> None:
        """A machine came, went or moved: the room's name servers learn of it."""
        if any(nic.network is not None for nic in machine.nics):
            self._networks.tell_names()
        for hook in self.on_change:
            hook()


def _wanted_nics(spec: MachineSpec, image: ImageManifest) -> tuple[NicSpec, ...]:
    """What was asked for; else the sides of an appliance, or one NIC on the default network."""
    if spec.nics is not None:
        return spec.nics
    roles = [nic.role for nic in image.nics]
    if NicRole.NETWORK in roles or NicRole.MACHINE in roles:
        return tuple(NicSpec(role=role) for role in roles)
    return (NicSpec(network=DEFAULT_NETWORK),)


def _view_nic(number: int, nic: NicRecord, *, pinned: bool) -> Address:
    return Address(
        nic=number,
        network=nic.network,
        address=str(nic.address) if nic.address else None,
        address6=str(nic.address6) if nic.address6 else None,
        mac=nic.mac,
        pinned=pinned,
    )


def _unpublished(port: PublishSpec) -> PublishedPort:
    """A port of a machine that was never started."""
    return PublishedPort(**port.model_dump(mode="json"))


def _resident(pid: int) -> int | None:
    """Bytes of host memory a process holds now, shared pages included."""
    try:
        pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    except (FileNotFoundError, ProcessLookupError, IndexError):
        return None
    return pages * 4096
