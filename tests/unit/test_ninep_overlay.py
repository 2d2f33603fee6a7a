"""What a machine changes of its root, against a tree in memory; and what is said in words of the protocol."""

import os
import shutil
import tempfile
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.ninep_packs import write_pack

from weft.ninep.overlay.changes import FIRST_NEW
from weft.ninep.overlay.contents import FILE_COST
from weft.ninep.overlay.merged import Overlay
from weft.ninep.overlay.tree import RootTree
from weft.ninep.pack import Pack
from weft.ninep.tree import Node, OpenDir, OpenFile
from weft.ninep.words import Access, Mode, NinepError, OpenMode, StatChange

T = TypeVar("T")

BASE = {
    "386/bin/rc": b"#!rc",
    "386/bin/ls": b"list" * 20,
    "lib/namespace": b"bind\nmount\n",
    "lib/face/a": b"",
    "tmp": None,
    "adm/keys": b"secret",
}
LIMIT = 1 << 20
READ, WRITE, BOTH = (OpenMode(access) for access in (Access.READ, Access.WRITE, Access.READ_WRITE))
EMPTY = OpenMode(Access.WRITE, truncate=True)


def now(work: Coroutine[Any, Any, T]) -> T:
    """What a request comes to that waits for nothing."""
    try:
        work.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    raise AssertionError("it waits for something")


class Root:
    """An overlay in a folder of its own."""

    def __init__(self, folder: Path, limit: int = LIMIT) -> None:
        self.folder, self.limit = folder, limit
        if not (folder / "root.p9").exists():
            write_pack(folder / "root.p9", BASE)
        self.fd = os.open(folder / "root.p9", os.O_RDONLY | os.O_CLOEXEC)
        self.upper = folder / "0"
        self.upper.mkdir(exist_ok=True)
        self.open()

    def open(self) -> None:
        self.overlay = Overlay(Pack(self.fd), self.upper, self.limit, lambda: 5000.0)
        self.top = now(RootTree(self.overlay).attach("glenda", ""))

    def restart(self) -> None:
        self.overlay.close()
        self.open()

    def kill(self) -> None:
        """Go on from what was on the disk at this moment."""
        later = self.folder / str(int(self.upper.name) + 1)
        shutil.copytree(self.upper, later)
        self.overlay.close()
        self.upper = later
        self.open()

    def walk(self, path: str) -> Node:
        node = self.top
        for name in filter(None, path.split("/")):
            node = now(node.walk(name))
        return node

    def read(self, path: str) -> bytes:
        file = now(self.walk(path).open(READ))
        try:
            return now(file.read(0, 1 << 20))
        finally:
            now(file.close())

    def write(self, path: str, data: bytes, offset: int = 0, mode: OpenMode = WRITE) -> None:
        file = now(self.walk(path).open(mode))
        try:
            assert now(file.write(offset, data)) == len(data)
        finally:
            now(file.close())

    def create(self, folder: str, name: str, perm: int = 0o664, data: bytes = b"") -> OpenFile:
        file = now(self.walk(folder).create(name, perm, READ if perm & Mode.DIR else WRITE))
        if data:
            now(file.write(0, data))
        now(file.close())
        return file

    def names(self, path: str) -> list[str]:
        folder = now(self.walk(path).open(READ))
        assert isinstance(folder, OpenDir)
        return [stat.name for stat in now(folder.entries())]

    def files(self, path: str = "") -> Iterator[tuple[str, bytes | None]]:
        for name in self.names(path):
            below = f"{path}/{name}".lstrip("/")
            if self.walk(below).qid.is_dir:
                yield below, None
                yield from self.files(below)
            else:
                yield below, self.read(below)


@pytest.fixture
def root(tmp_path: Path) -> Iterator[Root]:
    root = Root(tmp_path)
    yield root
    root.overlay.close()
    os.close(root.fd)


def with_folders(files: dict[str, bytes | None]) -> dict[str, bytes | None]:
    folders = {parent: None for name in files for parent in list_parents(name)}
    return dict(sorted({**folders, **files}.items(), key=lambda item: item[0].split("/")))


def list_parents(name: str) -> Iterator[str]:
    while "/" in name:
        name = name.rpartition("/")[0]
        yield name


names = st.sampled_from(["a", "bin", "rc", "lib", "keys", "ü"])


class Machine(RuleBasedStateMachine):
    """A root and a dictionary that is to be the same after each step."""

    def __init__(self) -> None:
        super().__init__()
        self.temporary = tempfile.TemporaryDirectory()
        self.root = Root(Path(self.temporary.name))
        self.model = with_folders(BASE)
        self.qids = {path: self.root.walk(path).qid for path in self.model}
        self.seen = {qid.path for qid in self.qids.values()}

    def teardown(self) -> None:
        self.root.overlay.close()
        os.close(self.root.fd)
        self.temporary.cleanup()

    def choose(self, data: st.DataObject, *, folders: bool = False, files: bool = False) -> str | None:
        fitting = [path for path, content in self.model.items() if (folders if content is None else files)]
        return data.draw(st.sampled_from(fitting)) if fitting else None

    def children(self, path: str) -> list[str]:
        return [other for other in self.model if other.startswith(f"{path}/")]

    @rule(data=st.data(), name=names, content=st.binary(max_size=8), is_dir=st.booleans())
    def create(self, data: st.DataObject, name: str, content: bytes, is_dir: bool) -> None:
        folder = self.choose(data, folders=True) or ""
        path, perm = f"{folder}/{name}".lstrip("/"), Mode.DIR | 0o775 if is_dir else 0o664
        if path in self.model:
            with pytest.raises(NinepError, match="file already exists"):
                self.root.create(folder, name, perm)
            return
        self.root.create(folder, name, perm, b"" if is_dir else content)
        self.model[path] = None if is_dir else content
        qid = self.root.walk(path).qid
        assert qid.path not in self.seen
        self.seen.add(qid.path)
        self.qids[path] = qid

    @rule(data=st.data(), content=st.binary(min_size=1, max_size=8), offset=st.integers(0, 12))
    def write(self, data: st.DataObject, content: bytes, offset: int) -> None:
        if path := self.choose(data, files=True):
            self.root.write(path, content, offset)
            before = (self.model[path] or b"").ljust(offset, b"\0")
            self.change(path, before[:offset] + content + before[offset + len(content) :])

    @rule(data=st.data(), content=st.binary(max_size=8))
    def rewrite(self, data: st.DataObject, content: bytes) -> None:
        if path := self.choose(data, files=True):
            self.root.write(path, content, 0, EMPTY)
            self.change(path, content)

    @rule(data=st.data(), length=st.integers(0, 12))
    def cut(self, data: st.DataObject, length: int) -> None:
        if path := self.choose(data, files=True):
            now(self.root.walk(path).wstat(StatChange(length=length)))
            before = self.model[path] or b""
            if length != len(before):
                self.change(path, before[:length].ljust(length, b"\0"))

    def change(self, path: str, content: bytes) -> None:
        self.model[path] = content
        qid = self.root.walk(path).qid
        assert qid.path == self.qids[path].path
        assert qid.version > self.qids[path].version
        self.qids[path] = qid

    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        if (path := self.choose(data, folders=True, files=True)) is None:
            return
        if self.children(path):
            with pytest.raises(NinepError, match="directory is not empty"):
                now(self.root.walk(path).remove())
            return
        now(self.root.walk(path).remove())
        del self.model[path], self.qids[path]

    @rule(data=st.data(), name=names)
    def rename(self, data: st.DataObject, name: str) -> None:
        if (path := self.choose(data, folders=True, files=True)) is None:
            return
        fresh = f"{path.rpartition('/')[0]}/{name}".lstrip("/")
        node = self.root.walk(path)
        if fresh in self.model and fresh != path:
            with pytest.raises(NinepError, match="file already exists"):
                now(node.wstat(StatChange(name=name)))
            return
        now(node.wstat(StatChange(name=name)))
        for old in [path, *self.children(path)]:
            moved = fresh + old[len(path) :]
            self.model[moved], self.qids[moved] = self.model.pop(old), self.qids.pop(old)

    @rule()
    def restart(self) -> None:
        used = self.root.overlay.used
        self.root.restart()
        assert self.root.overlay.used == used

    @rule()
    def kill(self) -> None:
        self.root.kill()

    @invariant()
    def is_as_the_model(self) -> None:
        found = dict(self.root.files())
        assert found == self.model
        for path, qid in self.qids.items():
            now_is = self.root.walk(path).qid
            assert (now_is.path, now_is.type) == (qid.path, qid.type)
            assert now_is.version >= qid.version
        records = [self.root.overlay.get(qid.path) for qid in self.qids.values()]
        own = sum(len(self.root.read(path)) for path, r in zip(self.qids, records, strict=True) if r.owns_content)
        assert self.root.overlay.used == own + FILE_COST * sum(record.id >= FIRST_NEW for record in records)


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)


def test_the_image_is_seen_as_it_is(root: Root) -> None:
    assert dict(root.files()) == with_folders(BASE)
    stat = now(root.walk("386/bin/ls").stat())
    assert (stat.name, stat.length, stat.mtime, stat.uid, stat.muid) == ("ls", 80, 1000, "sys", "sys")
    assert now(root.top.stat()).name == "/"
    assert now(root.walk("386/bin").walk("..")).qid == root.walk("386").qid
    assert now(root.top.walk("..")).qid == root.top.qid
    assert root.overlay.used == 0


def test_reading_copies_nothing_and_a_new_mode_neither(root: Root) -> None:
    root.read("386/bin/ls")
    now(now(root.walk("386/bin/ls").open(BOTH)).close())
    now(root.walk("386/bin/ls").wstat(StatChange(mode=0o755, mtime=77, gid="glenda")))
    stat = now(root.walk("386/bin/ls").stat())
    assert (stat.mode, stat.mtime, stat.gid, stat.length) == (0o755, 77, "glenda", 80)
    assert list((root.upper / "files").iterdir()) == []


def test_a_time_is_as_asked_for_also_when_it_was_that_before(root: Root) -> None:
    file = root.walk("lib/namespace")
    before = now(file.stat()).mtime
    root.write("lib/namespace", b"new")
    assert now(file.stat()).mtime != before
    now(file.wstat(StatChange(mtime=before)))
    assert now(file.stat()).mtime == before


def test_who_wrote_last_and_when_is_kept(root: Root) -> None:
    now(root.walk("lib/namespace").wstat(StatChange(mtime=77)))
    root.write("lib/namespace", b"B")
    now(root.walk("lib/namespace").wstat(StatChange(mtime=99)))
    root.restart()
    stat = now(root.walk("lib/namespace").stat())
    assert (stat.mtime, stat.uid, stat.muid, stat.length) == (99, "sys", "glenda", 11)
    root.create("tmp", "mine")
    stat = now(root.walk("tmp/mine").stat())
    assert (stat.uid, stat.gid, now(root.walk("tmp").stat()).mtime) == ("glenda", "sys", 5000)


def test_all_who_have_a_file_open_see_one_content(root: Root) -> None:
    reader, writer = now(root.walk("adm/keys").open(READ)), now(root.walk("adm/keys").open(WRITE))
    before = root.walk("adm/keys").qid
    now(writer.write(2, b"XX"))
    assert now(reader.read(0, 100)) == b"seXXet"
    assert root.walk("adm/keys").qid.version == before.version + 1
    now(reader.close())
    now(writer.close())


def test_a_removed_file_lives_as_long_as_it_is_open(root: Root) -> None:
    file = now(root.walk("tmp").create("t", 0o600, BOTH))
    now(file.write(0, b"x" * 100))
    node = root.walk("tmp/t")
    now(node.remove())
    assert now(file.read(0, 3)) == b"xxx"
    assert root.overlay.used == 100
    now(file.close())
    assert root.overlay.used == 0
    with pytest.raises(NinepError, match="file does not exist"):
        now(node.stat())
    base = now(root.walk("adm/keys").open(BOTH))
    now(root.walk("adm/keys").remove())
    assert now(base.read(0, 6)) == b"secret"
    with pytest.raises(NinepError, match="file has been removed"):
        now(base.write(0, b"x"))
    now(base.close())


def test_there_is_an_end_to_what_a_machine_may_keep(tmp_path: Path) -> None:
    root = Root(tmp_path, limit=FILE_COST + 100)
    root.create("tmp", "a", data=b"x" * 60)
    with pytest.raises(NinepError, match="No space left on device"):
        root.write("tmp/a", b"x" * 60, offset=50)
    with pytest.raises(NinepError, match="No space left on device"):
        root.create("tmp", "b")
    with pytest.raises(NinepError, match="No space left on device"):
        root.write("386/bin/ls", b"x")  # its copy would be too large
    with pytest.raises(NinepError, match="No space left on device"):
        root.write("tmp/a", b"x", offset=1 << 62)
    with pytest.raises(NinepError, match="No space left on device"):
        now(root.walk("tmp/a").wstat(StatChange(length=1 << 40)))
    assert root.read("tmp/a") == b"x" * 60
    assert root.read("386/bin/ls") == BASE["386/bin/ls"]
    root.write("386/bin/ls", b"new", mode=EMPTY)  # that needs no copy
    now(root.walk("tmp/a").remove())
    assert root.overlay.used == 3
    root.overlay.close()
    os.close(root.fd)


def test_what_a_copy_left_that_was_cut_short_goes(root: Root) -> None:
    number = root.walk("386/bin/ls").qid.path
    (root.upper / "files" / f"{number:x}").write_bytes(b"half of")
    (root.upper / "files" / "strange").write_bytes(b"")
    root.restart()
    assert list((root.upper / "files").iterdir()) == []
    root.create("tmp", "empty")
    (root.upper / "files" / f"{root.walk('tmp/empty').qid.path:x}").unlink()
    root.restart()
    assert root.read("tmp/empty") == b""


def test_what_is_taken_back_leaves_all_as_it_was(root: Root) -> None:
    lib, changes = root.overlay.get(root.walk("lib").qid.path), root.overlay.changes
    with pytest.raises(RuntimeError), changes.together():
        changes.put(lib.touched(1, "glenda"))
        changes.drop(root.walk("lib/namespace").qid.path)
        raise RuntimeError("the disk is full")
    assert dict(root.files()) == with_folders(BASE)
    assert root.overlay.get(lib.id) == lib


def test_versions_go_on_after_a_kill(root: Root) -> None:
    file = now(root.walk("adm/keys").open(WRITE))
    for _ in range(10):
        now(file.write(0, b"again"))
    seen = root.walk("adm/keys").qid.version
    shutil.copytree(root.upper, root.folder / "copy")
    now(file.close())
    root.overlay.close()
    root.upper = root.folder / "copy"
    root.open()
    assert root.walk("adm/keys").qid.version >= seen
    assert root.read("adm/keys") == b"againt"


def test_an_exclusive_file_has_one_user(root: Root) -> None:
    file = now(root.walk("tmp").create("lock", Mode.EXCLUSIVE | 0o666, WRITE))
    with pytest.raises(NinepError, match="file in use"):
        now(root.walk("tmp/lock").open(READ))
    now(file.close())
    now(now(root.walk("tmp/lock").open(READ)).close())


def test_an_append_only_file_only_grows(root: Root) -> None:
    root.create("tmp", "log", Mode.APPEND | 0o666, b"one ")
    root.write("tmp/log", b"two", offset=0)
    root.write("tmp/log", b" three", offset=0, mode=EMPTY)
    assert root.read("tmp/log") == b"one two three"


def test_a_new_file_has_what_its_folder_allows(root: Root) -> None:
    now(root.walk("tmp").wstat(StatChange(mode=Mode.DIR | 0o750)))
    root.create("tmp", "file", 0o777)
    root.create("tmp", "folder", Mode.DIR | 0o777)
    assert now(root.walk("tmp/file").stat()).mode == 0o751
    assert now(root.walk("tmp/folder").stat()).mode == Mode.DIR | 0o750


def test_what_the_owner_may_not_is_refused(root: Root) -> None:
    now(root.walk("adm/keys").wstat(StatChange(mode=0o400)))
    for mode in (WRITE, BOTH, OpenMode(Access.READ, truncate=True), OpenMode(Access.EXEC)):
        with pytest.raises(NinepError, match="permission denied"):
            now(root.walk("adm/keys").open(mode))
    with pytest.raises(NinepError, match="permission denied"):
        now(root.walk("adm/keys").wstat(StatChange(length=0)))
    now(root.walk("adm").wstat(StatChange(mode=Mode.DIR | 0o555)))
    for work in (
        root.walk("adm").create("new", 0o666, WRITE),
        root.walk("adm/keys").remove(),
        root.walk("adm/keys").wstat(StatChange(name="locks")),
        root.walk("adm/keys").open(OpenMode(Access.READ, remove_on_close=True)),
        root.top.remove(),
        root.top.wstat(StatChange(name="other")),
    ):
        with pytest.raises(NinepError, match="permission denied"):
            now(work)
    now(root.walk("adm").wstat(StatChange(mode=Mode.DIR)))
    with pytest.raises(NinepError, match="permission denied"):
        root.walk("adm/keys")


@pytest.mark.parametrize(
    ("change", "what"),
    [
        (StatChange(name="ls", length=0), "file already exists"),
        (StatChange(name="x" * 256), "more than 255 bytes"),
        (StatChange(gid="ä" * 128, name="new"), "more than 255 bytes"),
        (StatChange(length=1 << 40, name="new"), "No space left"),
    ],
)
def test_a_change_is_made_whole_or_not_at_all(root: Root, change: StatChange, what: str) -> None:
    with pytest.raises(NinepError, match=what):
        now(root.walk("386/bin/rc").wstat(change))
    assert root.read("386/bin/rc") == b"#!rc"
    assert root.names("386/bin") == ["ls", "rc"]


def test_folders_are_not_written(root: Root) -> None:
    with pytest.raises(NinepError, match="not a directory"):
        now(root.walk("adm/keys").walk("x"))
    with pytest.raises(NinepError, match="file is a directory"):
        now(root.walk("lib").wstat(StatChange(length=5)))
    now(root.walk("lib").wstat(StatChange(length=0, mtime=5)))


def test_one_that_is_read_only_stays_as_it_is(root: Root) -> None:
    top = now(RootTree(root.overlay, read_only=True).attach("glenda", ""))
    adm = now(top.walk("adm"))
    keys = now(adm.walk("keys"))
    for work in (keys.open(WRITE), keys.open(OpenMode(Access.READ, remove_on_close=True)), keys.remove(),
                 adm.create("new", 0o666, READ), keys.wstat(StatChange(mode=0o777))):  # fmt: skip
        with pytest.raises(NinepError, match="read only file system"):
            now(work)
    now(keys.wstat(StatChange()))
    assert now(now(keys.open(READ)).read(0, 9)) == b"secret"


def test_a_part_of_the_tree_can_be_attached_to(root: Root) -> None:
    tree = RootTree(root.overlay)
    assert now(tree.attach("", "386/bin")).qid == root.walk("386/bin").qid
    with pytest.raises(NinepError, match="file does not exist"):
        now(tree.attach("glenda", "nowhere"))
    now(root.walk("tmp").wstat(StatChange()))
