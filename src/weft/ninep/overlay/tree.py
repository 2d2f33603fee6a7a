"""A machine's root as a tree to attach to.

The tree is the machine's own, and who its users are is its kernel's business: whoever attaches has what the owner of a
file has by its mode, so that a file without `x` is not run, and one without `w` is written after a chmod only.
"""

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

from weft.ninep.overlay.changes import Record
from weft.ninep.overlay.live import Live
from weft.ninep.overlay.merged import Overlay
from weft.ninep.pack import ROOT
from weft.ninep.tree import Node, OpenDir, OpenFile
from weft.ninep.words import (
    EXISTS,
    IS_DIR,
    MAX_NAME,
    NOT_DIR,
    NOT_FOUND,
    PERMISSION,
    READ_ONLY,
    Access,
    Mode,
    NinepError,
    OpenMode,
    Qid,
    Stat,
    StatChange,
)

_READ, _WRITE, _EXEC = 4, 2, 1
_NEEDED = {Access.READ: _READ, Access.WRITE: _WRITE, Access.READ_WRITE: _READ | _WRITE, Access.EXEC: _EXEC}
_BROKEN = "i/o error"


class RootTree:
    """The tree of an overlay, which `read_only` leaves as it is."""

    def __init__(self, overlay: Overlay, *, read_only: bool = False) -> None:
        self._overlay, self._read_only = overlay, read_only

    async def attach(self, user: str, aname: str) -> Node:
        check_text(user)
        node = RootNode(self._overlay, ROOT, user or "none", self._read_only)
        for name in filter(None, aname.split("/")):
            node = await node.walk(name)
        return node.as_root()


class RootNode(Node):
    """A file by its number. `top` is that of the root of its attach, where `..` ends."""

    def __init__(self, overlay: Overlay, id: int, user: str, read_only: bool, top: int = ROOT) -> None:
        self._overlay, self.id, self.user, self._read_only, self._top = overlay, id, user, read_only, top

    def as_root(self) -> "RootNode":
        """The same as the root of an attach. Raises NinepError for what is no directory."""
        with explained():
            return RootNode(self._overlay, self._get_folder(0).id, self.user, self._read_only, self.id)

    @property
    def qid(self) -> Qid:
        with explained():
            return self._overlay.qid(self._get())

    async def stat(self) -> Stat:
        with explained():
            stat = self._overlay.stat(self._get())
            return stat.named("/") if self.id == self._top else stat

    async def walk(self, name: str) -> "RootNode":
        with explained():
            folder = self._get_folder(_EXEC)
            if name == "..":
                return self._at(self.id if self.id == self._top else folder.parent)
            if (found := self._overlay.find_child(folder, name)) is None:
                raise NinepError(NOT_FOUND)
            return self._at(found.id)

    async def open(self, mode: OpenMode) -> OpenFile:
        with explained():
            record = self._get()
            if mode.changes:
                self._check_writable()
            _check(record, _NEEDED[mode.access] | (_WRITE if mode.truncate else 0))
            if mode.remove_on_close:
                self._check_parent(record)
            if record.is_dir:
                return RootDir(self)
            return self._open(record, truncate=mode.truncate and not record.mode & Mode.APPEND)

    async def create(self, name: str, perm: int, mode: OpenMode) -> OpenFile:
        with explained():
            folder = self._get_folder(_WRITE)
            self._check_writable()
            check_text(name)
            shared = 0o777 if perm & Mode.DIR else 0o666
            # open(5): a new file has no permission, of those that it shares with folders, that its folder lacks.
            allowed = perm & (~shared | (folder.mode & shared))
            record = self._overlay.create(folder, name, allowed, self.user)
            node = self._at(record.id)
            return RootDir(node) if record.is_dir else node._open(record)

    async def remove(self) -> None:
        with explained():
            record = self._get()
            self._check_writable()
            self._check_parent(record)
            self._overlay.remove(record, self.user)

    async def wstat(self, change: StatChange) -> None:
        with explained():
            record = self._get()
            if change.is_sync:
                self._overlay.sync(record)
                return
            self._check_writable()
            changed = self._plan_change(record, change)
            if change.length not in (None, self._overlay.stat(record).length):
                record = self._cut(record, change.length)
                changed = replace(changed, base=record.base, muid=record.muid, version=record.version)
            if changed != record or change.mtime is not None:
                self._overlay.change(record, changed, self.user, timed=change.mtime is not None)

    def _plan_change(self, record: Record, change: StatChange) -> Record:
        """What is to be on record; raises NinepError for what may not be."""
        changed = record
        if change.name is not None and change.name != record.name:
            check_text(change.name)
            self._check_parent(record)
            if self._overlay.find_child(self._overlay.get(record.parent), change.name) is not None:
                raise NinepError(EXISTS)
            changed = replace(changed, name=change.name)
        if change.mode is not None:
            changed = replace(changed, mode=change.mode)
        if change.length is not None:
            if record.is_dir and change.length:
                raise NinepError(IS_DIR)
            if not record.is_dir:
                _check(record, _WRITE)
        if change.mtime is not None:
            changed = replace(changed, mtime=change.mtime)
        if change.gid:
            check_text(change.gid)
            changed = replace(changed, gid=change.gid)
        return changed

    def _cut(self, record: Record, length: int) -> Record:
        live = self._overlay.open(record)
        try:
            live.truncate(length, self.user)
        finally:
            self._overlay.leave(live)
        return self._get()

    def _open(self, record: Record, *, truncate: bool = False) -> "RootFile":
        live = self._overlay.open(record)
        try:
            if truncate:
                live.truncate(0, self.user)
        except BaseException:
            self._overlay.leave(live)
            raise
        return RootFile(self, self._overlay, live, appends=bool(record.mode & Mode.APPEND))

    def _at(self, id: int) -> "RootNode":
        return RootNode(self._overlay, id, self.user, self._read_only, self._top)

    def _get(self) -> Record:
        return self._overlay.get(self.id)

    def _check_writable(self) -> None:
        if self._read_only:
            raise NinepError(READ_ONLY)

    def _get_folder(self, needed: int) -> Record:
        record = self._get()
        if not record.is_dir:
            raise NinepError(NOT_DIR)
        _check(record, needed)
        return record

    def _check_parent(self, record: Record) -> None:
        """Whether its name may go, or become another one."""
        if record.id in (ROOT, self._top):
            raise NinepError(PERMISSION)
        _check(self._overlay.get(record.parent), _WRITE)


class RootFile(OpenFile):
    """A file that is open."""

    def __init__(self, node: RootNode, overlay: Overlay, live: Live, *, appends: bool) -> None:
        super().__init__(node)
        self._user, self._overlay, self._live, self._appends = node.user, overlay, live, appends

    async def read(self, offset: int, count: int) -> bytes:
        with explained():
            return self._live.read(offset, count)

    async def write(self, offset: int, data: bytes) -> int:
        with explained():
            return self._live.write(self._live.size if self._appends else offset, data, self._user)

    async def close(self) -> None:
        with explained():
            self._overlay.leave(self._live)


class RootDir(OpenDir):
    """A directory that is open."""

    def __init__(self, node: RootNode) -> None:
        super().__init__(node)
        self._root = node

    async def entries(self) -> Sequence[Stat]:
        with explained():
            overlay = self._root._overlay
            return [overlay.stat(record) for record in overlay.children(self._root._get())]


@contextmanager
def explained() -> Iterator[None]:
    """What the host says, in words of the protocol."""
    try:
        yield
    except OSError as err:
        raise NinepError(err.strerror or _BROKEN) from err
    except sqlite3.Error as err:
        raise NinepError(_BROKEN) from err


def check_text(text: str) -> None:
    """What is put on record is bounded."""
    if len(text.encode()) > MAX_NAME:
        raise NinepError(f"name has more than {MAX_NAME} bytes")


def _check(record: Record, needed: int) -> None:
    """Whether the owner may do this with a file."""
    if needed & ~(record.mode >> 6):
        raise NinepError(PERMISSION)
