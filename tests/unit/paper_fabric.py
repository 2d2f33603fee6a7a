"""A fabric on paper: real controllers and a real store, links that are not there, and nothing that could be started."""

import itertools
import socket
import struct
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, cast

from weft.fabric.events import EventLog, RoomEvents
from weft.fabric.fabric import Fabric
from weft.fabric.images import Images
from weft.fabric.layout import Layout
from weft.fabric.ledger.host import assemble_host
from weft.fabric.ledger.host_ledger import HostLedger
from weft.fabric.reconciling.reconciler import Reconciler
from weft.fabric.records.network import NetworkRecord
from weft.fabric.records.room import RoomRecord
from weft.fabric.room import Room, assemble
from weft.fabric.rooms import Rooms
from weft.fabric.shared import Shared
from weft.fabric.site import Shelves, Site, Tasks, hang_up
from weft.fabric.templates.library import open_library
from weft.host.cgroup import CgroupMode, Cgroups
from weft.host.facts import HostFacts
from weft.host.fake_links import FakeLinks
from weft.image.store import ImageStore, KernelStore
from weft.model.image import ImageManifest, ImageNic, KernelInfo, NicRole
from weft.model.names import DEFAULT_ROOM
from weft.model.network import NetworkSpec
from weft.settings import load_settings
from weft.store.sqlite import SqliteStore

DIGEST = "sha256:" + "0" * 64
CREATED = datetime(2026, 1, 1, tzinfo=UTC)
FACTS = HostFacts(
    qemu="/usr/bin/qemu-system-x86_64",
    qemu_version=(7, 2, 0),
    accel="tcg",
    accel_reason="on paper",
    cpus=2,
    memory_bytes=4 << 30,
    tsc_khz=0,
    root=False,
)
SIDES = (ImageNic(name="eth0", role=NicRole.NETWORK), ImageNic(name="eth1", role=NicRole.MACHINE))


@asynccontextmanager
async def open_paper_fabric(home: Path) -> AsyncIterator[Fabric]:
    """With the images `base` and `sniffer`, a kernel, and the network `lan` in each room. With every look it is a
    second later."""
    layout = Layout(home)
    layout.create()
    _add_files(home)
    store = SqliteStore(layout.store)
    ticks, settings = itertools.count(1000), load_settings(home)
    shared = Shared(
        id="0badcafe",
        layout=layout,
        settings=settings,
        facts=FACTS,
        images=ImageStore(home),
        kernels=KernelStore(home),
        store=store,
        events=EventLog(lambda: float(next(ticks))),
        clock=lambda: float(next(ticks)),
        same_boot=True,
        init=b"",
        templates=open_library(home / "templates", lambda: float(next(ticks))),
        ledger=HostLedger(FACTS, settings, lambda: FACTS.memory_bytes),
        receive=hang_up,
    )
    rooms = Rooms(shared, partial(_open_paper_room, shared))
    await rooms.open()
    images = Images(shared, rooms)
    yield Fabric(shared, rooms, images, Reconciler(shared, rooms, images), assemble_host(shared, rooms))
    await rooms.close()
    await store.close()


@asynccontextmanager
async def open_paper_room(home: Path) -> AsyncIterator[Room]:
    """The default room of such a fabric."""
    async with open_paper_fabric(home) as fabric:
        yield fabric.default


@asynccontextmanager
async def _open_paper_room(shared: Shared, record: RoomRecord, shelves: Shelves) -> AsyncIterator[Room]:
    layout = shared.layout if record.name == DEFAULT_ROOM else shared.layout.room(record.name)
    layout.create()
    links = FakeLinks()
    site = Site(
        room=record.name,
        block=record.block,
        home=shared.layout.home,
        layout=layout,
        settings=shared.settings,
        facts=shared.facts,
        namespace=cast(Any, PaperNamespace()),
        links=links,
        cgroups=Cgroups(CgroupMode.NONE, (), "on paper"),
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
    if shelves.networks.find("lan") is None:
        lan = NetworkSpec(name="lan", subnet=IPv4Network("10.0.0.0/29"))
        await shelves.networks.save(NetworkRecord(spec=lan, slot=1, created=1.0))
    await links.create_bridge("n1", mtu=1500, alias="weft network lan")
    yield assemble(site, shared.templates, record.spec.isolation)
    await site.tasks.cancel()


class PaperNamespace:
    """One that nothing can be started in, and that can be given up."""

    mark = "paper"

    def __init__(self) -> None:
        self._ends: list[socket.socket] = []
        """What nobody reads stays open, or a send would fail."""

    def argv(self, argv: Sequence[str]) -> list[str]:
        """What would run inside does nothing."""
        return ["true"]

    async def set_sysctl(self, name: str, value: str) -> bool:
        """No kernel has it."""
        return False

    async def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """One with netlink's word that all is well, whatever is asked for."""
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
        theirs.send(struct.pack("=IHHIIi", 20, 2, 0, 0, 0, 0))
        self._ends.append(theirs)
        return ours

    async def stop(self) -> None:
        """Nothing is there to be stopped."""


def _add_files(home: Path) -> None:
    base = ImageManifest(name="base", version="1", digest=DIGEST, size=0, created=CREATED)
    sniffer = ImageManifest(name="sniffer", version="1", digest=DIGEST, size=0, created=CREATED, nics=SIDES, wire=True)
    kernel = KernelInfo(name="default", release="6.1", digest=DIGEST, size=0, origin="imported", created=CREATED)
    for record, path in (
        (base, home / "images" / "base" / "image.json"),
        (sniffer, home / "images" / "sniffer" / "image.json"),
        (kernel, home / "kernels" / "default" / "kernel.json"),
    ):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(record.model_dump_json())
