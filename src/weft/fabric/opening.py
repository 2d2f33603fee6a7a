"""Opening a fabric: its adapters, its records, what runs, and the work that goes on beside."""

import hashlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from weft.fabric.adopt import adopt
from weft.fabric.events import EventLog
from weft.fabric.fabric import Fabric, assemble
from weft.fabric.layout import Layout
from weft.fabric.logs import keep_logs
from weft.fabric.records import InsertRecord, MachineRecord, NetworkRecord, Shelf, VolumeRecord
from weft.fabric.site import Shelves, Site, Tasks
from weft.host.cgroup import find_cgroups
from weft.host.facts import find_facts
from weft.host.kernel_links import open_links
from weft.host.namespace import open_namespace
from weft.image.store import ImageStore, KernelStore
from weft.settings import Settings
from weft.store.contract import Store
from weft.store.sqlite import SqliteStore

log = logging.getLogger(__name__)


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
        await adopt(fabric, store)
        log.info("adopted %d machines in %.3f s", len(site.shelves.machines), time.monotonic() - begin)
        site.tasks.start(keep_logs(site), "keep-logs")
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
        Shelf(store, "volumes", VolumeRecord),
    )
    await shelves.load()
    return shelves
