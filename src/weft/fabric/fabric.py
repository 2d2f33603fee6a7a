"""A whole fabric: its parts put together, adopted, closed."""

import asyncio
import hashlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from weft.fabric.consoles import Consoles
from weft.fabric.events import EventLog
from weft.fabric.hearts import Hearts
from weft.fabric.inserts import Inserts
from weft.fabric.layout import Layout
from weft.fabric.lifecycle import Lifecycle
from weft.fabric.logs import rotate_log
from weft.fabric.machines import Machines
from weft.fabric.networks import Networks
from weft.fabric.ports import Ports
from weft.fabric.records import InsertRecord, MachineRecord, NetworkRecord, Shelf
from weft.fabric.site import Shelves, Site, Tasks
from weft.fabric.sniff import Sniffers
from weft.host.cgroup import find_cgroups
from weft.host.facts import find_facts
from weft.host.kernel_links import open_links
from weft.host.namespace import open_namespace
from weft.image.store import ImageStore, KernelStore
from weft.model.machine import State
from weft.settings import Settings
from weft.store.contract import Store
from weft.store.sqlite import SqliteStore

log = logging.getLogger(__name__)

BOOT_KEY = "host/boot"
LOG_CHECK = 5.0
"""Seconds between looks at the sizes of serial logs."""


@dataclass(frozen=True, slots=True)
class Fabric:
    """All controllers of one fabric."""

    site: Site
    networks: Networks
    ports: Ports
    lifecycle: Lifecycle
    machines: Machines
    hearts: Hearts
    inserts: Inserts
    sniffers: Sniffers
    consoles: Consoles

    async def dismantle(self) -> None:
        """Stop every machine and take all wiring away; machines, networks and inserts stay on record."""
        live = [machine.name for machine in self.site.shelves.machines if machine.state.is_live]
        await asyncio.gather(*(self.lifecycle.stop(name) for name in live))
        await self.networks.take_down_all()
        await self.site.namespace.stop()
        self.site.cgroups.remove()


@asynccontextmanager
async def open_fabric(home: Path, settings: Settings, init: bytes) -> AsyncIterator[Fabric]:
    """The fabric in `home`, adopted; `init` is the guest's init. Closing it leaves everything running."""
    begin = time.monotonic()
    layout = Layout(home)
    layout.create()
    async with AsyncExitStack() as stack:
        store = SqliteStore(layout.store)
        stack.push_async_callback(store.close)
        site = await _open_site(stack, layout, settings, store, init)
        fabric = assemble(site)
        stack.callback(fabric.lifecycle.release)
        stack.push_async_callback(site.tasks.cancel)
        await _adopt(fabric, store)
        log.info("adopted %d machines in %.3f s", len(site.shelves.machines), time.monotonic() - begin)
        site.tasks.start(_rotate_logs(site), "rotate-logs")
        site.tasks.start(fabric.hearts.watch_carriers(), "watch-carriers")
        site.tasks.start(site.namespace.keep(), "keep-namespace")
        yield fabric
        site.events.close()


async def _open_site(stack: AsyncExitStack, layout: Layout, settings: Settings, store: Store, init: bytes) -> Site:
    namespace = await open_namespace(layout.run)
    stack.push_async_callback(namespace.close)
    links = await open_links(namespace)
    stack.push_async_callback(links.close)
    await links.ensure_void()
    fabric_id = hashlib.sha256(bytes(layout.home)).hexdigest()[:8]
    return Site(
        id=fabric_id,
        layout=layout,
        settings=settings,
        facts=await find_facts(layout.run, settings.accel),
        namespace=namespace,
        links=links,
        cgroups=find_cgroups(fabric_id),
        images=ImageStore(layout.home),
        kernels=KernelStore(layout.home),
        shelves=await _load_shelves(store),
        events=EventLog(time.time),
        clock=time.time,
        tasks=Tasks(),
        init=init,
    )


async def _load_shelves(store: Store) -> Shelves:
    shelves = Shelves(
        Shelf(store, "machines", MachineRecord),
        Shelf(store, "networks", NetworkRecord),
        Shelf(store, "inserts", InsertRecord),
    )
    await shelves.load()
    return shelves


def assemble(site: Site) -> Fabric:
    """The controllers of a site, joined to each other; nothing is adopted or started."""
    networks, ports, lifecycle, hearts = Networks(site), Ports(site), Lifecycle(site), Hearts(site)
    machines = Machines(site, networks, ports, lifecycle)
    inserts = Inserts(site, machines, ports, lifecycle, hearts)
    machines.before_remove = inserts.remove_from
    lifecycle.on_ready += [hearts.on_ready, inserts.on_ready]
    lifecycle.on_end += [hearts.on_end, inserts.on_end]
    return Fabric(
        site, networks, ports, lifecycle, machines, hearts, inserts, Sniffers(inserts, lifecycle), Consoles(site)
    )


async def _adopt(fabric: Fabric, store: Store) -> None:
    """Compare what is on record with what runs, repair the difference, and go on with what was begun."""
    site = fabric.site
    boot = Path("/proc/sys/kernel/random/boot_id").read_bytes()
    last = await store.get(BOOT_KEY)
    same_boot = last is not None and last.value == boot
    await store.put(BOOT_KEY, boot)
    await fabric.networks.adopt()
    for machine in site.shelves.machines:
        await fabric.ports.attach(machine)
    for machine in site.shelves.machines:
        await fabric.ports.splice_all(machine)
    for machine in site.shelves.machines:
        if machine.state.is_live:
            await fabric.lifecycle.adopt(machine, same_boot=same_boot)
    for insert in site.shelves.inserts:
        await fabric.inserts.adopt(insert)
    for machine in site.shelves.machines:
        if machine.removing:
            site.tasks.start(fabric.machines.remove(machine.name, force=True), f"remove-{machine.name}")


async def _rotate_logs(site: Site) -> None:
    while True:
        await asyncio.sleep(LOG_CHECK)
        for machine in site.shelves.machines:
            if machine.state is State.RUNNING:
                path = site.layout.machine(machine.name).log
                await asyncio.to_thread(rotate_log, path, site.settings.log_bytes)
