"""A served directory and a model of one go the same way, whatever requests come."""

import asyncio
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule
from tests.unit.ninep_folders import list_names, make_directory, make_file, open_file, read_file, walk

from weft.ninep.folder import FolderTree
from weft.ninep.tree import Node
from weft.ninep.words import Access, NinepError, OpenMode, StatChange

names = st.sampled_from(["a", "b", "c"])
paths = st.lists(names, min_size=1, max_size=3).map("/".join)
data = st.binary(max_size=40)
offsets = st.integers(0, 60)


class Folders(RuleBasedStateMachine):
    """`model` has every path: bytes are a file, None is a directory. `held` are nodes that were walked to before, and
    where they are now; None is nowhere any more.
    """

    def __init__(self) -> None:
        super().__init__()
        self.folder = tempfile.TemporaryDirectory()
        self.tree = FolderTree(Path(self.folder.name))
        self.loop = asyncio.new_event_loop()
        self.root = self.run(self.tree.attach("", ""))
        self.model: dict[str, bytes | None] = {"": None}
        self.held: list[tuple[Node, str | None]] = []

    def run(self, act):
        return self.loop.run_until_complete(act)

    def teardown(self) -> None:
        self.run(self.loop.shutdown_default_executor())
        self.loop.close()
        self.tree.close()
        self.folder.cleanup()

    def below(self, path: str) -> list[str]:
        return [other for other in self.model if other.startswith(f"{path}/") or (not path and other)]

    def is_dir(self, path: str) -> bool:
        return path in self.model and self.model[path] is None

    def attempt(self, may: bool, act) -> None:
        if may:
            self.run(act)
        else:
            with pytest.raises(NinepError):
                self.run(act)

    @rule(path=paths, content=data)
    def create_file(self, path, content):
        parent, _, name = path.rpartition("/")
        may = self.is_dir(parent) and path not in self.model
        self.attempt(may, self._made(parent, lambda node: make_file(node, name, content)))
        if may:
            self.model[path] = content

    @rule(path=paths)
    def create_directory(self, path):
        parent, _, name = path.rpartition("/")
        may = self.is_dir(parent) and path not in self.model
        self.attempt(may, self._made(parent, lambda node: make_directory(node, name)))
        if may:
            self.model[path] = None

    async def _made(self, parent, make):
        await make(await walk(self.root, parent))

    @rule(path=paths, offset=offsets, content=data, truncate=st.booleans())
    def write(self, path, offset, content, truncate):
        old = self.model.get(path)
        self.attempt(old is not None, self._written(path, offset, content, truncate))
        if old is not None:
            kept = b"" if truncate else old
            padded = kept.ljust(offset, b"\0") if content else kept
            self.model[path] = padded[:offset] + content + padded[offset + len(content) :] if content else kept

    async def _written(self, path, offset, content, truncate):
        opened = await open_file(self.root, path, OpenMode(Access.WRITE, truncate=truncate))
        assert await opened.write(offset, content) == len(content)
        await opened.close()

    @rule(path=paths, length=offsets)
    def cut(self, path, length):
        old = self.model.get(path)
        may = old is not None or (self.is_dir(path) and not length)
        self.attempt(may, self._changed(path, StatChange(length=length)))
        if old is not None:
            self.model[path] = old[:length].ljust(length, b"\0")

    @rule(path=paths, name=names)
    def rename(self, path, name):
        parent = path.rpartition("/")[0]
        new = f"{parent}/{name}" if parent else name
        may = path in self.model and (new == path or new not in self.model)
        self.attempt(may, self._changed(path, StatChange(name=name)))
        if may and new != path:
            moved = {old: new + old[len(path) :] for old in [path, *self.below(path)]}
            for old, now in moved.items():
                self.model[now] = self.model.pop(old)
            self.held = [(node, moved.get(at, at) if at else at) for node, at in self.held]

    async def _changed(self, path, change):
        await (await walk(self.root, path)).wstat(change)

    @rule(path=paths)
    def remove(self, path):
        may = path in self.model and not self.below(path)
        self.attempt(may, self._removed(path))
        if may:
            del self.model[path]
            self.held = [(node, None if at == path else at) for node, at in self.held]

    async def _removed(self, path):
        await (await walk(self.root, path)).remove()

    @rule(path=paths)
    def hold(self, path):
        if path in self.model and len(self.held) < 20:
            self.held.append((self.run(walk(self.root, path)), path))

    @invariant()
    def what_was_walked_to_is_known_where_it_is(self):
        for node, at in self.held:
            if at is None:
                with pytest.raises(NinepError):
                    self.run(node.stat())
            else:
                assert self.run(node.stat()).name == at.rpartition("/")[2]
                assert node.qid.path == self.run(walk(self.root, at)).qid.path

    @invariant()
    def is_the_same(self):
        for path, content in self.model.items():
            if content is None:
                prefix = f"{path}/" if path else ""
                children = sorted(x[len(prefix) :] for x in self.below(path) if "/" not in x[len(prefix) :])
                assert self.run(list_names(self.root, path)) == children
            else:
                assert self.run(read_file(self.root, path)) == content
                assert self.run(self._length(path)) == len(content)

    async def _length(self, path):
        return (await (await walk(self.root, path)).stat()).length


TestFolders = Folders.TestCase
TestFolders.settings = settings(max_examples=40, stateful_step_count=30)
