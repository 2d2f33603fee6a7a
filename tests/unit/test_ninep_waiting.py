"""Requests that wait: overtaken, flushed, bounded; and clients that go, ask for too much, or do not listen."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest
from tests.unit.ninep_memory import Entry, MemoryTree, Spot
from tests.unit.ninep_wire import PATIENCE, Wire, open_wire

from weft.ninep import messages as m
from weft.ninep.client import NinepClient
from weft.ninep.codec import dump
from weft.ninep.limits import Limits
from weft.ninep.listening import listen
from weft.ninep.server import NinepServer
from weft.ninep.words import NO_TAG, NinepError, Stat

PENDING = 8


@pytest.fixture
async def tree() -> AsyncIterator[MemoryTree]:
    tree = MemoryTree()
    tree.add("a", b"some text")
    tree.add("never", b"at last").ready = asyncio.Event()
    yield tree
    assert (tree.nodes, tree.files) == (0, 0)


@pytest.fixture
def never(tree: MemoryTree) -> Entry:
    return tree.root.children["never"]


@pytest.fixture
async def wire(tree: MemoryTree, never: Entry) -> AsyncIterator[Wire]:
    """Fid 1 has `never` open, of which reads wait; fid 2 has `a`."""
    async with open_wire(NinepServer(tree, limits=Limits(pending=PENDING))) as wire:
        await wire.begin()
        await open_at(wire, never, 1, "never")
        await wire.call(m.Twalk(0, 2, ("a",)))
        await wire.call(m.Topen(2, 0))
        yield wire


async def open_at(wire: Wire, never: Entry, fid: int, name: str) -> None:
    ready, never.ready = never.ready, None
    await wire.call(m.Twalk(0, fid, (name,)))
    await wire.call(m.Topen(fid, 0))
    never.ready = ready


def let_go(never: Entry) -> None:
    assert never.ready is not None
    never.ready.set()


READ = m.Tread(1, 0, 100)


async def test_who_waits_is_overtaken(wire: Wire, never: Entry) -> None:
    await wire.send((5, READ), (6, m.Tread(2, 0, 4)))
    assert await wire.receive() == (6, m.Rread(b"some"))
    let_go(never)
    assert await wire.receive() == (5, m.Rread(b"at last"))


async def test_a_flush_ends_what_waits(wire: Wire) -> None:
    await wire.send((5, READ), (6, m.Tflush(5)))
    assert await wire.receive() == (6, m.Rflush())
    assert await wire.call(m.Tread(2, 0, 4), tag=5) == m.Rread(b"some")


async def test_a_flush_of_nothing_is_answered(wire: Wire) -> None:
    assert await wire.call(m.Tflush(77)) == m.Rflush()
    assert await wire.call(m.Tflush(1)) == m.Rflush()
    await wire.call(m.Tread(2, 0, 4), tag=5)
    assert await wire.call(m.Tflush(5)) == m.Rflush()


async def test_flushes_are_answered_in_order(wire: Wire) -> None:
    await wire.send((5, READ), (6, m.Tflush(5)), (7, m.Tflush(5)), (8, m.Tflush(6)))
    assert sorted([await wire.receive() for _ in range(3)]) == [(6, m.Rflush()), (7, m.Rflush()), (8, m.Rflush())]


async def test_a_reply_that_was_faster_comes_before_its_flush(wire: Wire, never: Entry) -> None:
    await wire.send((5, READ))
    await wire.call(m.Tread(2, 0, 4))
    let_go(never)
    await wire.send((6, m.Tflush(5)))
    seen = [await wire.receive()]
    if seen[0] != (6, m.Rflush()):
        seen.append(await wire.receive())
    assert seen[-1] == (6, m.Rflush())


async def test_a_flushed_walk_leaves_its_fid_free(wire: Wire, tree: MemoryTree) -> None:
    tree.root.ready = asyncio.Event()
    await wire.send((5, m.Twalk(0, 9, ("a",))), (6, m.Twalk(0, 9, ("a",))))
    assert await wire.receive() == (6, m.Rerror("fid in use"))
    assert await wire.call(m.Tstat(9), tag=7) == m.Rerror("unknown fid")
    assert await wire.call(m.Tflush(5), tag=8) == m.Rflush()
    tree.root.ready.set()
    assert isinstance(await wire.call(m.Twalk(0, 9, ("a",))), m.Rwalk)


async def test_a_flush_with_a_tag_in_use_ends_the_connection(wire: Wire) -> None:
    await wire.send((5, READ), (6, m.Tflush(5)), (6, m.Tflush(5)))
    with pytest.raises(EOFError):
        await wire.receive()


async def test_what_a_fid_was_is_not_closed_while_it_is_used(wire: Wire, tree: MemoryTree) -> None:
    await wire.call(m.Twalk(0, 3))
    await wire.call(m.Tclunk(0))
    tree.root.ready = asyncio.Event()
    await wire.send((5, m.Twalk(3, 3, ("a",))), (6, m.Tstat(3)), (7, m.Twalk(3, 4, ("a",))))
    await wire.call(m.Tclunk(99))
    tree.root.ready.set()
    seen = dict([await wire.receive() for _ in range(3)])
    assert isinstance(seen[5], m.Rwalk)
    assert isinstance(seen[6], m.Rstat)
    assert isinstance(seen[7], m.Rwalk)


async def test_a_tag_in_use_is_refused(wire: Wire, never: Entry) -> None:
    await wire.send((5, READ), (5, m.Tstat(0)))
    assert await wire.receive() == (5, m.Rerror("tag in use"))
    let_go(never)
    assert await wire.receive() == (5, m.Rread(b"at last"))


async def test_a_clunk_does_not_wait_for_reads(wire: Wire, never: Entry, tree: MemoryTree) -> None:
    await wire.send((5, READ), (6, m.Tclunk(1)))
    assert await wire.receive() == (6, m.Rclunk())
    assert await wire.call(m.Tread(1, 0, 1)) == m.Rerror("unknown fid")
    assert tree.files == 2
    let_go(never)
    assert await wire.receive() == (5, m.Rread(b"at last"))
    await wire.call(m.Tstat(0))
    assert tree.files == 1


async def test_a_fid_is_opened_by_one_request(wire: Wire, never: Entry) -> None:
    await wire.call(m.Twalk(0, 3, ("never",)))
    await wire.send((5, m.Topen(3, 0)), (6, m.Topen(3, 0)))
    assert await wire.receive() == (6, m.Rerror("fid in use"))
    let_go(never)
    assert isinstance((await wire.receive())[1], m.Ropen)


async def test_only_so_many_may_wait(wire: Wire, never: Entry) -> None:
    await wire.send(*[(tag, READ) for tag in range(10, 10 + PENDING + 1)])
    assert await wire.receive() == (10 + PENDING, m.Rerror("too many requests at once"))
    assert await wire.call(m.Tflush(10)) == m.Rflush()
    let_go(never)
    assert sorted([(await wire.receive())[0] for _ in range(PENDING - 1)]) == list(range(11, 10 + PENDING))


async def test_a_server_that_ends_leaves_nothing(tree: MemoryTree, never: Entry) -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    serving = asyncio.create_task(NinepServer(tree).serve_socket(theirs))
    wire = Wire(ours)
    await wire.begin()
    await open_at(wire, never, 1, "never")
    await wire.send((5, READ))
    await wire.call(m.Tstat(0))
    serving.cancel()
    await asyncio.wait([serving])
    assert (tree.nodes, tree.files) == (0, 0)
    with pytest.raises(EOFError):
        await wire.receive()
    ours.close()


async def test_who_does_not_listen_is_not_read_from(tree: MemoryTree) -> None:
    """Its requests are left where they are, and others are served."""
    tree.add("big", bytes(60000))
    server = NinepServer(tree)
    async with open_wire(server) as deaf, open_wire(server) as other:
        await deaf.begin(65560)
        await deaf.call(m.Twalk(0, 1, ("big",)))
        await deaf.call(m.Topen(1, 0))
        sent = 0
        with pytest.raises(TimeoutError):
            while sent < 100_000:
                async with asyncio.timeout(0.5):
                    await asyncio.get_running_loop().sock_sendall(deaf.sock, frames(1000))
                sent += 1000
        await other.begin()
        assert isinstance(await other.call(m.Tstat(0)), m.Rstat)


def frames(count: int) -> bytes:
    return dump(1, m.Tread(1, 0, 60000)) * count


async def test_the_greedy_wait_for_their_turn(tree: MemoryTree) -> None:
    """Two hundred clients at once: while one has thousands of requests out, each of the others is answered."""
    server = NinepServer(tree)
    async with AsyncExitStack() as stack:
        wires = [await stack.enter_async_context(open_wire(server)) for _ in range(200)]
        greedy = wires.pop()
        await greedy.begin()
        await greedy.send_bytes(dump(1, m.Tstat(0)) * 4000)
        await asyncio.gather(*[wire.begin() for wire in wires])
        for _ in range(4000):
            assert isinstance((await greedy.receive())[1], m.Rstat)


async def test_one_client_too_many_is_refused(tree: MemoryTree) -> None:
    server = NinepServer(tree, limits=Limits(connections=1))
    async with open_wire(server) as wire:
        await wire.begin()
        async with open_wire(server) as other:
            with pytest.raises(EOFError):
                await other.receive()
    async with open_wire(server) as wire:
        await wire.begin()


class Broken(Spot):
    """Whose author has made every mistake."""

    async def stat(self) -> Stat:
        return Stat(self.qid, 0, "x" * 70000)

    async def walk(self, name: str) -> Spot:
        raise asyncio.CancelledError if name == "cancelled" else ZeroDivisionError


class BrokenTree(MemoryTree):
    async def attach(self, user: str, aname: str) -> Spot:
        return Broken(self, self.root)


@pytest.mark.parametrize(
    ("request_", "problem"),
    [
        (m.Tstat(0), "cannot be sent"),
        (m.Twalk(0, 1, ("x",)), "internal error"),
        (m.Twalk(0, 1, ("cancelled",)), "interrupted"),
    ],
)
async def test_a_tree_with_errors_answers(request_: m.Message, problem: str) -> None:
    async with open_wire(NinepServer(BrokenTree())) as wire:
        await wire.begin()
        answer = await wire.call(request_)
        assert isinstance(answer, m.Rerror)
        assert problem in answer.ename
        assert await wire.call(m.Tclunk(0)) == m.Rclunk()


async def test_a_listener_ends_with_all_its_clients(tree: MemoryTree, tmp_path: object) -> None:
    listener = listen(f"unix!{tmp_path}/9p")
    serving = asyncio.create_task(NinepServer(tree).serve(listener))
    clients = [await NinepClient.connect(f"unix!{tmp_path}/9p") for _ in range(3)]
    serving.cancel()
    await asyncio.wait([serving], timeout=PATIENCE)
    listener.close()
    for client in clients:
        with pytest.raises(NinepError):
            await client.stat()
        await client.close()


async def test_a_reset_answers_nobody(wire: Wire, never: Entry) -> None:
    await wire.send((5, READ), (6, m.Tflush(5)), (NO_TAG, m.Tversion(8192, m.VERSION)))
    assert await wire.receive() == (NO_TAG, m.Rversion(8192, m.VERSION))
