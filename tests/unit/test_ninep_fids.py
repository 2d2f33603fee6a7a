"""Any order of requests, against a model of fids that knows what each must come to."""

import asyncio
import socket
from dataclasses import dataclass
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from tests.unit.ninep_memory import Entry, MemoryTree
from tests.unit.ninep_wire import PATIENCE, Wire

from weft.ninep import messages as m
from weft.ninep.server import NinepServer
from weft.ninep.words import NO_FID, Mode, OpenMode

fids = st.integers(0, 5)
names = st.sampled_from(["d", "e", "a", "b", "..", "none", "x/y", "."])
MODES = {0: "read", 1: "write", 2: "both", 0x10: "read", 0x11: "write", 0x41: "write", 0x42: "both"}


@dataclass
class FidModel:
    """What a client knows of a fid of its own. `mode`: None while it is not open."""

    entry: Entry
    mode: int | None = None

    @property
    def is_dir(self) -> bool:
        return bool(self.entry.mode & Mode.DIR)


class Fids(RuleBasedStateMachine):
    """`flush`: each request has a flush behind it, that may or may not be in time."""

    @initialize(turns=st.integers(0, 2))
    def begin(self, turns: int) -> None:
        self.tree = MemoryTree(turns)
        folder = self.tree.add("d", mode=Mode.DIR | 0o755)
        self.tree.add("e", mode=Mode.DIR | 0o755, parent=folder)
        self.tree.add("a", b"text", parent=folder)
        self.tree.add("b", b"")
        self.model: dict[int, FidModel] = {}
        self.loop = asyncio.new_event_loop()
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        self.wire = Wire(ours)
        self.serving = self.loop.create_task(NinepServer(self.tree).serve_socket(theirs))
        self.run(self.wire.begin())
        self.model[0] = FidModel(self.tree.root)

    def teardown(self) -> None:
        self.wire.sock.close()
        self.run(asyncio.wait_for(self.serving, PATIENCE))
        self.loop.close()
        assert (self.tree.nodes, self.tree.files) == (0, 0)

    def run(self, act: Any) -> Any:
        return self.loop.run_until_complete(act)

    def call(self, message: m.Message, flush: bool) -> Any:
        """The reply; None if it was flushed in time."""
        if not flush:
            return self.run(self.wire.call(message, 7))
        self.run(self.wire.send((7, message), (8, m.Tflush(7))))
        tag, reply = self.run(self.wire.receive())
        if tag == 8:
            return None
        assert self.run(self.wire.receive()) == (8, m.Rflush())
        return reply

    def expect(self, message: m.Message, works: bool, flush: bool) -> Any:
        """The reply to what is to work; None if it does not, as expected, or was flushed."""
        reply = self.call(message, flush)
        if reply is None:
            return None
        assert isinstance(reply, m.Rerror) != works, f"{message}: {reply}"
        return reply if works else None

    def closed(self, fid: int) -> FidModel | None:
        found = self.model.get(fid)
        return None if found is None or found.mode is not None else found

    def opened(self, fid: int, kind: str) -> FidModel | None:
        found = self.model.get(fid)
        return None if found is None or found.mode is None or MODES[found.mode] not in (kind, "both") else found

    @rule(fid=fids, flush=st.booleans())
    def attach(self, fid: int, flush: bool) -> None:
        if self.expect(m.Tattach(fid, NO_FID, "bo", ""), fid not in self.model, flush):
            self.model[fid] = FidModel(self.tree.root)

    @rule(fid=fids, newfid=fids, way=st.lists(names, max_size=4), flush=st.booleans())
    def walk(self, fid: int, newfid: int, way: list[str], flush: bool) -> None:
        start = self.closed(fid)
        ends = [] if start is None else follow(start.entry, way)
        may = start is not None and (newfid == fid or newfid not in self.model) and bool(ends or not way)
        reply = self.expect(m.Twalk(fid, newfid, tuple(way)), may, flush)
        if reply is not None and start is not None:
            assert [qid.path for qid in reply.qids] == [entry.path for entry in ends]
            if len(ends) == len(way):
                self.model[newfid] = FidModel(ends[-1] if ends else start.entry)

    @rule(fid=fids, mode=st.sampled_from([*MODES]), flush=st.booleans())
    def open(self, fid: int, mode: int, flush: bool) -> None:
        found = self.closed(fid)
        may = found is not None and not found.entry.gone and (mode == 0 or not found.is_dir)
        if self.expect(m.Topen(fid, mode), may, flush) and found is not None:
            found.mode = mode

    @rule(fid=fids, name=names, folder=st.booleans(), mode=st.sampled_from([*MODES]), flush=st.booleans())
    def create(self, fid: int, name: str, folder: bool, mode: int, flush: bool) -> None:
        found = self.closed(fid)
        may = found is not None and found.is_dir and not found.entry.gone and name not in found.entry.children
        may = may and name not in ("..", "x/y", ".") and not (folder and OpenMode.of(mode).changes)
        perm = Mode.DIR | 0o755 if folder else 0o644
        if self.expect(m.Tcreate(fid, name, perm, mode), may, flush) and found is not None:
            self.model[fid] = FidModel(found.entry.children[name], mode)

    @rule(fid=fids, offset=st.integers(0, 10), flush=st.booleans())
    def read(self, fid: int, offset: int, flush: bool) -> None:
        found = self.opened(fid, "read")
        offset = 0 if found is not None and found.is_dir else offset
        reply = self.expect(m.Tread(fid, offset, 1000), found is not None, flush)
        if reply is not None and found is not None and not found.is_dir:
            assert reply.data == found.entry.data[offset:]

    @rule(fid=fids, offset=st.integers(0, 10), data=st.binary(max_size=4), flush=st.booleans())
    def write(self, fid: int, offset: int, data: bytes, flush: bool) -> None:
        found = self.opened(fid, "write")
        if self.expect(m.Twrite(fid, offset, data), found is not None, flush) and found is not None:
            assert found.entry.data[offset:].startswith(data)

    @rule(fid=fids, flush=st.booleans())
    def clunk(self, fid: int, flush: bool) -> None:
        """Flushed or not, the fid is gone: a request that ends something is carried out."""
        reply = self.call(m.Tclunk(fid), flush)
        assert reply is None or isinstance(reply, m.Rerror) == (fid not in self.model)
        self.model.pop(fid, None)

    @rule(fid=fids)
    def remove(self, fid: int) -> None:
        found = self.model.pop(fid, None)
        may = found is not None and not found.entry.gone and not found.entry.children
        self.expect(m.Tremove(fid), may and found is not None and found.entry.parent is not None, False)

    @rule(fid=fids, flush=st.booleans())
    def stat(self, fid: int, flush: bool) -> None:
        found = self.model.get(fid)
        reply = self.expect(m.Tstat(fid), found is not None and not found.entry.gone, flush)
        if reply is not None and found is not None:
            assert (reply.stat.name, reply.stat.length) == (found.entry.name, len(found.entry.data))

    @invariant()
    def nothing_is_held_for_nobody(self) -> None:
        """Clones share a node; what is open is open once."""
        opened = [fid for fid in self.model.values() if fid.mode is not None]
        assert self.tree.files == len(opened)
        assert self.tree.nodes <= len(self.model)


def follow(entry: Entry, way: list[str]) -> list[Entry]:
    """The files on a way, as far as it leads."""
    passed = []
    for name in way:
        if name in ("x/y", "."):
            break
        after = (entry.parent or entry) if name == ".." else entry.children.get(name)
        if after is None or not entry.mode & Mode.DIR:
            break
        entry = after
        passed.append(entry)
    return passed


TestFids = Fids.TestCase
TestFids.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
