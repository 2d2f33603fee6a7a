"""What Plan 9's manual, section 5, says of any tree, asked of those that serve files, message by message."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.ninep_memory import MemoryTree
from tests.unit.ninep_packs import write_pack
from tests.unit.ninep_wire import Wire, open_wire

from weft.ninep import messages as m
from weft.ninep.folder import FolderTree
from weft.ninep.overlay.merged import Overlay
from weft.ninep.overlay.tree import RootTree
from weft.ninep.pack import Pack
from weft.ninep.server import NinepServer
from weft.ninep.stats import UNTOUCHED, parse_stats
from weft.ninep.tree import Tree
from weft.ninep.words import NO_FID, Mode, NinepError, Qid, QidType, Stat

READ, WRITE, READ_WRITE, EXEC, TRUNCATE, REMOVE = 0, 1, 2, 3, 0x10, 0x40
FILES = {"d/f": b"content", "d/e": None, "a": b"some text"}


@pytest.fixture(params=["folder", "overlay"])
def tree(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Tree]:
    """The same files, of a folder of the host and of a machine's root."""
    with ExitStack() as stack:
        if request.param == "folder":
            for name, data in FILES.items():
                path = tmp_path / "served" / name
                (path if data is None else path.parent).mkdir(parents=True, exist_ok=True)
                if data is not None:
                    path.write_bytes(data)
            yield stack.enter_context(FolderTree(tmp_path / "served"))
        else:
            fd = os.open(write_pack(tmp_path / "root.p9", FILES), os.O_RDONLY)
            stack.callback(os.close, fd)
            (tmp_path / "changes").mkdir()
            pack = Pack(fd)
            stack.callback(pack.close)
            overlay = Overlay(pack, tmp_path / "changes", 1 << 20, lambda: 5000.0)
            stack.callback(overlay.close)
            yield RootTree(overlay)


@pytest.fixture
async def wire(tree: Tree) -> AsyncIterator[Wire]:
    async with open_wire(NinepServer(tree)) as wire:
        await wire.begin()
        yield wire


async def refuse(wire: Wire, message: m.Message, reason: str) -> None:
    answer = await wire.call(message)
    assert isinstance(answer, m.Rerror), answer
    assert reason in answer.ename


async def walk(wire: Wire, fid: int, *names: str) -> tuple[Qid, ...]:
    answer = await wire.call(m.Twalk(0, fid, names))
    assert isinstance(answer, m.Rwalk), answer
    assert len(answer.qids) == len(names)
    return answer.qids


async def stat(wire: Wire, fid: int) -> Stat:
    found: Stat = (await wire.call(m.Tstat(fid))).stat
    return found


def changing(**fields: object) -> Stat:
    return Stat(**{name: getattr(UNTOUCHED, name) for name in UNTOUCHED.__slots__} | fields)


async def test_what_is_no_directory_is_walked_nowhere(wire: Wire) -> None:
    await walk(wire, 1, "a")
    for name in ("..", "x"):
        await refuse(wire, m.Twalk(1, 2, (name,)), "not a directory")
    assert len((await wire.call(m.Twalk(0, 2, ("a", "..", "d")))).qids) == 1
    assert await wire.call(m.Twalk(1, 2)) == m.Rwalk()


async def test_the_root_of_an_attach_is_a_root(wire: Wire) -> None:
    """It is called so, and nothing is above it."""
    answer = await wire.call(m.Tattach(1, NO_FID, "bo", "d"))
    assert answer.qid == (await walk(wire, 2, "d"))[0]
    assert ((await stat(wire, 1)).name, (await stat(wire, 2)).name) == ("/", "d")
    up = await wire.call(m.Twalk(1, 3, ("..", "..", "f", "..")))
    assert [qid.path for qid in up.qids[:2]] == [answer.qid.path] * 2
    assert len(up.qids) == 3
    await refuse(wire, m.Twalk(1, 3, ("a",)), "does not exist")
    await refuse(wire, m.Tattach(5, NO_FID, "bo", "a"), "not a directory")
    await refuse(wire, m.Twstat(1, changing(name="x")), "permission denied")
    await refuse(wire, m.Tremove(1), "permission denied")


async def test_what_may_be_created(wire: Wire) -> None:
    for mode in (WRITE, READ_WRITE, READ | TRUNCATE, READ | REMOVE):
        await walk(wire, 1)
        await refuse(wire, m.Tcreate(1, "new", Mode.DIR | 0o755, mode), "file is a directory")
        await wire.call(m.Tclunk(1))
    await walk(wire, 1)
    made = await wire.call(m.Tcreate(1, "new", Mode.DIR | Mode.TMP | 0o700, READ))
    assert made.qid.type == QidType.DIR | QidType.TMP
    assert (await stat(wire, 1)).mode == Mode.DIR | Mode.TMP | 0o700
    await refuse(wire, m.Tcreate(1, "more", 0o600, READ), "open")
    assert await wire.call(m.Tremove(1)) == m.Rremove()
    await walk(wire, 1)
    made = await wire.call(m.Tcreate(1, "only", Mode.EXCLUSIVE | 0o000, READ_WRITE))
    assert await wire.call(m.Twrite(1, 0, b"x")) == m.Rwrite(1)
    await walk(wire, 2, "only")
    await refuse(wire, m.Topen(2, EXEC), "")


async def test_one_at_a_time_has_an_exclusive_file(wire: Wire) -> None:
    await walk(wire, 1)
    await wire.call(m.Tcreate(1, "only", Mode.EXCLUSIVE | 0o600, WRITE))
    await wire.call(m.Twrite(1, 0, b"kept"))
    await walk(wire, 2, "only")
    await refuse(wire, m.Topen(2, WRITE | TRUNCATE), "file in use")
    assert (await stat(wire, 2)).length == 4
    await wire.call(m.Tclunk(1))
    assert isinstance(await wire.call(m.Topen(2, READ)), m.Ropen)


async def test_what_is_appended_to_is_not_emptied(wire: Wire) -> None:
    await walk(wire, 1)
    await wire.call(m.Tcreate(1, "log", Mode.APPEND | 0o600, WRITE))
    await wire.call(m.Twrite(1, 1000, b"one"))
    await walk(wire, 2, "log")
    assert isinstance(await wire.call(m.Topen(2, READ_WRITE | TRUNCATE)), m.Ropen)
    await wire.call(m.Twrite(2, 0, b"two"))
    assert await wire.call(m.Tread(2, 0, 100)) == m.Rread(b"onetwo")


@pytest.mark.parametrize("mode", [READ, WRITE, READ_WRITE, READ | TRUNCATE, WRITE | TRUNCATE])
async def test_a_file_is_used_as_it_was_opened(wire: Wire, mode: int) -> None:
    await walk(wire, 1, "a")
    assert isinstance(await wire.call(m.Topen(1, mode)), m.Ropen)
    assert isinstance(await wire.call(m.Tread(1, 0, 5)), m.Rread) == (mode & 3 != WRITE)
    assert isinstance(await wire.call(m.Twrite(1, 0, b"x")), m.Rwrite) == (mode & 3 != READ)


async def test_removing_clunks_whatever_comes_of_it(wire: Wire) -> None:
    for name, works in (("d", False), ("a", True)):
        await walk(wire, 1, name)
        assert isinstance(await wire.call(m.Tremove(1)), m.Rremove if works else m.Rerror)
        await refuse(wire, m.Tclunk(1), "unknown fid")


async def test_what_is_gone_is_not_opened(wire: Wire) -> None:
    for fid in (1, 2, 3):
        await walk(wire, fid, "d", "e")
    await wire.call(m.Tremove(1))
    for message in (m.Topen(2, READ), m.Tstat(2), m.Tcreate(3, "x", 0o600, READ), m.Twstat(2, changing(mtime=5))):
        await refuse(wire, message, "does not exist")
    await refuse(wire, m.Tremove(2), "does not exist")
    assert await wire.call(m.Tclunk(3)) == m.Rclunk()


async def test_a_wstat_of_what_is_there_changes_nothing(wire: Wire) -> None:
    await walk(wire, 1)
    await walk(wire, 2, "a")
    for fid in (1, 2):
        before = await stat(wire, fid)
        assert await wire.call(m.Twstat(fid, before)) == m.Rwstat()
        assert replace(await stat(wire, fid), qid=before.qid, atime=0, muid="") == replace(before, atime=0, muid="")
    assert (await wire.call(m.Twstat(2, changing(qid=replace(UNTOUCHED.qid, path=before.qid.path))))) == m.Rwstat()


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        (changing(name="d", mode=0o600), "already exists"),
        (changing(name="/", mode=0o600), "invalid file name"),
        (changing(name="..", mode=0o600), "invalid file name"),
        (changing(mode=Mode.DIR | 0o755), "directory"),
        (changing(mode=Mode.AUTH | 0o600, mtime=5), "invalid permissions"),
        (changing(mode=0o1000, mtime=5), "invalid permissions"),
        (changing(qid=replace(UNTOUCHED.qid, path=12345), mtime=5), "cannot change qid"),
        (changing(qid=replace(UNTOUCHED.qid, type=QidType.DIR), mtime=5), "cannot change qid"),
        (changing(type=1, mtime=5), "cannot change type"),
        (changing(dev=1, mtime=5), "cannot change dev"),
        (changing(uid="nobody-else", mtime=5), "cannot change uid"),
        (changing(length=1 << 63, mode=0o600, name="b"), ""),
    ],
)
async def test_a_wstat_is_carried_out_whole_or_not(wire: Wire, change: Stat, reason: str) -> None:
    await walk(wire, 1, "a")
    before = await stat(wire, 1)
    await refuse(wire, m.Twstat(1, change), reason)
    assert replace(await stat(wire, 1), qid=before.qid, atime=0) == replace(before, atime=0)


async def test_marks_come_and_go_by_wstat(wire: Wire) -> None:
    await walk(wire, 1, "a")
    marked = Mode.APPEND | Mode.EXCLUSIVE | Mode.TMP | 0o640
    assert await wire.call(m.Twstat(1, changing(mode=marked))) == m.Rwstat()
    seen = await stat(wire, 1)
    assert (seen.mode, seen.qid.type) == (marked, Mode.qid_type(marked))
    assert await wire.call(m.Twstat(1, changing(mode=0o644))) == m.Rwstat()
    assert (await stat(wire, 1)).qid.type == QidType.FILE


async def test_an_entry_is_what_a_stat_is(wire: Wire) -> None:
    """Of directories, too: their length is 0. There is none for the directory itself or its parent."""
    await walk(wire, 1, "d")
    await wire.call(m.Topen(1, READ))
    entries = parse_stats((await wire.call(m.Tread(1, 0, 8000))).data)
    assert sorted(entry.name for entry in entries) == ["e", "f"]
    for fid, entry in enumerate(entries, 2):
        await walk(wire, fid, "d", entry.name)
        assert await stat(wire, fid) == entry
        assert entry.length == (7 if entry.name == "f" else 0)


async def test_a_change_in_a_directory_is_one_of_it(wire: Wire) -> None:
    (before,) = await walk(wire, 1, "d")
    await walk(wire, 2, "d")
    assert isinstance(await wire.call(m.Tcreate(2, "new", 0o600, READ)), m.Rcreate)
    (created,) = await walk(wire, 3, "d")
    await wire.call(m.Twstat(2, changing(name="old")))
    (renamed,) = await walk(wire, 4, "d")
    await wire.call(m.Tremove(2))
    (removed,) = await walk(wire, 5, "d")
    assert len({before.version, created.version, renamed.version, removed.version}) == 4
    assert len({before.path, created.path, renamed.path, removed.path}) == 1


async def test_the_end_of_a_file_is_empty(wire: Wire) -> None:
    await walk(wire, 1, "a")
    await wire.call(m.Topen(1, READ))
    for offset in (9, 10, (1 << 63) - 1):
        assert await wire.call(m.Tread(1, offset, 10)) == m.Rread(b"")
    assert await wire.call(m.Tread(1, 0, 0)) == m.Rread(b"")


async def test_a_flushed_remove_has_failed_or_not_but_is_answered() -> None:
    """Its fid is gone, and who hears nothing would think that it is not."""
    tree = MemoryTree()
    tree.add("never").ready = asyncio.Event()
    async with open_wire(NinepServer(tree)) as wire:
        await wire.begin()
        await walk(wire, 1, "never")
        await wire.send((5, m.Tremove(1)), (6, m.Tflush(5)))
        assert [await wire.receive(), await wire.receive()] == [(5, m.Rerror("interrupted")), (6, m.Rflush())]
        await refuse(wire, m.Tstat(1), "unknown fid")
        assert "never" in tree.root.children


@pytest.mark.parametrize("oldtag", [5, 7])
async def test_a_flush_has_a_tag_of_its_own(oldtag: int) -> None:
    tree = MemoryTree()
    tree.add("never").ready = asyncio.Event()
    async with open_wire(NinepServer(tree)) as wire:
        await wire.begin()
        await walk(wire, 1, "never")
        await wire.send((5, m.Topen(1, READ)), (5, m.Tflush(oldtag)))
        with pytest.raises(EOFError):
            await wire.receive()


async def test_a_flush_of_itself_is_one_of_nothing(wire: Wire) -> None:
    assert await wire.call(m.Tflush(5), tag=5) == m.Rflush()


async def test_what_was_flushed_is_not_written_later(tree: Tree) -> None:
    """A write that a thread has begun is answered before its flush is: the next one comes after it."""
    async with open_wire(NinepServer(tree)) as wire:
        await wire.begin(65560)
        await walk(wire, 1, "a")
        await wire.call(m.Topen(1, READ_WRITE))
        for number in range(100):
            await wire.send((5, m.Twrite(1, 0, bytes(60_000))), (6, m.Tflush(5)))
            assert await wire.receive() == (5, m.Rwrite(60_000))
            assert await wire.receive() == (6, m.Rflush())
            assert await wire.call(m.Twrite(1, 0, bytes([number]))) == m.Rwrite(1)
            assert await wire.call(m.Tread(1, 0, 1)) == m.Rread(bytes([number]))


@pytest.mark.parametrize("text", ["ä" * 100, "x" + "€" * 90, "\udce4" * 200, ""])
def test_an_error_is_cut_between_characters(text: str) -> None:
    cut = NinepError(text).text.encode()
    assert 0 < len(cut) <= 127
    assert cut.decode() in text or "?" in cut.decode() or not text


async def test_what_was_agreed_on_before_is_nothing_after_another_version(wire: Wire) -> None:
    """Not even when it comes to nothing."""
    for version, msize, answer in (("9P1999", 8192, m.Rversion), (m.VERSION, 7, m.Rerror)):
        await wire.begin()
        assert isinstance(await wire.call(m.Tversion(msize, version)), answer)
        await refuse(wire, m.Tstat(0), "no version was agreed on")
