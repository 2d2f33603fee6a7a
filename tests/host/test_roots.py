"""Who serves a machine its root: replaced when somebody ends it, and never there for a machine that has ended."""

import asyncio
import signal
from collections.abc import AsyncIterator
from dataclasses import replace
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from tests.host.waiting import PATIENCE, wait_until
from tests.unit.paper_fabric import open_paper_room

from weft.fabric.ports import Ports
from weft.fabric.records.machine import MachineRecord, NicRecord
from weft.fabric.roots.serving import Roots
from weft.fabric.site import Site
from weft.host.namespace import Namespace
from weft.host.servants import Servant, end_servant, find_servant
from weft.model.image import NicRole
from weft.model.machine import MachineSpec, State

pytestmark = pytest.mark.host


@pytest.fixture
async def site(namespace: Namespace, tmp_path: Path) -> AsyncIterator[Site]:
    tmp_path.chmod(0o755)
    async with open_paper_room(tmp_path / "paper") as room:
        site = replace(room.site, namespace=namespace)
        yield site
        await site.tasks.cancel()
        for record in (root_of(site), porter_of(site)):
            await end_servant(record)


@pytest.fixture
async def fred(site: Site, tmp_path: Path) -> MachineRecord:
    """A machine that runs, of which a folder is the root."""
    (tmp_path / "root").mkdir()
    foreign = {"plan9": {"root": str(tmp_path / "root")}}
    spec = MachineSpec.model_validate({"name": "fred", "image": "plan9", "kernel": "9pc", "foreign": foreign})
    nic = NicRecord(mac="52:57:00:00:00:01", role=NicRole.LAN, network="lan", address=IPv4Address("10.0.0.2"))
    record = MachineRecord(spec=spec, slot=1, uuid="", created=1.0, kernel="9pc", memory=1 << 26, nics=(nic,))
    return await site.shelves.machines.save(record.with_(state=State.RUNNING))


def root_of(site: Site) -> Path:
    return site.layout.machine("fred").root_server


def porter_of(site: Site) -> Path:
    return site.layout.run / "roots" / "lan" / "porter.json"


def servants(site: Site) -> tuple[Servant | None, Servant | None]:
    """The root's server and the porter."""
    return find_servant(root_of(site)), find_servant(porter_of(site))


async def kill(servant: Servant | None) -> None:
    """And the program that it has walled in."""
    assert servant is not None
    await wait_until(servant.process.children)
    servant.process.children()[0].send(signal.SIGKILL)
    await asyncio.wait_for(servant.wait_end(), PATIENCE)


async def test_both_are_replaced_and_go_with_the_machine(site: Site, fred: MachineRecord) -> None:
    roots = Roots(site, Ports(site))
    await roots.open(fred)
    before = servants(site)
    for servant in before:
        await kill(servant)
    await wait_until(lambda: None not in servants(site) and not {*servants(site)} & {*before})
    told = [event.subject for event in site.events.since(0) if event.kind == "machine.root"]
    assert told == ["fred"]
    await roots.close(fred)
    assert servants(site) == (None, None)
    assert not porter_of(site).parent.exists()


async def test_a_machine_that_ends_while_its_server_is_replaced_leaves_none(site: Site, fred: MachineRecord) -> None:
    """The next server waits for the porter, which somebody looks after just then."""
    roots = Roots(site, Ports(site))
    await roots.open(fred)
    async with roots._porters._locks["lan"]:
        await kill(servants(site)[0])
        await asyncio.sleep(0.1)
        closing = asyncio.create_task(roots.close(fred))
        await asyncio.sleep(0.1)
    await closing
    assert servants(site) == (None, None)
    await wait_until(lambda: not site.tasks.running)
    assert servants(site) == (None, None)
