"""Roots of a room's machines: served before a machine starts, withdrawn when it has ended."""

import asyncio
import logging
import shutil
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from weft.fabric.ports import Ports
from weft.fabric.records.machine import MachineRecord
from weft.fabric.reviving import Reviving
from weft.fabric.roots.finding import RootFiles, find_home
from weft.fabric.roots.porters import Porters
from weft.fabric.site import FORWARDERS, Site
from weft.host.file_server import check_folder
from weft.host.root_server import (
    WRITE_BACK,
    FolderRoot,
    SharedRoot,
    start_root_server,
)
from weft.host.sandbox import Identity
from weft.host.servants import end_servant, find_servant
from weft.model.errors import Invalid, WeftError
from weft.model.foreign import Changes
from weft.model.machine import MachineSpec, NicSpec
from weft.plan.callers import GatewayPort

log = logging.getLogger(__name__)


class Roots:
    """The roots of a room's machines. A server outlives the daemon, and the next one takes it over."""

    def __init__(self, site: Site, ports: Ports) -> None:
        self._site = site
        self._shelf = site.shelves.machines
        self._porters = Porters(site)
        self._locks: dict[str, asyncio.Lock] = defaultdict(asyncio.Lock)
        self._reviving = Reviving(site.tasks, "root", self._locks, self._revive)
        ports.callers.wants[GatewayPort.ROOT] = lambda machine: machine.spec.served_root is not None

    def check(self, spec: MachineSpec, _nics: Sequence[NicSpec]) -> None:
        """Raises Invalid for a folder that is not there, or that no machine may have."""
        plan9 = spec.served_root
        if plan9 is not None and plan9.root is not None:
            check_folder(Path(plan9.root))
            if Path(plan9.root).resolve().is_relative_to(self._site.home.resolve()):
                raise Invalid(f"{plan9.root} is the fabric's own: no machine may have it")

    async def open(self, machine: MachineRecord) -> None:
        """Serve a machine its root; it need not run yet. Raises Invalid, NotFound, Unavailable."""
        if machine.spec.served_root is not None:
            async with self._locks[machine.name]:
                await self._close(machine)
                await self._serve(machine)

    async def adopt(self, machine: MachineRecord) -> None:
        """A machine runs: its server is kept, or started where it does not serve any more."""
        if (home := find_home(self._site, machine)) is None:
            return
        async with self._locks[machine.name]:
            try:
                if server := find_servant(self._record(machine)):
                    await self._porters.ensure(home.network)
                    self._reviving.watch(machine.name, [server])
                else:
                    await self._serve(machine)
            except WeftError as err:
                log.warning("the root of %s: %s", machine.name, err)
                self._reviving.revive(machine.name)

    async def close(self, machine: MachineRecord) -> None:
        """Withdraw a machine's root. Nothing happens when it has none."""
        async with self._locks[machine.name]:
            await self._close(machine)

    async def _close(self, machine: MachineRecord) -> None:
        self._reviving.leave(machine.name)
        await end_servant(self._record(machine), patience=WRITE_BACK)
        if home := find_home(self._site, machine):
            self._porters.door(home.network.name, str(home.nic.address)).unlink(missing_ok=True)
            await self._porters.release(home.network.name)
        plan9 = machine.spec.served_root
        if plan9 is not None and plan9.changes is Changes.DISCARD:
            roots = self._site.layout.machine(machine.name).roots
            await asyncio.to_thread(shutil.rmtree, roots, ignore_errors=True)

    async def _serve(self, machine: MachineRecord) -> None:
        home = find_home(self._site, machine)
        if home is None:
            raise Invalid(f"machine {machine.name!r} is on no network whose gateway could serve its root")
        self._record(machine).parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        await end_servant(self._record(machine))
        await self._porters.ensure(home.network)
        server = start_root_server(
            self._record(machine),
            self._find(machine),
            self._porters.door(home.network.name, str(home.nic.address)),
            self._site.identity(FORWARDERS),
            self._site.service_doors(),
        )
        self._reviving.watch(machine.name, [server])

    def _find(self, machine: MachineRecord) -> SharedRoot | FolderRoot:
        """What is to be served: the folder that it was given, or its image's root."""
        plan9 = machine.spec.served_root
        assert plan9 is not None, "it has a root"
        if plan9.root is not None:
            return FolderRoot(Path(plan9.root), read_only=plan9.root_read_only)
        image = self._site.images.get(machine.spec.image)
        files = RootFiles.of(self._site.layout.machine(machine.name), image.name)
        identity = self._site.identity(machine.slot)
        owner = Identity(identity.uid, identity.gid) if identity else None
        limit, root = self._site.settings.root_changes, self._site.images.root_path(image)
        return SharedRoot(root, files.pack, files.changes, limit, plan9.root_read_only, owner)

    async def _revive(self, name: str) -> None:
        """Somebody has ended a machine's server, and it is not known to have been withdrawn."""
        async with self._locks[name]:
            machine = self._shelf.find(name)
            if machine is None or not machine.state.is_live or find_servant(self._record(machine)):
                return
            await self._serve(machine)
            text = f"the root server of {name} ended; another one is started, to which the machine has to attach anew"
            self._site.events.publish("machine.root", name, text)

    def _record(self, machine: MachineRecord) -> Path:
        return self._site.layout.machine(machine.name).root_server
