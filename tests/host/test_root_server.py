"""Roots of diskless machines: servers behind their walls, and the porter that leads each machine to its own."""

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.host.conftest import AS_ROOT
from tests.host.waiting import wait_until
from tests.unit.ninep_packs import write_pack

from weft.host.gateway_listener import listen_inside
from weft.host.namespace import Namespace
from weft.host.process import run
from weft.host.root_server import (
    FolderRoot,
    SharedRoot,
    start_porter,
    start_root_server,
)
from weft.host.sandbox import Identity
from weft.host.servants import Servant, end_servant, find_servant
from weft.model.errors import Invalid
from weft.ninep.calling import Caller
from weft.ninep.client import MSIZE, WRITE, NinepClient
from weft.ninep.messages import Tattach
from weft.ninep.words import NO_FID, NinepError

pytestmark = pytest.mark.host

GATEWAY, ONE, TWO, STRANGER = "127.0.0.1", "127.0.0.2", "127.0.0.3", "127.0.0.4"
PORT, LIMIT, PATIENCE = 564, 1 << 20, 60.0


class Site:
    """A gateway, and roots behind it."""

    def __init__(self, namespace: Namespace, folder: Path, identity: Identity | None) -> None:
        self.namespace, self.folder, self.identity = namespace, folder, identity
        self.doors = folder / "doors"
        self.doors.mkdir()
        self.doors.chmod(0o755)
        self.pack = write_pack(folder / "root.p9", {"lib/namespace": b"mount", "tmp": None})
        self.pack.chmod(0o644)
        self.started: list[Servant] = []

    async def start_porter(self) -> Servant:
        with await listen_inside(self.namespace, GATEWAY, PORT) as listener:
            porter = start_porter(self.namespace, self.folder / "porter.json", listener, self.doors, self.identity)
        self.started.append(porter)
        return porter

    def share(self, address: str) -> Servant:
        mine = self.folder / address
        root = SharedRoot(self.pack, mine / "root.p9", mine / "changes", LIMIT, read_only=False, owner=self.identity)
        return self.serve(address, root)

    def serve(self, address: str, root: SharedRoot | FolderRoot) -> Servant:
        server = start_root_server(self.record(address), root, self.doors / address, self.identity)
        self.started.append(server)
        return server

    def record(self, address: str) -> Path:
        return self.folder / f"{address}.json"

    @asynccontextmanager
    async def attached(self, address: str) -> AsyncIterator[NinepClient]:
        """What a machine with this address would have. A server that is not up yet lets it wait."""
        sock = await self.namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        sock.setblocking(False)
        sock.bind((address, 0))
        await asyncio.get_running_loop().sock_connect(sock, (GATEWAY, PORT))
        caller = Caller(*await asyncio.open_connection(sock=sock), MSIZE)
        try:
            await caller.agree()
            await caller.call(Tattach(1, NO_FID, "glenda", ""))
            yield NinepClient(caller)
        finally:
            with suppress(OSError):
                await caller.close()


@pytest.fixture
async def site(namespace: Namespace, tmp_path: Path, identity: Identity | None) -> AsyncIterator[Site]:
    await run(namespace.argv(["ip", "link", "set", "lo", "up"]))
    tmp_path.chmod(0o755)
    site = Site(namespace, tmp_path, identity)
    async with asyncio.timeout(2 * PATIENCE):
        await site.start_porter()
        yield site
    for servant in site.started:
        await end_servant(servant.record)


async def test_two_machines_share_an_image_and_see_their_own_changes(site: Site) -> None:
    site.share(ONE), site.share(TWO)
    async with site.attached(ONE) as one, site.attached(TWO) as two:
        await one.write("lib/namespace", b"first's own")
        await one.create("tmp/one", b"data")
        await two.remove("lib/namespace")
        assert await one.read("lib/namespace") == b"first's own"
        assert [stat.name for stat in await one.list("tmp")] == ["one"]
        assert [stat.name for stat in await two.list("lib")] == []
        assert await two.list("tmp") == []
    assert sorted(path.name for path in (site.folder / ONE / "changes").iterdir())[:1] == ["changes.db"]


async def test_whoever_has_no_root_is_hung_up_on(site: Site) -> None:
    server = site.share(ONE)
    async with site.attached(ONE) as client:
        await client.stat()
    for address in (TWO, STRANGER):
        with pytest.raises(NinepError):
            async with site.attached(address):
                pytest.fail("it was served")
    await end_servant(server.record, patience=PATIENCE)
    with pytest.raises(NinepError):
        async with site.attached(ONE):
            pytest.fail("nobody serves it")


async def test_changes_survive_a_server_that_is_killed(site: Site) -> None:
    server = site.share(ONE)
    async with site.attached(ONE) as client:
        await client.create("tmp/kept", b"data")
        (program,) = server.process.children()
        program.send(signal.SIGKILL)
        await asyncio.wait_for(server.wait_end(), PATIENCE)
        with pytest.raises(NinepError):
            await client.read("tmp/kept")
    assert find_servant(site.record(ONE)) is None
    site.share(ONE)
    async with site.attached(ONE) as client:
        assert await client.read("tmp/kept") == b"data"


async def test_a_server_without_its_watcher_is_ended_too(site: Site) -> None:
    server = site.share(ONE)
    async with site.attached(ONE) as client:
        await client.stat()
    (program,) = server.process.children()
    watching = asyncio.create_task(server.wait_end())
    await wait_until(lambda: "program" in site.record(ONE).read_text(), PATIENCE)
    server.process.send(signal.SIGKILL)
    await asyncio.wait_for(watching, PATIENCE)
    assert program.alive()
    await end_servant(server.record)
    assert not program.alive()


async def test_a_stopped_server_has_put_everything_in_order(site: Site) -> None:
    server = site.share(ONE)
    async with site.attached(ONE) as client, await client.walk("lib/namespace") as file:
        await file.open(WRITE)
        await file.write(b"M")
        await end_servant(server.record, patience=PATIENCE)
    assert not (site.folder / ONE / "changes" / "changes.db-wal").exists()  # SQLite was closed
    assert not site.record(ONE).exists()


async def test_servants_are_found_by_their_records(site: Site) -> None:
    server = site.share(ONE)
    found = find_servant(site.record(ONE))
    assert found is not None
    assert found.process == server.process
    porter = find_servant(site.folder / "porter.json")
    assert porter is not None
    await end_servant(porter.record)
    assert find_servant(site.folder / "porter.json") is None
    await site.start_porter()
    async with site.attached(ONE) as client:
        assert await client.read("lib/namespace") == b"mount"


async def test_a_folder_of_the_host_is_its_owners(site: Site) -> None:
    folder = site.folder / "folder"
    folder.mkdir(mode=0o755)
    (folder / "file").write_bytes(b"old")
    if AS_ROOT:
        os.chown(folder, 70456, 70456)
    site.serve(ONE, FolderRoot(folder, read_only=False))
    site.serve(TWO, FolderRoot(folder, read_only=True))
    async with site.attached(ONE) as one, site.attached(TWO) as two:
        await one.create("new", b"from inside")
        assert await two.read("new") == b"from inside"
        with pytest.raises(NinepError):
            await two.create("other", b"x")
        if AS_ROOT:
            with pytest.raises(NinepError, match="ermission"):
                await one.write("file", b"root's")
    assert (folder / "new").read_bytes() == b"from inside"
    assert (folder / "new").stat().st_uid == folder.stat().st_uid
    with pytest.raises(Invalid):
        site.serve(STRANGER, FolderRoot(site.folder / "nowhere", read_only=True))


async def test_a_server_sees_and_may_little(site: Site) -> None:
    server = site.share(ONE)
    async with site.attached(ONE) as client:
        assert await client.read("lib/namespace") == b"mount"
    (program,) = server.process.children()
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{program.pid}/status").read_text().splitlines())
    assert int(status["CapEff"], 16) == 0
    assert int(status["NoNewPrivs"]) == 1
    uid = site.identity.uid if site.identity else os.getuid()
    assert status["Uid"].split()[0] == str(uid)
    links = await run(["nsenter", f"--target={program.pid}", "--net", "ip", "-o", "link"]) if AS_ROOT else None
    assert links is None or [line.split(":")[1].strip() for line in links.text.splitlines()] == ["lo"]
    await wait_until(lambda: Path(f"/proc/{program.pid}/root/machine").is_dir())
