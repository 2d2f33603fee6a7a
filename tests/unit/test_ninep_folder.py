"""A directory of the host as a tree of files: what each request does, by Plan 9's manual, section 5."""

import asyncio
import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.ninep_folders import (
    READ,
    READ_WRITE,
    WRITE,
    list_names,
    make_directory,
    make_file,
    open_file,
    read_file,
    walk,
)

from weft.ninep.folder import FolderTree
from weft.ninep.folder.uses import Uses
from weft.ninep.tree import Node
from weft.ninep.words import (
    EXISTS,
    IN_USE,
    IS_DIR,
    NOT_DIR,
    NOT_EMPTY,
    NOT_FOUND,
    PERMISSION,
    READ_ONLY,
    Access,
    Mode,
    NinepError,
    OpenMode,
    QidType,
    StatChange,
)


@pytest.fixture
def tree(tmp_path: Path) -> Iterator[FolderTree]:
    with FolderTree(tmp_path) as tree:
        yield tree


@pytest.fixture
async def root(tree: FolderTree) -> Node:
    return await tree.attach("somebody", "")


async def test_files_are_walked_to_read_and_listed(root: Node, tmp_path: Path) -> None:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_bytes(b"content")
    assert await list_names(root) == ["a"]
    assert await list_names(root, "a/b") == ["file"]
    assert await read_file(root, "a/b/file") == b"content"
    assert (await walk(root, "a/b/../../..")).qid.path == root.qid.path
    assert (await root.stat()).name == "/"


async def test_a_stat_tells_what_the_host_does(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"12345")
    (tmp_path / "file").chmod(0o4640)
    os.utime(tmp_path / "file", (1000, 2000))
    with FolderTree(tmp_path, user="glenda") as tree:
        stat = await (await walk(await tree.attach("", ""), "file")).stat()
        assert (stat.name, stat.length, stat.mode, stat.atime, stat.mtime) == ("file", 5, 0o640, 1000, 2000)
        assert (stat.uid, stat.muid, stat.gid) == ("glenda", "glenda", "glenda")
        assert stat.qid.type == QidType.FILE
        assert (await (await tree.attach("", "")).stat()).length == 0


async def test_a_part_of_the_tree_is_a_root_of_its_own(tree: FolderTree, tmp_path: Path) -> None:
    (tmp_path / "part" / "below").mkdir(parents=True)
    (tmp_path / "file").touch()
    part = await tree.attach("", "/part")
    assert (await part.walk("..")).qid == part.qid
    assert (await walk(part, "below/../..")).qid == part.qid
    for change in (part.remove(), part.wstat(StatChange(name="other"))):
        with pytest.raises(NinepError, match=PERMISSION):
            await change
    assert (await tree.attach("", "../../part/..")).qid == (await tree.attach("", "")).qid
    for aname, complaint in (("file", NOT_DIR), ("none", NOT_FOUND), (".", "illegal name")):
        with pytest.raises(NinepError, match=complaint):
            await tree.attach("", aname)


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "a\0b", "x" * 256])
async def test_a_name_is_no_path(root: Node, name: str) -> None:
    with pytest.raises(NinepError, match="illegal name"):
        await root.create(name, 0o644, WRITE)
    await make_file(root, "file")
    with pytest.raises(NinepError, match="illegal name"):
        await (await root.walk("file")).wstat(StatChange(name=name))


async def test_what_9p_cannot_say_is_not_there(root: Node, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(str(tmp_path / "socket"))
    listening.close()
    (tmp_path / "link").symlink_to("file")
    (tmp_path / "file").touch()
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/bad\xff")).touch()
    assert await list_names(root) == ["file"]
    for name in ("pipe", "socket", "link"):
        with pytest.raises(NinepError, match=NOT_FOUND):
            await root.walk(name)
        with pytest.raises(NinepError, match=EXISTS):
            await root.create(name, 0o644, WRITE)


async def test_a_pipe_that_comes_in_a_files_place_makes_nobody_wait(root: Node, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    node = await root.walk("file")
    (tmp_path / "file").unlink()
    os.mkfifo(tmp_path / "file")
    for mode in (READ, WRITE, READ_WRITE):
        with pytest.raises(NinepError, match=NOT_FOUND):
            await node.open(mode)


async def test_permissions_are_bounded_by_the_directorys(root: Node, tmp_path: Path) -> None:
    tmp_path.chmod(0o750)
    mask = os.umask(0o077)  # counts for nothing: the client's is what it asks for
    try:
        await make_file(root, "file", perm=0o777)
        await make_directory(root, "folder", perm=0o777)
    finally:
        os.umask(mask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o751
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o750


async def test_a_new_file_is_open_as_asked_whatever_its_permissions(root: Node, tmp_path: Path) -> None:
    opened = await root.create("file", 0o000, READ_WRITE)
    assert await opened.write(3, b"abc") == 3
    assert await opened.read(0, 10) == b"\0\0\0abc"
    await opened.close()
    for perm in (0o644, Mode.DIR | 0o755):
        with pytest.raises(NinepError, match=EXISTS):
            await root.create("file", perm, READ)
    assert await list_names(root) == ["file"]


async def test_what_opening_asks_for(root: Node) -> None:
    await make_file(root, "file", b"text")
    with pytest.raises(NinepError, match=PERMISSION):
        await open_file(root, "file", OpenMode(Access.EXEC))
    emptied = await open_file(root, "file", OpenMode(Access.READ, truncate=True))
    assert await emptied.read(0, 10) == b""
    await emptied.close()


async def test_a_directory_is_only_read(root: Node) -> None:
    for mode in (WRITE, OpenMode(Access.READ, truncate=True), OpenMode(Access.READ, remove_on_close=True)):
        with pytest.raises(NinepError, match=IS_DIR):
            await root.open(mode)


async def test_offsets_beyond_the_hosts_are_the_end(root: Node) -> None:
    await make_file(root, "file", b"text")
    opened = await open_file(root, "file", READ_WRITE)
    assert await opened.read(1 << 63, 10) == b""
    assert await opened.read((1 << 64) - 1, 10) == b""
    assert await opened.read(4, 10) == b""
    with pytest.raises(NinepError, match="illegal offset"):
        await opened.write((1 << 64) - 1, b"x")
    await opened.close()


async def test_append_only(root: Node) -> None:
    await make_file(root, "log", b"one", perm=Mode.APPEND | 0o644)
    assert (await walk(root, "log")).qid.type == QidType.APPEND
    opened = await open_file(root, "log", OpenMode(Access.WRITE, truncate=True))
    await opened.write(0, b"two")
    await opened.close()
    assert await read_file(root, "log") == b"onetwo"
    node = await walk(root, "log")
    await node.wstat(StatChange(mode=0o644))
    await (await node.open(OpenMode(Access.WRITE, truncate=True))).close()
    assert await read_file(root, "log") == b""


async def test_exclusive_use(root: Node) -> None:
    lock = await root.create("lock", Mode.EXCLUSIVE | 0o600, WRITE)
    node = await walk(root, "lock")
    assert (await node.stat()).mode == Mode.EXCLUSIVE | 0o600
    with pytest.raises(NinepError, match=IN_USE):
        await node.open(READ)
    await lock.close()
    second = await node.open(READ)
    with pytest.raises(NinepError, match=IN_USE):
        await node.open(READ)
    await second.close()
    await node.remove()
    await make_file(root, "lock")
    assert (await walk(root, "lock")).qid.type == QidType.FILE


async def test_another_file_of_the_name_is_not_removed(root: Node, tmp_path: Path) -> None:
    opened = await root.create("file", 0o600, OpenMode(Access.WRITE, remove_on_close=True))
    (tmp_path / "other").write_bytes(b"other")
    (tmp_path / "other").rename(tmp_path / "file")
    await opened.close()
    with pytest.raises(NinepError, match=NOT_FOUND):
        await opened.node.remove()
    assert (tmp_path / "file").read_bytes() == b"other"


async def test_removing(root: Node, tmp_path: Path) -> None:
    folder = await make_directory(root, "folder")
    await make_file(folder, "file", b"text")
    file, opened = await walk(root, "folder/file"), await open_file(root, "folder/file")
    with pytest.raises(NinepError, match=NOT_EMPTY):
        await folder.remove()
    await file.remove()
    assert await opened.read(0, 10) == b"text"
    await opened.close()
    await make_file(folder, "file", b"another")
    with pytest.raises(NinepError, match=NOT_FOUND):
        await file.stat()
    await (await walk(root, "folder/file")).remove()
    await folder.remove()
    with pytest.raises(NinepError, match=NOT_FOUND):
        await folder.create("file", 0o600, WRITE)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(NinepError, match=PERMISSION):
        await root.remove()


async def test_a_rename_is_known_to_all_who_are_there(root: Node, tmp_path: Path) -> None:
    folder = await make_directory(root, "folder")
    await make_file(folder, "file", b"text")
    file, qid = await walk(root, "folder/file"), folder.qid
    await (await root.walk("folder")).wstat(StatChange(name="other"))
    assert (await folder.stat()).name == "other"
    assert folder.qid.path == qid.path
    assert (await file.stat()).name == "file"
    await make_directory(root, "folder")
    assert await list_names(root, "folder") == []
    assert (tmp_path / "other" / "file").read_bytes() == b"text"


async def test_a_rename_is_never_over_what_is_there(root: Node, tmp_path: Path) -> None:
    await make_file(root, "one", b"1")
    await make_file(root, "two", b"2")
    (tmp_path / "link").symlink_to("nowhere")
    node = await root.walk("one")
    for name in ("two", "link"):
        with pytest.raises(NinepError, match=EXISTS):
            await node.wstat(StatChange(name=name))
    await node.wstat(StatChange(name="one"))
    assert await read_file(root, "one") == b"1"


async def test_wstat_changes_all(root: Node, tmp_path: Path) -> None:
    await make_file(root, "file", b"12345")
    gid = str(os.getegid())
    await (await root.walk("file")).wstat(StatChange(mode=0o600, name="new", length=3, mtime=1234, gid=gid))
    state = (tmp_path / "new").stat()
    assert (state.st_mode & 0o777, state.st_size, int(state.st_mtime)) == (0o600, 3, 1234)
    await (await root.walk("new")).wstat(StatChange())


async def test_wstat_changes_nothing_when_a_part_cannot_be(root: Node, tmp_path: Path) -> None:
    await make_file(root, "file", b"12345")
    await make_file(root, "taken")
    await make_directory(root, "folder")
    node, before = await root.walk("file"), (tmp_path / "file").stat()
    for change in (
        StatChange(mode=0o600, mtime=7, length=1, name="taken"),
        StatChange(mode=0o600, mtime=7, name="new", length=(1 << 62)),
        StatChange(mode=0o600, length=1 << 63),
        StatChange(mode=0o600, name="new", gid="nosuchgroup"),
    ):
        with pytest.raises(NinepError):
            await node.wstat(change)
        after = (tmp_path / "file").stat()
        assert (after.st_mode, after.st_mtime_ns, after.st_size) == (before.st_mode, before.st_mtime_ns, 5)
        assert (await node.stat()).name == "file"
    with pytest.raises(NinepError, match=IS_DIR):
        await (await root.walk("folder")).wstat(StatChange(length=1, mode=Mode.DIR | 0o700))
    await (await root.walk("folder")).wstat(StatChange(length=0, mode=Mode.DIR | 0o700))
    assert (tmp_path / "folder").stat().st_mode & 0o777 == 0o700


async def test_qids_tell_files_and_their_states_apart(root: Node, tmp_path: Path) -> None:
    seen, versions = set(), []
    for number in range(200):  # a file system gives the same inode again soon
        await make_file(root, "file", str(number).encode())
        node = await root.walk("file")
        seen.add(node.qid.path)
        versions.append(root.qid.version)
        await node.remove()
    assert len(seen) == len(set(versions)) == 200
    opened = await root.create("file", 0o644, WRITE)
    states = set()
    for _ in range(200):  # faster than the kernel's clock
        await opened.write(0, b"x")
        states.add(opened.node.qid.version)
    assert len(states) == 200
    await opened.close()


async def test_read_only(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    with FolderTree(tmp_path, read_only=True) as tree:
        root = await tree.attach("", "")
        node = await root.walk("file")
        assert await read_file(root, "file") == b"text"
        for change in (
            node.open(WRITE),
            node.open(OpenMode(Access.READ, truncate=True)),
            node.open(OpenMode(Access.READ, remove_on_close=True)),
            node.remove(),
            node.wstat(StatChange(mode=0o600)),
            root.create("new", 0o644, WRITE),
            root.create("new", Mode.DIR | 0o755, READ),
        ):
            with pytest.raises(NinepError, match=READ_ONLY):
                await change
        await node.wstat(StatChange())


async def test_only_so_many_are_open(tmp_path: Path) -> None:
    with FolderTree(tmp_path, max_open=1) as tree:
        root = await tree.attach("", "")
        first = await root.create("one", 0o644, WRITE)
        with pytest.raises(NinepError, match="Too many open files"):
            await root.create("two", 0o644, WRITE)
        with pytest.raises(NinepError, match="Too many open files"):
            await open_file(root, "one")
        assert await list_names(root) == ["one"]
        await first.close()
        await make_file(root, "two")


async def test_a_descriptor_will_do_and_stays_its_owners(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"text")
    fd = os.open(tmp_path, os.O_PATH)
    with FolderTree(fd) as tree:
        (tmp_path / "moved").mkdir()
        assert await read_file(await tree.attach("", ""), "file") == b"text"
    os.close(fd)
    with pytest.raises(NotADirectoryError):
        FolderTree(tmp_path / "file")


def test_marks_are_bounded_and_go_with_their_files() -> None:
    uses = Uses(limit=1)
    for number in range(1 << 16):
        uses.refuse_marks(Mode.EXCLUSIVE)
        uses.mark(number, Mode.EXCLUSIVE | 0o644)
    uses.refuse_marks(0o644)
    for mode in (Mode.APPEND, Mode.TMP):
        with pytest.raises(NinepError, match="too many files with marks"):
            uses.refuse_marks(mode)
    uses.forget(7)
    uses.refuse_marks(Mode.APPEND)
    assert (uses.marks(7), uses.marks(8)) == (0, Mode.EXCLUSIVE)


async def test_no_descriptor_is_left(tmp_path: Path) -> None:
    before = set(Path("/proc/self/fd").iterdir())
    with FolderTree(tmp_path) as tree:
        root = await tree.attach("", "")
        await make_file(await make_directory(root, "folder"), "file", b"text")
        nodes = [await walk(root, "folder/file") for _ in range(2000)]
        assert await read_file(root, "folder/file") == b"text"
        with pytest.raises(NinepError):
            await open_file(root, "folder", WRITE)
        assert len(nodes) == 2000
    assert len(set(Path("/proc/self/fd").iterdir())) == len(before)


async def test_what_was_given_up_is_written_to_nobody_elses_file(root: Node, tmp_path: Path) -> None:
    """A write that a thread has begun is done before its flush is answered, and before its file is closed."""
    for number in range(100):
        opened = await root.create(f"{number}", 0o600, WRITE)
        writing = asyncio.ensure_future(opened.write(0, b"x" * 100_000))
        await asyncio.sleep(0)
        writing.cancel()
        await asyncio.wait([writing])
        await opened.close()
        other = await root.create(f"other{number}", 0o600, WRITE)
        await other.close()
        assert (tmp_path / f"other{number}").stat().st_size == 0
    await asyncio.get_running_loop().shutdown_default_executor()
    assert {(tmp_path / f"{number}").stat().st_size for number in range(100)} == {100_000}


async def test_a_large_directory_is_listed_whole(root: Node, tmp_path: Path) -> None:
    for number in range(1000):
        (tmp_path / f"{number}").touch()
    assert len(await list_names(root)) == 1000
