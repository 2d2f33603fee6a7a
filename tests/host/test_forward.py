"""The forwarder: ports of the host that lead into the fabric's namespace."""

import asyncio
import hashlib
import os
import signal
import socket
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from tests.host.conftest import AS_ROOT
from tests.host.waiting import wait_until

from weft.host.namespace import Namespace
from weft.host.process import run
from weft.host.publish import BACKLOG, Forwarder, Listener, close_all, find_forwarder, listen, serves, start_forwarder
from weft.host.sandbox import Identity
from weft.model.errors import Exists, Invalid, Unavailable

pytestmark = pytest.mark.host

HERE = "127.0.0.1"
PATIENCE = 60.0
Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


class Published:
    """A forwarder with one port of the host, `port`, that leads to one inside."""

    def __init__(self, namespace: Namespace, record: Path, identity: Identity | None) -> None:
        self._namespace, self._identity = namespace, identity
        self.record = record
        self.port = 0
        self.forwarder: Forwarder | None = None

    def start(self, protocol: str, guest_port: int) -> Forwarder:
        listeners = [listen(protocol, HERE, self.port or None, guest_port)]
        self.port = listeners[0].port
        self.forwarder = start_forwarder(self._namespace, self.record, listeners, HERE, self._identity)
        close_all(listeners)
        return self.forwarder

    async def serve(self, serve: Serve) -> asyncio.Server:
        """A server inside, published."""
        sock = await self._namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
        # As many may wait here as at the port: a kernel whose queue is full refuses, and no forwarder can mend that.
        server = await asyncio.start_server(serve, sock=bound(sock), limit=1 << 20, backlog=BACKLOG)
        self.start("tcp", sock.getsockname()[1])
        return server

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        return await asyncio.open_connection(HERE, self.port)


def bound(sock: socket.socket) -> socket.socket:
    sock.bind((HERE, 0))
    sock.setblocking(False)
    return sock


@pytest.fixture
async def published(namespace: Namespace, tmp_path: Path, identity: Identity | None) -> AsyncIterator[Published]:
    await run(namespace.argv(["ip", "link", "set", "lo", "up"]))
    published = Published(namespace, tmp_path / "ports.json", identity)
    async with asyncio.timeout(2 * PATIENCE):
        yield published
    if published.forwarder:
        await published.forwarder.stop()
    assert find_forwarder(published.record) is None


async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while data := await reader.read(1 << 16):
        writer.write(data)
        await writer.drain()
    writer.close()


async def test_each_direction_has_an_end_of_its_own(published: Published):
    async def count(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"%d bytes" % len(await reader.read()))
        writer.close()

    async with await published.serve(count):
        reader, writer = await published.connect()
        writer.write(b"x" * 100_000)
        writer.write_eof()
        assert await reader.read() == b"100000 bytes"
        writer.close()


async def test_the_end_of_the_machines_direction_is_passed_on_too(published: Published):
    heard = asyncio.get_running_loop().create_future()

    async def greet(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"hello")
        writer.write_eof()
        heard.set_result(await reader.read())
        writer.close()

    async with await published.serve(greet):
        reader, writer = await published.connect()
        assert await reader.read() == b"hello"
        writer.write(b"still here")
        writer.write_eof()
        assert await heard == b"still here"
        writer.close()


async def test_much_goes_through_whole_and_a_slow_reader_is_waited_for(published: Published):
    size = 100 << 20
    block = os.urandom(1 << 20)

    async def pour(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        for _ in range(size >> 20):
            writer.write(block)
            await writer.drain()
        writer.close()

    async with await published.serve(pour):
        reader, writer = await published.connect()
        digest, left = hashlib.sha256(), size
        forwarder = published.forwarder
        assert forwarder is not None
        while piece := await reader.read(1 << 20):
            digest.update(piece)
            left -= len(piece)
        assert left == 0
        assert digest.digest() == hashlib.sha256(block * (size >> 20)).digest()
        (child,) = forwarder.process.children()
        assert resident(child.pid) < 40 << 20
        writer.close()


def resident(pid: int) -> int:
    return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096


async def test_a_reset_is_passed_on(published: Published):
    async def break_off(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    async with await published.serve(break_off):
        reader, writer = await published.connect()
        writer.write(b"xy")
        with pytest.raises(ConnectionResetError):
            await reader.read()
        writer.close()


async def test_where_nobody_listens_the_client_learns_it(published: Published):
    published.start("tcp", 9)
    reader, writer = await published.connect()
    with pytest.raises(ConnectionResetError):
        await reader.read()
    writer.close()


async def test_many_at_once(published: Published):
    async def one(number: int) -> bool:
        reader, writer = await published.connect()
        message = b"%d " % number * 1000
        writer.write(message)
        writer.write_eof()
        answer = await reader.read()
        writer.close()
        return answer == message

    async with await published.serve(echo):
        assert all(await asyncio.gather(*(one(number) for number in range(300))))


async def test_a_forwarder_holds_nothing_of_a_connection_that_is_over(published: Published):
    async with await published.serve(echo):
        for _ in range(20):
            reader, writer = await published.connect()
            writer.write(b"x")
            assert await reader.read(1) == b"x"
            writer.transport.abort()
        assert published.forwarder is not None
        (child,) = published.forwarder.process.children()
        await wait_until(lambda: len(list(Path(f"/proc/{child.pid}/fd").iterdir())) <= 6, PATIENCE)


@asynccontextmanager
async def datagrams(sock: socket.socket) -> AsyncIterator[None]:
    """Answers each datagram in capital letters."""
    loop = asyncio.get_running_loop()

    async def answer() -> None:
        while True:
            data, client = await loop.sock_recvfrom(sock, 4096)
            await loop.sock_sendto(sock, data.upper(), client)

    task = asyncio.create_task(answer())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def ask(port: int, word: bytes, client: socket.socket) -> bytes:
    loop = asyncio.get_running_loop()
    await loop.sock_sendto(client, word, (HERE, port))
    answer, address = await loop.sock_recvfrom(client, 4096)
    assert address == (HERE, port)
    return answer


async def test_datagrams_find_their_way_back(published: Published, namespace: Namespace):
    inside = bound(await namespace.socket(socket.AF_INET, socket.SOCK_DGRAM))
    published.start("udp", inside.getsockname()[1])
    clients = [bound(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) for _ in range(3)]
    async with datagrams(inside):
        for word in (b"one", b"two"):
            asked = [ask(published.port, b"%s %d" % (word, number), sock) for number, sock in enumerate(clients)]
            assert await asyncio.gather(*asked) == [b"%s %d" % (word.upper(), number) for number in range(3)]
    for sock in (inside, *clients):
        sock.close()


async def test_datagrams_to_nobody_do_no_harm(published: Published, namespace: Namespace):
    inside = bound(await namespace.socket(socket.AF_INET, socket.SOCK_DGRAM))
    port = inside.getsockname()[1]
    inside.close()
    published.start("udp", port)
    with bound(socket.socket(socket.AF_INET, socket.SOCK_DGRAM)) as client:
        loop = asyncio.get_running_loop()
        for _ in range(5):
            await loop.sock_sendto(client, b"anybody?", (HERE, published.port))
        again = await namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
        again.bind((HERE, port))
        again.setblocking(False)
        async with datagrams(again):
            while True:
                with suppress(TimeoutError):
                    async with asyncio.timeout(0.5):
                        assert await ask(published.port, b"now", client) in (b"NOW", b"ANYBODY?")
                        break
        again.close()


async def test_it_outlives_whoever_started_it_and_is_known_again(published: Published, namespace: Namespace):
    async with await published.serve(echo):
        assert published.forwarder is not None
        assert serves(published.record, namespace, HERE)
        assert not serves(published.record, namespace, "10.0.0.9")
        assert find_forwarder(published.record) == published.forwarder
        with pytest.raises(Exists):
            listen("tcp", HERE, published.port, 80)
        await published.forwarder.stop()
        close_all([listen("tcp", HERE, published.port, 80)])


async def test_a_killed_one_frees_its_ports(published: Published):
    async with await published.serve(echo):
        reader, writer = await published.connect()
        writer.write(b"x")
        assert await reader.read(1) == b"x"
        assert published.forwarder is not None
        (child,) = published.forwarder.process.children()
        child.send(signal.SIGKILL)
        await published.forwarder.watch().wait()
        writer.close()
        with pytest.raises(ConnectionRefusedError):
            await published.connect()


async def test_it_has_no_privilege(published: Published, identity: Identity | None):
    async with await published.serve(echo):
        reader, writer = await published.connect()
        writer.write(b"x")
        await reader.read(1)
        assert published.forwarder is not None
        (child,) = published.forwarder.process.children()
        status = dict(
            line.split(":\t", 1) for line in Path(f"/proc/{child.pid}/status").read_text().splitlines() if ":\t" in line
        )
        assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == 0
        assert status["NoNewPrivs"] == "1"
        assert not identity or status["Uid"].split()[0] == str(identity.uid)
        writer.close()


def test_a_port_that_is_taken_is_told():
    first = listen("tcp", HERE, None, 80)
    with pytest.raises(Exists, match=f"port {HERE}:{first.port}/tcp of the host is taken"):
        listen("tcp", HERE, first.port, 80)
    udp = listen("udp", HERE, first.port, 80)  # another port by the same number
    close_all([first, udp])


def test_an_address_of_somebody_else_is_told():
    with pytest.raises(Invalid, match="this host has no such address"):
        listen("tcp", "192.0.2.1", 8080, 80)


def test_a_port_that_is_not_for_everybody_is_told():
    lowest = int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text())
    if AS_ROOT or lowest <= 1:
        close_all([listen("tcp", HERE, 1, 80)])
        return
    with pytest.raises(Unavailable, match=f"ports from {lowest} on are"):
        listen("tcp", HERE, lowest - 1, 80)


def test_listeners_are_not_inherited_by_chance():
    listener: Listener = listen("tcp", HERE, None, 80)
    assert not listener.sock.get_inheritable()
    close_all([listener])
