"""Opening a fabric: what its rooms share, then each room: its adapters, what runs, and the work that goes on beside."""

import hashlib
import logging
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from pathlib import Path

from weft.fabric.adopt import adopt, note_boot
from weft.fabric.events import EventLog, RoomEvents
from weft.fabric.fabric import Fabric
from weft.fabric.forgeries import watch_forgeries
from weft.fabric.images import Images
from weft.fabric.layout import Layout
from weft.fabric.ledger.host import assemble_host
from weft.fabric.ledger.host_ledger import HostLedger
from weft.fabric.logs import keep_logs
from weft.fabric.reconciling.reconciler import Reconciler
from weft.fabric.records.room import RoomRecord
from weft.fabric.room import Room, assemble
from weft.fabric.rooms import Rooms
from weft.fabric.shared import Shared
from weft.fabric.site import Receive, Shelves, Site, Tasks, hang_up
from weft.fabric.templates.library import open_library
from weft.host.cgroup import find_cgroups
from weft.host.facts import find_facts, read_stalled
from weft.host.kernel_links import open_links
from weft.host.namespace import open_namespace
from weft.image.store import ImageStore, KernelStore
from weft.model.names import DEFAULT_ROOM
from weft.settings import Settings
from weft.store.sqlite import SqliteStore

log = logging.getLogger(__name__)


@asynccontextmanager
async def open_fabric(home: Path, settings: Settings, init: bytes, receive: Receive = hang_up) -> AsyncIterator[Fabric]:
    """The fabric in `home`, adopted; `init` is the guest's init, `receive` answers machines that call for the file
    tree. Closing it leaves everything running."""
    layout = Layout(home)
    layout.create()
    async with AsyncExitStack() as stack:
        store = SqliteStore(layout.store)
        stack.push_async_callback(store.close)
        facts = await find_facts(layout.run, settings.accel)
        shared = Shared(
            id=hashlib.sha256(bytes(home)).hexdigest()[:8],
            layout=layout,
            settings=settings,
            facts=facts,
            images=ImageStore(home),
            kernels=KernelStore(home),
            store=store,
            events=EventLog(time.time),
            clock=time.time,
            same_boot=await note_boot(store),
            init=init,
            templates=open_library(layout.home / "templates", time.time),
            ledger=HostLedger(facts, settings),
            receive=receive,
        )
        rooms = Rooms(shared, partial(open_room, shared))
        stack.push_async_callback(rooms.close)
        await rooms.open()
        images, host, tasks = Images(shared, rooms), assemble_host(shared, rooms), Tasks()
        stack.push_async_callback(tasks.cancel)
        tasks.start(host.reclaiming.watch(read_stalled), "watch-host")
        yield Fabric(shared, rooms, images, Reconciler(shared, rooms, images), host)
        shared.events.close()


@asynccontextmanager
async def open_room(shared: Shared, record: RoomRecord, shelves: Shelves) -> AsyncIterator[Room]:
    """A room, adopted. Closing it leaves everything in it running."""
    begin = time.monotonic()
    async with AsyncExitStack() as stack:
        site = await _open_site(stack, shared, record, shelves)
        room = assemble(site, shared.templates, record.spec.isolation)
        stack.callback(room.runs.release)
        stack.push_async_callback(site.tasks.cancel)
        await adopt(room, same_boot=shared.same_boot)
        log.info("room %s: adopted %d machines in %.3f s", record.name, len(shelves.machines), time.monotonic() - begin)
        site.tasks.start(keep_logs(site), "keep-logs")
        site.tasks.start(room.templates.keep(), "keep-templates")
        site.tasks.start(room.hearts.watch_carriers(), "watch-carriers")
        site.tasks.start(watch_forgeries(site, room.ports.pins), "watch-forgeries")
        site.tasks.start(room.keeping.keep(), "keep-pools")
        site.tasks.start(room.recording.keep(), "keep-history")
        site.tasks.start(site.namespace.keep(), "keep-namespace")
        yield room


async def _open_site(stack: AsyncExitStack, shared: Shared, record: RoomRecord, shelves: Shelves) -> Site:
    is_default = record.name == DEFAULT_ROOM
    layout = shared.layout if is_default else shared.layout.room(record.name)
    layout.create()
    namespace = await open_namespace(layout.run)
    stack.push_async_callback(namespace.close)
    links = await open_links(namespace)
    stack.push_async_callback(links.close)
    await links.ensure_void()
    return Site(
        room=record.name,
        block=record.block,
        home=shared.layout.home,
        layout=layout,
        settings=shared.settings,
        facts=shared.facts,
        namespace=namespace,
        links=links,
        cgroups=find_cgroups(shared.id if is_default else f"{shared.id}-{record.name}"),
        images=shared.images,
        kernels=shared.kernels,
        shelves=shelves,
        events=RoomEvents(shared.events, record.name),
        clock=shared.clock,
        tasks=Tasks(),
        init=shared.init,
        ledger=shared.ledger,
        receive=shared.receive,
    )
