"""The server, message by message: what 9P2000 says of each request, and of requests at the wrong time."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from tests.unit.ninep_memory import MemoryTree
from tests.unit.ninep_wire import Wire, open_wire

from weft.ninep import messages as m
from weft.ninep.codec import dump
from weft.ninep.limits import Limits
from weft.ninep.server import NinepServer
from weft.ninep.stats import UNTOUCHED, parse_stats
from weft.ninep.words import NO_FID, NO_TAG, Mode, NinepError, OpenMode, QidType, Stat

READ, WRITE, READ_WRITE, TRUNCATE, REMOVE = 0, 1, 2, 0x10, 0x40


@pytest.fixture(params=[0, 2], ids=["at once", "waiting"])
async def tree(request: pytest.FixtureRequest) -> AsyncIterator[MemoryTree]:
    """A small tree, of which nothing is held in the end. What waits takes other ways through the server."""
    tree = MemoryTree(request.param)
    folder = tree.add("d", mode=Mode.DIR | 0o755)
    tree.add("f", b"content", parent=folder)
    tree.add("a", b"some text")
    yield tree
    assert (tree.nodes, tree.files) == (0, 0)


@pytest.fixture
async def wire(tree: MemoryTree) -> AsyncIterator[Wire]:
    async with open_wire(NinepServer(tree, limits=Limits(fids=20, pending=8))) as wire:
        await wire.begin()
        yield wire


async def open_file(wire: Wire, name: str, mode: int = READ, fid: int = 1) -> None:
    assert isinstance(await wire.call(m.Twalk(0, fid, (name,))), m.Rwalk)
    assert isinstance(await wire.call(m.Topen(fid, mode)), m.Ropen)


async def refuse(wire: Wire, message: m.Message, reason: str) -> None:
    answer = await wire.call(message)
    assert isinstance(answer, m.Rerror), answer
    assert reason in answer.ename


@pytest.mark.parametrize(
    ("asked", "answered"),
    [
        ("9P2000", "9P2000"),
        ("9P2000.u", "9P2000"),
        ("9P2000.L", "9P2000"),
        ("9P2001", "unknown"),
        ("9P20001", "unknown"),
        ("", "unknown"),
    ],
)
async def test_versions(asked: str, answered: str) -> None:
    async with open_wire(NinepServer(MemoryTree())) as wire:
        assert await wire.call(m.Tversion(4096, asked), NO_TAG) == m.Rversion(4096, answered)
        problem = "unknown fid" if answered == m.VERSION else "no version"
        await refuse(wire, m.Tclunk(0), problem)


async def test_a_message_size_is_agreed_on() -> None:
    async with open_wire(NinepServer(MemoryTree(), limits=Limits(msize=1000))) as wire:
        assert await wire.call(m.Tversion(1 << 30, m.VERSION)) == m.Rversion(1000, m.VERSION)
        await refuse(wire, m.Tversion(100, m.VERSION), "msize")
        assert await wire.call(m.Tversion(500, m.VERSION)) == m.Rversion(500, m.VERSION)
        await wire.send_bytes((501).to_bytes(4, "little"))
        with pytest.raises(EOFError):
            await wire.receive()


async def test_a_version_begins_anew(wire: Wire, tree: MemoryTree) -> None:
    tree.add("never").ready = asyncio.Event()
    await wire.call(m.Twalk(0, 1, ("never",)))
    await wire.send((7, m.Topen(1, READ)), (NO_TAG, m.Tversion(8192, m.VERSION)))
    assert await wire.receive() == (NO_TAG, m.Rversion(8192, m.VERSION))
    assert (tree.nodes, tree.files) == (0, 0)
    await refuse(wire, m.Tstat(0), "unknown fid")
    await wire.begin()


async def test_attach(wire: Wire, tree: MemoryTree) -> None:
    answer = await wire.call(m.Tattach(5, NO_FID, "eve", "/"))
    assert answer == m.Rattach(answer.qid)
    assert answer.qid.type == QidType.DIR
    await refuse(wire, m.Tattach(5, NO_FID, "eve", ""), "fid in use")
    await refuse(wire, m.Tattach(6, NO_FID, "eve", "elsewhere"), "does not exist")
    await refuse(wire, m.Tattach(6, 9, "eve", ""), "not required")
    await refuse(wire, m.Tauth(6, "eve", ""), "not required")
    await refuse(wire, m.Tclunk(6), "unknown fid")


async def test_walk(wire: Wire) -> None:
    answer = await wire.call(m.Twalk(0, 1, ("d", "f")))
    assert [qid.is_dir for qid in answer.qids] == [True, False]
    up = await wire.call(m.Twalk(0, 2, ("d", "..", "..", "a")))
    assert [qid.is_dir for qid in up.qids] == [True, True, True, False]
    assert len((await wire.call(m.Twalk(0, 3, ("d", "none", "f")))).qids) == 1
    await refuse(wire, m.Tstat(3), "unknown fid")
    await refuse(wire, m.Twalk(0, 3, ("none",)), "does not exist")
    await refuse(wire, m.Twalk(1, 3, ("x",)), "not a directory")
    await refuse(wire, m.Twalk(0, 1, ("d",)), "fid in use")
    await refuse(wire, m.Twalk(9, 3, ()), "unknown fid")
    for name in (".", "", "d/f"):
        await refuse(wire, m.Twalk(0, 3, (name,)), "invalid file name")


async def test_a_walk_of_no_names_is_a_clone(wire: Wire, tree: MemoryTree) -> None:
    assert await wire.call(m.Twalk(0, 1)) == m.Rwalk()
    assert await wire.call(m.Twalk(1, 1)) == m.Rwalk()
    assert tree.nodes == 1
    await wire.call(m.Tclunk(0))
    assert tree.nodes == 1
    assert (await wire.call(m.Tstat(1))).stat.name == "/"


async def test_a_fid_walks_itself(wire: Wire, tree: MemoryTree) -> None:
    await wire.call(m.Twalk(0, 1, ("d",)))
    assert len((await wire.call(m.Twalk(1, 1, ("f", "x")))).qids) == 1
    assert (await wire.call(m.Tstat(1))).stat.name == "d"
    assert len((await wire.call(m.Twalk(1, 1, ("f",)))).qids) == 1
    assert (await wire.call(m.Tstat(1))).stat.name == "f"
    assert tree.nodes == 2
    await wire.call(m.Topen(1, READ))
    await refuse(wire, m.Twalk(1, 2), "open")
    await refuse(wire, m.Twalk(1, 1), "open")


async def test_sixteen_names_and_not_one_more(wire: Wire) -> None:
    assert len((await wire.call(m.Twalk(0, 1, ("..",) * 16))).qids) == 16
    frame = bytes.fromhex("6e 0500 00000000 02000000 1100") + bytes.fromhex("0200 2e2e") * 17
    await wire.send_bytes((4 + len(frame)).to_bytes(4, "little") + frame)
    tag, answer = await wire.receive()
    assert tag == 5
    assert isinstance(answer, m.Rerror)
    assert "16" in answer.ename


async def test_reading_and_writing(wire: Wire) -> None:
    await open_file(wire, "a", READ_WRITE)
    assert await wire.call(m.Tread(1, 5, 100)) == m.Rread(b"text")
    assert await wire.call(m.Tread(1, 9, 100)) == m.Rread(b"")
    assert await wire.call(m.Twrite(1, 5, b"words")) == m.Rwrite(5)
    assert await wire.call(m.Tread(1, 0, 4)) == m.Rread(b"some")
    assert (await wire.call(m.Tstat(1))).stat.length == 10
    await refuse(wire, m.Topen(1, READ), "open")
    for message in (m.Tread(1, 1 << 63, 1), m.Twrite(1, 1 << 63, b"x")):
        await refuse(wire, message, "illegal offset")


@pytest.mark.parametrize(
    ("mode", "reads", "writes"),
    [(READ, True, False), (WRITE, False, True), (3, True, False), (READ | TRUNCATE, True, False)],
)
async def test_a_mode_is_kept_to(wire: Wire, mode: int, reads: bool, writes: bool) -> None:
    await open_file(wire, "a", mode)
    assert isinstance(await wire.call(m.Tread(1, 0, 1)), m.Rread) == reads
    assert isinstance(await wire.call(m.Twrite(1, 0, b"x")), m.Rwrite) == writes


async def test_opening_what_cannot_be(wire: Wire) -> None:
    await wire.call(m.Twalk(0, 1, ("a",)))
    await refuse(wire, m.Topen(1, 0x20), "mode")
    await refuse(wire, m.Tread(1, 0, 1), "not open")
    await refuse(wire, m.Twrite(1, 0, b""), "not open")
    for mode in (WRITE, READ_WRITE, TRUNCATE, REMOVE):
        await refuse(wire, m.Topen(0, mode), "directory")


async def test_truncation_moves_the_version(wire: Wire) -> None:
    before = (await wire.call(m.Twalk(0, 1, ("a",)))).qids[0]
    after = (await wire.call(m.Topen(1, WRITE | TRUNCATE))).qid
    assert (after.path, after.version != before.version) == (before.path, True)


async def test_an_iounit_is_what_one_message_has_room_for(wire: Wire) -> None:
    await wire.call(m.Twalk(0, 1, ("a",)))
    assert (await wire.call(m.Topen(1, READ_WRITE))).iounit == 8192 - 24
    for at in range(0, 16000, 8000):
        await wire.call(m.Twrite(1, at, bytes(8000)))
    assert len((await wire.call(m.Tread(1, 0, 0xFFFFFFFF))).data) == 8192 - 24


async def test_creating(wire: Wire, tree: MemoryTree) -> None:
    await wire.call(m.Twalk(0, 1))
    answer = await wire.call(m.Tcreate(1, "new", 0o600, READ_WRITE))
    assert answer.iounit == 8192 - 24
    assert await wire.call(m.Twrite(1, 0, b"x")) == m.Rwrite(1)
    assert (await wire.call(m.Tstat(1))).stat.name == "new"
    await wire.call(m.Twalk(0, 2))
    await wire.call(m.Tcreate(2, "folder", Mode.DIR | 0o700, READ))
    assert await wire.call(m.Tread(2, 0, 100)) == m.Rread(b"")
    await wire.call(m.Twalk(0, 3))
    await refuse(wire, m.Tcreate(3, "new", 0o600, READ), "exists")
    for name in (".", "..", "", "x/y"):
        await refuse(wire, m.Tcreate(3, name, 0o600, READ), "invalid file name")
    await refuse(wire, m.Tcreate(3, "x", Mode.DIR | 0o700, WRITE), "directory")
    await refuse(wire, m.Tcreate(3, "x", 0x02000000, READ), "permissions")
    await wire.call(m.Twalk(0, 4, ("a",)))
    await refuse(wire, m.Tcreate(4, "x", 0o600, READ), "not a directory")


async def test_removing(wire: Wire, tree: MemoryTree) -> None:
    await wire.call(m.Twalk(0, 1, ("d",)))
    await refuse(wire, m.Tremove(1), "not empty")
    await refuse(wire, m.Tclunk(1), "unknown fid")
    await open_file(wire, "a")
    assert await wire.call(m.Tremove(1)) == m.Rremove()
    await refuse(wire, m.Tremove(1), "unknown fid")
    assert list(tree.root.children) == ["d"]


@pytest.mark.parametrize("ends", ["clunk", "remove", "hang up"])
async def test_removing_on_close(wire: Wire, tree: MemoryTree, ends: str) -> None:
    await open_file(wire, "a", REMOVE)
    assert "a" in tree.root.children
    if ends != "hang up":
        await wire.call(m.Tclunk(1) if ends == "clunk" else m.Tremove(1))
    else:
        await wire.call(m.Tversion(8192, m.VERSION), NO_TAG)
    assert "a" not in tree.root.children


async def test_stat_and_wstat(wire: Wire, tree: MemoryTree) -> None:
    await wire.call(m.Twalk(0, 1, ("a",)))
    stat = (await wire.call(m.Tstat(1))).stat
    assert (stat.name, stat.length, stat.mode) == ("a", 9, 0o644)
    renamed = Stat(**{name: getattr(UNTOUCHED, name) for name in UNTOUCHED.__slots__} | {"name": "b", "length": 4})
    assert await wire.call(m.Twstat(1, renamed)) == m.Rwstat()
    assert tree.root.children["b"].data == b"some"
    assert await wire.call(m.Twstat(1, UNTOUCHED)) == m.Rwstat()
    whole = (await wire.call(m.Tstat(1))).stat
    assert await wire.call(m.Twstat(1, whole)) == m.Rwstat()
    eve = Stat(**{name: getattr(UNTOUCHED, name) for name in UNTOUCHED.__slots__} | {"uid": "eve"})
    await refuse(wire, m.Twstat(1, eve), "uid")
    await refuse(wire, m.Twstat(1, renamed.named("x/y")), "invalid file name")
    of_linux = replace(renamed.named("by-linux"), muid="nobody")
    assert await wire.call(m.Twstat(1, of_linux)) == m.Rwstat()


async def read_dir(wire: Wire, fid: int, count: int) -> list[str]:
    names, offset = [], 0
    while data := (await wire.call(m.Tread(fid, offset, count))).data:
        names += [stat.name for stat in parse_stats(data)]
        offset += len(data)
    return names


async def test_directories_are_read_in_whole_entries(wire: Wire, tree: MemoryTree) -> None:
    for number in range(50):
        tree.add(f"file{number}")
    expected = list(tree.root.children)
    await wire.call(m.Twalk(0, 1))
    await wire.call(m.Topen(1, READ))
    for count in (80, 200, 8000):
        assert await read_dir(wire, 1, count) == expected
    first = (await wire.call(m.Tread(1, 0, 200))).data
    await refuse(wire, m.Tread(1, len(first) - 1, 200), "illegal offset")
    await refuse(wire, m.Tread(1, len(first) + 1, 200), "illegal offset")
    assert await wire.call(m.Tread(1, len(first), 10)) == m.Rread(b"")
    assert (await wire.call(m.Tread(1, len(first), 200))).data
    assert (await wire.call(m.Tread(1, 0, 200))).data == first
    await refuse(wire, m.Tread(1, 0, 10), "too small")


async def test_there_are_only_so_many_fids(wire: Wire, tree: MemoryTree) -> None:
    for fid in range(1, 20):
        assert await wire.call(m.Twalk(0, fid)) == m.Rwalk()
    await refuse(wire, m.Twalk(0, 20), "too many fids")
    await wire.call(m.Tclunk(19))
    assert await wire.call(m.Twalk(0, 20)) == m.Rwalk()


async def test_what_makes_no_sense_is_answered(wire: Wire) -> None:
    await refuse(wire, m.Rclunk(), "Rclunk is not a request")
    await wire.send_bytes(bytes.fromhex("0a000000 78 0300 010000"))
    assert await wire.receive() == (3, m.Rerror("malformed Tclunk"))
    await wire.send_bytes(bytes.fromhex("07000000 ff 0300"))
    assert await wire.receive() == (3, m.Rerror("unknown message type 255"))


async def test_any_split_of_a_stream_is_the_same(wire: Wire) -> None:
    data = b"".join(dump(tag, m.Tstat(0)) for tag in range(40))
    for start in range(0, len(data), 9):
        await wire.send_bytes(data[start : start + 9])
    seen = [await wire.receive() for _ in range(40)]
    assert sorted(answer[0] for answer in seen) == list(range(40))


async def test_errors_have_room_in_plan_9(wire: Wire) -> None:
    await refuse(wire, m.Twalk(0, 1, ("x" * 5000,)), "not exist")
    assert len(NinepError("long\n" * 100).text.encode()) <= 127


def test_open_modes_come_back() -> None:
    for code in (0, 1, 2, 3, 0x11, 0x42, 0x53):
        assert OpenMode.of(code).code == code
