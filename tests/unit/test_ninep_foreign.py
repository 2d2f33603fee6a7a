"""9P of others: the bytes are those of plan9port's own C, and clients that are not ours are served."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.ninep_memory import MemoryTree
from tests.unit.ninep_messages import messages, stats
from tests.unit.ninep_wire import PATIENCE

from weft.ninep import messages as m
from weft.ninep.codec import dump, parse
from weft.ninep.cursor import Malformed
from weft.ninep.listening import listen
from weft.ninep.server import NinepServer
from weft.ninep.stats import dump_stat
from weft.ninep.words import Mode, Stat

tags = st.integers(0, 0xFFFF)


@pytest.fixture(scope="module")
def theirs() -> Any:
    return pytest.importorskip("py9p.native", reason="no plan9port codec for this Python")


def halve(message: m.Message) -> m.Message:
    """There, offsets and lengths have a sign."""
    if isinstance(message, m.Tread | m.Twrite):
        return replace(message, offset=message.offset >> 1)
    if isinstance(message, m.Rstat | m.Twstat):
        return replace(message, stat=halve_length(message.stat))
    return message


def halve_length(stat: Stat) -> Stat:
    return replace(stat, length=stat.length >> 1)


@given(tag=tags, message=messages.map(halve))
def test_the_bytes_are_those_of_plan9port(theirs: Any, tag: int, message: m.Message) -> None:
    """What we dump is what it says to the same message."""
    frame = dump(tag, message)
    seen = theirs.decode_message(frame)
    assert type(seen).__name__ == type(message).__name__
    assert seen.tag == tag
    assert seen.to_bytes() == frame


@given(stat=stats.map(halve_length))
def test_stats_are_those_of_plan9port(theirs: Any, stat: Stat) -> None:
    seen = theirs.decode_dir(dump_stat(stat))
    assert seen.to_bytes() == dump_stat(stat)
    assert (seen.name, seen.mode, seen.qid.path, seen.length) == (stat.name, stat.mode, stat.qid.path, stat.length)


@given(code=st.integers(100, 127), tag=tags, body=st.binary(max_size=60))
def test_what_is_malformed_is_malformed_there(theirs: Any, code: int, tag: int, body: bytes) -> None:
    """We are stricter in what we let through, never more lenient."""
    frame = (7 + len(body)).to_bytes(4, "little") + bytes([code]) + tag.to_bytes(2, "little") + body
    try:
        parse(frame)
    except Malformed:
        return
    theirs.decode_message(frame)


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Where a small tree is served, of which nothing is held in the end."""
    tree = MemoryTree()
    tree.add("f", b"content", parent=tree.add("d", mode=Mode.DIR | 0o755))
    with listen("tcp!127.0.0.1!0") as listener:
        serving = asyncio.create_task(NinepServer(tree).serve(listener))
        yield listener.getsockname()[1]
        serving.cancel()
        await asyncio.wait([serving], timeout=PATIENCE)
    assert (tree.nodes, tree.files) == (0, 0)


async def test_python_9p_is_served(theirs: Any, port: int) -> None:
    from py9p import Client

    def use() -> bytes:
        with Client.connect_tcp("127.0.0.1", port, timeout=PATIENCE) as client:
            client.negotiate()
            client.attach(fid=0, uname="bo")
            client.walk(fid=0, newfid=1, path="d")
            client.create(fid=1, name="new", perm=0o644, mode=2)
            client.write(fid=1, data=b"words")
            read = client.read(fid=1)
            client.clunk(fid=1)
            return bytes(read)

    assert await asyncio.to_thread(use) == b"words"


async def test_pyroute2_is_served(port: int) -> None:
    plan9 = pytest.importorskip("pyroute2.plan9")
    client = pytest.importorskip("pyroute2.plan9.client").Plan9ClientSocket(address=("127.0.0.1", port))
    async with asyncio.timeout(PATIENCE):
        await client.start_session()
        opening = plan9.msg_topen()
        opening["fid"], opening["mode"] = await client.fid("d/f"), 2
        await client.request(opening)
        assert (await client.read(opening["fid"]))["data"] == b"content"
        assert (await client.write(opening["fid"], b"new"))["count"] == 3
        assert (await client.read(opening["fid"]))["data"] == b"newtent"
    client.transport.close()
