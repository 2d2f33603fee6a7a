"""The processes of copies: QEMUs that a template has been loaded into, and that stand still."""

import shutil
from dataclasses import replace

from weft.fabric.endings import leftovers, remove_group
from weft.fabric.launch import hold
from weft.fabric.moments.moment import Moment
from weft.fabric.moments.waking import prepare, rehearse
from weft.fabric.ports import Ports
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.pool import CopyRecord
from weft.fabric.records.record import Stamp
from weft.fabric.settings.floppies import ensure_floppy, is_appliance
from weft.fabric.site import Site
from weft.fabric.templates.choosing import find_spec
from weft.fabric.templates.templates import Templates
from weft.fabric.volumes import Volumes
from weft.host.pids import stop_processes
from weft.model.errors import Unavailable


class Making:
    """See `Maker`. Copies have the folders of the pool, and else all that machines have."""

    def __init__(self, site: Site, ports: Ports, templates: Templates, volumes: Volumes) -> None:
        self._site = replace(site, layout=site.layout.pool)
        self._shelf = site.shelves.copies
        self._ports = ports
        self._templates = templates
        self._volumes = volumes

    async def start(self, copy: CopyRecord) -> CopyRecord:
        """See `Maker`."""
        moment = await self._find_template(copy.machine)
        self._site.layout.create()
        await self._ports.attach(copy.machine)
        if is_appliance(self._site.images.get(copy.image)):
            await ensure_floppy(self._site, copy.machine)
        copy = await self._launch(copy, moment)
        await prepare(self._site.layout.machine(copy.name).qmp, moment.device)
        if self._site.facts.accel == "tcg":
            await rehearse(self._site.layout.machine(copy.name), self._site.settings.boot_timeout)
        return copy

    async def _find_template(self, machine: MachineRecord) -> Moment:
        """The template of such a machine, made if it is not there yet."""
        spec = find_spec(machine, self._site.images.get(machine.spec.image))
        if self._site.settings.templates and spec is not None:
            await self._templates.create(spec)
        moment = await self._templates.find(machine)
        if moment is None:
            raise Unavailable(f"there is no template of {machine.spec.image}", hint="see the setting `templates`")
        return moment

    async def _launch(self, copy: CopyRecord, moment: Moment) -> CopyRecord:
        held = await hold(self._site, self._volumes, copy.machine, moment)
        monitor = Stamp.of(held.latched.process)
        machine = copy.machine.with_(monitor=monitor, limits=held.limits, booted=held.booted, origin=moment.origin)
        copy = await self._shelf.save(copy.with_(machine=machine, macs=moment.shape.macs))
        held.latched.release()
        return copy

    async def end(self, machine: MachineRecord) -> None:
        """See `Maker`."""
        group = self._site.cgroups.group(machine.group_name)
        monitor = [] if machine.monitor is None else [*machine.monitor.id.children(), machine.monitor.id]
        await stop_processes([*monitor, *leftovers(machine, group.pids())], term_for=0)
        await remove_group(group)
        await self._ports.detach(machine)
        shutil.rmtree(self._site.layout.machine(machine.name).folder, ignore_errors=True)
