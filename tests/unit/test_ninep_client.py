"""The client against the server: files by their paths, many requests at once, cancelled ones, secrets."""

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from tests.unit.ninep_memory import MemoryTree
from tests.unit.ninep_wire import PATIENCE, Wire, open_wire

from weft.ninep import messages as m
from weft.ninep.auth import SCHEME, SharedSecret, prove
from weft.ninep.calling import Disconnected
from weft.ninep.client import WRITE, NinepClient, open_client
from weft.ninep.codec import dump
from weft.ninep.limits import Limits
from weft.ninep.listening import TcpAddress, UnixAddress, listen, parse_dial
from weft.ninep.server import NinepServer
from weft.ninep.words import NO_FID, NO_TAG, Mode, NinepError, StatChange

SECRET = b"correct horse"


@asynccontextmanager
async def served(server: NinepServer, dial: str) -> AsyncIterator[str]:
    """Where it can be dialled."""
    with listen(dial) as listener:
        serving = asyncio.create_task(server.serve(listener))
        try:
            name = listener.getsockname()
            yield dial if listener.family == socket.AF_UNIX else f"tcp!{name[0]}!{name[1]}"
        finally:
            serving.cancel()
            await asyncio.wait([serving], timeout=PATIENCE)


@pytest.fixture
async def tree() -> AsyncIterator[MemoryTree]:
    tree = MemoryTree()
    tree.add("a", b"some text")
    tree.add("never").ready = asyncio.Event()
    yield tree
    assert (tree.nodes, tree.files) == (0, 0)


@pytest.fixture(params=["tcp!127.0.0.1!0", "unix"])
async def client(request: pytest.FixtureRequest, tree: MemoryTree, tmp_path: Path) -> AsyncIterator[NinepClient]:
    dial = f"unix!{tmp_path}/9p" if request.param == "unix" else request.param
    server = NinepServer(tree, limits=Limits(msize=2048))
    async with served(server, dial) as dial, open_client(dial, user="bo") as client:
        yield client


async def wait_for(condition: Callable[[], bool], look: Callable[[], Awaitable[object]]) -> None:
    """Until it holds; `look` asks the server something, which takes at least a turn of its loop."""
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await look()


async def test_files(client: NinepClient, tree: MemoryTree) -> None:
    assert await client.read("/a") == b"some text"
    await client.write("a", b"new")
    assert tree.root.children["a"].data == b"new"
    await client.write("a", b"N", WRITE)
    assert await client.read("a") == b"New"
    await client.create("d", perm=Mode.DIR | 0o755)
    await client.create("d/f", b"x")
    assert [stat.name for stat in await client.list("d")] == ["f"]
    await client.wstat("d/f", StatChange(name="g", mtime=5))
    stat = await client.stat("d/g")
    assert (stat.name, stat.length, stat.mtime) == ("g", 1, 5)
    await client.remove("d/g")
    with pytest.raises(NinepError, match="does not exist"):
        await client.read("d/g")
    assert (await client.stat()).qid.is_dir
    assert (tree.nodes, tree.files) == (1, 0)


async def test_what_has_no_room_in_a_message(client: NinepClient, tree: MemoryTree) -> None:
    data = bytes(range(256)) * 50
    await client.create("large", data)
    assert tree.root.children["large"].data == data
    assert await client.read("large") == data
    for number in range(300):
        tree.add(f"file{number}")
    assert [stat.name for stat in await client.list()] == list(tree.root.children)


async def test_long_ways(client: NinepClient, tree: MemoryTree) -> None:
    parent = None
    for depth in range(40):
        parent = tree.add(f"d{depth}", mode=Mode.DIR | 0o755, parent=parent)
    path = "/".join(f"d{depth}" for depth in range(40))
    seen = await asyncio.gather(*[client.stat(path[: path.index(f"d{depth}") + 3]) for depth in range(15, 40)])
    assert [stat.name for stat in seen] == [f"d{depth}" for depth in range(15, 40)]
    for missing in ("x", f"{path}/x", path.replace("d20", "x"), path.replace("d16", "x")):
        with pytest.raises(NinepError, match="does not exist"):
            await client.stat(missing)
    assert tree.nodes == 1


async def test_many_at_once(client: NinepClient) -> None:
    assert await asyncio.gather(*[client.read("a") for _ in range(100)]) == [b"some text"] * 100


async def test_who_is_cancelled_flushes(client: NinepClient, tree: MemoryTree) -> None:
    """Whatever the request was at: in the end the server holds nothing for it."""
    for path in ("never", "a"):
        for patience in (1, 2, 4, 8):
            reading = asyncio.create_task(client.read(path))
            for _ in range(patience):
                await asyncio.sleep(0)
            reading.cancel()
            await asyncio.wait([reading])
    await wait_for(lambda: (tree.nodes, tree.files) == (1, 0), client.stat)


async def test_tags_are_used_again(client: NinepClient, tree: MemoryTree) -> None:
    """With few tags to be had, whoever gave up does not take along the reply of who came after him."""
    never = tree.root.children["never"]
    for round_ in range(30):
        client._caller._last_tag = 0
        gone = [asyncio.create_task(client.read("never")) for _ in range(5)]
        for _ in range(round_ % 7):
            await asyncio.sleep(0)
        for task in gone:
            task.cancel()
        client._caller._last_tag = 0
        reads = [client.read("a") for _ in range(10)]
        assert await asyncio.wait_for(asyncio.gather(*reads), PATIENCE) == [b"some text"] * 10
    await wait_for(lambda: (tree.nodes, tree.files) == (1, 0), client.stat)
    assert never.ready is not None
    assert not never.ready.is_set()


async def test_an_event_overtakes(client: NinepClient, tree: MemoryTree) -> None:
    waiting = asyncio.create_task(client.read("never"))
    assert await client.read("a") == b"some text"
    never = tree.root.children["never"]
    never.data = b"now"
    assert never.ready is not None
    never.ready.set()
    assert await waiting == b"now"


async def test_a_server_that_goes_is_noticed(tree: MemoryTree, tmp_path: Path) -> None:
    async with served(NinepServer(tree), f"unix!{tmp_path}/9p") as dial:
        client = await NinepClient.connect(dial)
        waiting = asyncio.create_task(client.read("never"))
        await client.read("a")
    with pytest.raises(Disconnected):
        await asyncio.wait_for(waiting, PATIENCE)
    with pytest.raises(Disconnected):
        await client.stat()
    await client.close()


@pytest.mark.parametrize(
    ("answers", "problem"),
    [
        ([dump(NO_TAG, m.Rversion(8192, "unknown"))], "does not speak 9P2000"),
        ([dump(NO_TAG, m.Rversion(8192, m.VERSION)), dump(1, m.Rclunk())], "Tattach with Rclunk"),
        ([dump(NO_TAG, m.Rversion(8192, m.VERSION)), dump(1, m.Rerror("go away"))], "go away"),
        ([dump(NO_TAG, m.Rversion(8192, m.VERSION)), b""], "has ended the connection"),
        ([b"HTTP/1.1 400 Bad Request\r\n\r\n"], "the connection is lost"),
    ],
)
async def test_a_server_that_says_something_else(tmp_path: Path, answers: list[bytes], problem: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for some in answers:
            await reader.read(1000)
            writer.write(some)
        writer.close()

    async with await asyncio.start_unix_server(answer, tmp_path / "9p"):
        with pytest.raises(NinepError, match=problem):
            await NinepClient.connect(f"unix!{tmp_path}/9p")


@pytest.mark.parametrize("dial", ["tcp!127.0.0.1!1", "unix!/nowhere/9p"])
async def test_nobody_there(dial: str) -> None:
    with pytest.raises(Disconnected, match=dial):
        await NinepClient.connect(dial)


async def test_a_secret_is_proved_by_both(tree: MemoryTree, tmp_path: Path) -> None:
    server = NinepServer(tree, auth=SharedSecret(SECRET))
    async with served(server, f"unix!{tmp_path}/9p") as dial:
        async with open_client(dial, user="bo", secret=SECRET) as client:
            assert await client.read("a") == b"some text"
        with pytest.raises(NinepError, match="authentication failed"):
            await NinepClient.connect(dial, user="bo", secret=b"wrong")
        with pytest.raises(NinepError, match="authentication required"):
            await NinepClient.connect(dial, user="bo")


async def test_a_secret_that_nobody_wants(tree: MemoryTree, tmp_path: Path) -> None:
    async with served(NinepServer(tree), f"unix!{tmp_path}/9p") as dial:
        with pytest.raises(NinepError, match="not required"):
            await NinepClient.connect(dial, secret=SECRET)


@pytest.fixture
async def guarded(tree: MemoryTree) -> AsyncIterator[Wire]:
    async with open_wire(NinepServer(tree, auth=SharedSecret(SECRET))) as wire:
        await wire.call(m.Tversion(8192, m.VERSION), NO_TAG)
        yield wire


async def prove_it(wire: Wire, user: str, aname: str = "", side: str = "client") -> Any:
    """What the server says to a proof; afid 9 has it then."""
    await wire.call(m.Tauth(9, user, aname))
    scheme, theirs = (await wire.call(m.Tread(9, 0, 1000))).data.decode().split()
    assert scheme == SCHEME
    proof = prove(SECRET, side, (theirs, "0" * 64), user, aname)
    return await wire.call(m.Twrite(9, 0, f"{'0' * 64} {proof}\n".encode()))


async def test_a_proof_is_for_one_user_and_part(guarded: Wire) -> None:
    assert isinstance(await prove_it(guarded, "bo"), m.Rwrite)
    for attach in (m.Tattach(0, 9, "eve", ""), m.Tattach(0, 9, "bo", "/"), m.Tattach(0, NO_FID, "bo", "")):
        assert await guarded.call(attach) == m.Rerror("authentication required")
    assert await guarded.call(m.Tattach(0, 8, "bo", "")) == m.Rerror("unknown fid")
    assert isinstance(await guarded.call(m.Tattach(0, 9, "bo", "")), m.Rattach)
    assert await guarded.call(m.Tattach(1, 0, "bo", "")) == m.Rerror("authentication required")


async def test_a_proof_that_was_wrong_is_not_tried_again(guarded: Wire) -> None:
    assert await prove_it(guarded, "bo", side="server") == m.Rerror("authentication failed")
    theirs = (await guarded.call(m.Tread(9, 0, 1000))).data.decode().split()[1]
    proof = prove(SECRET, "client", (theirs, "0" * 64), "bo", "")
    again = m.Twrite(9, 0, f"{'0' * 64} {proof}".encode())
    assert await guarded.call(again) == m.Rerror("authentication failed")
    assert await guarded.call(m.Tattach(0, 9, "bo", "")) == m.Rerror("authentication required")


async def test_an_authentication_file_is_no_place(guarded: Wire) -> None:
    await guarded.call(m.Tauth(9, "bo", ""))
    assert isinstance(await guarded.call(m.Twalk(9, 1, ("a",))), m.Rerror)
    assert isinstance(await guarded.call(m.Topen(9, 0)), m.Rerror)
    for junk in (b"", b"x", b"x y z", b"\xff \0", b"x " * 3000):
        assert isinstance(await guarded.call(m.Twrite(9, 0, junk)), m.Rerror)
    assert (await guarded.call(m.Tstat(9))).stat.mode & Mode.AUTH
    assert await guarded.call(m.Tclunk(9)) == m.Rclunk()


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("tcp!127.0.0.1!5640", TcpAddress("127.0.0.1", 5640)),
        ("tcp!::1!564", TcpAddress("::1", 564)),
        ("tcp!host", TcpAddress("host", 564)),
        ("tcp!host!9fs", TcpAddress("host", 564)),
        ("tcp!*!0", TcpAddress("*", 0)),
        ("unix!/run/x!y", UnixAddress("/run/x!y")),
    ],
)
def test_dial_strings(text: str, address: object) -> None:
    assert parse_dial(text) == address


@pytest.mark.parametrize("text", ["", "tcp", "tcp!", "tcp!!5", "tcp!h!", "tcp!h!x", "tcp!h!65536", "unix!", "il!h!1"])
def test_what_is_no_dial_string(text: str) -> None:
    with pytest.raises(NinepError, match="neither"):
        parse_dial(text)


def test_a_socket_of_nobody_is_replaced(tmp_path: Path) -> None:
    dial = f"unix!{tmp_path}/9p"
    listen(dial).close()
    with listen(dial), pytest.raises(OSError, match="in use"):
        listen(dial)


def test_a_file_is_not_a_socket_of_nobody(tmp_path: Path) -> None:
    (tmp_path / "9p").write_text("mine")
    with pytest.raises(OSError, match="in use"):
        listen(f"unix!{tmp_path}/9p")
    assert (tmp_path / "9p").read_text() == "mine"
