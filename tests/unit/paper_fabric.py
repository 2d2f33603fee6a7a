"""A fabric on paper: real controllers and a real store, links that are not there, and nothing that could be started."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any, cast

from weft.fabric.events import EventLog
from weft.fabric.fabric import Fabric, assemble
from weft.fabric.layout import Layout
from weft.fabric.records import InsertRecord, MachineRecord, NetworkRecord, Shelf, VolumeRecord
from weft.fabric.site import Shelves, Site, Tasks
from weft.host.facts import HostFacts
from weft.host.fake_links import FakeLinks
from weft.image.store import ImageStore, KernelStore
from weft.model.image import ImageManifest, ImageNic, KernelInfo, NicRole
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
    """With the images `base` and `sniffer`, a kernel, and the network `lan`. With every look it is a second later."""
    layout = Layout(home)
    layout.create()
    _add_files(home)
    store = SqliteStore(layout.store)
    shelves = Shelves(
        Shelf(store, "machines", MachineRecord),
        Shelf(store, "networks", NetworkRecord),
        Shelf(store, "inserts", InsertRecord),
        Shelf(store, "volumes", VolumeRecord),
    )
    ticks = itertools.count(1000)
    links = FakeLinks()
    site = Site(
        id="paper",
        layout=layout,
        settings=load_settings(home),
        facts=FACTS,
        namespace=cast(Any, None),
        links=links,
        cgroups=cast(Any, None),
        images=ImageStore(home),
        kernels=KernelStore(home),
        shelves=shelves,
        events=EventLog(lambda: float(next(ticks))),
        clock=lambda: float(next(ticks)),
        tasks=Tasks(),
        init=b"",
    )
    lan = NetworkSpec(name="lan", subnet=IPv4Network("10.0.0.0/29"))
    await shelves.networks.save(NetworkRecord(spec=lan, slot=1, created=1.0))
    await links.create_bridge("n1", mtu=1500, alias="weft network lan")
    yield assemble(site)
    await site.tasks.cancel()
    await store.close()


def _add_files(home: Path) -> None:
    base = ImageManifest(name="base", version="1", digest=DIGEST, size=0, created=CREATED)
    sniffer = ImageManifest(name="sniffer", version="1", digest=DIGEST, size=0, created=CREATED, nics=SIDES, wire=True)
    kernel = KernelInfo(name="default", release="6.1", digest=DIGEST, size=0, origin="imported", created=CREATED)
    for record, path in (
        (base, home / "images" / "base" / "image.json"),
        (sniffer, home / "images" / "sniffer" / "image.json"),
        (kernel, home / "kernels" / "default" / "kernel.json"),
    ):
        path.parent.mkdir(parents=True)
        path.write_text(record.model_dump_json())
