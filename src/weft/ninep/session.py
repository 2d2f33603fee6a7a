"""Requests carried out: fids on the one side, a tree on the other. Tags, and what becomes of replies, are the
connection's.
"""

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from weft.ninep.auth import Auth, AuthFile
from weft.ninep.driving import finish
from weft.ninep.fids import Fid, Fids, Hold
from weft.ninep.limits import Limits
from weft.ninep.messages import (
    IO_HEADER,
    Rattach,
    Rauth,
    Rclunk,
    Rcreate,
    Reply,
    Request,
    Ropen,
    Rread,
    Rremove,
    Rstat,
    Rwalk,
    Rwrite,
    Rwstat,
    Tattach,
    Tauth,
    Tclunk,
    Tcreate,
    Topen,
    Tread,
    Tremove,
    Tstat,
    Twalk,
    Twrite,
    Twstat,
)
from weft.ninep.stats import parse_change, refuse_fixed, touches_fixed
from weft.ninep.tree import Node, Tree
from weft.ninep.words import (
    BAD_OFFSET,
    INTERRUPTED,
    IS_DIR,
    MODE_BITS,
    NO_FID,
    NOT_DIR,
    Access,
    Mode,
    NinepError,
    OpenMode,
    Qid,
)

NEEDS_AUTH = "authentication required"
NO_AUTH = "authentication not required"
_MAX_OFFSET = (1 << 63) - 1
"""Where files end for every kernel."""


class Session:
    """One connection's view of a tree. `msize` is what was agreed on."""

    def __init__(self, tree: Tree, auth: Auth | None, limits: Limits) -> None:
        self._tree = tree
        self._auth = auth
        self._fids = Fids(limits.fids)
        self.msize = limits.msize

    @property
    def iounit(self) -> int:
        """Bytes of data that one message has room for."""
        return self.msize - IO_HEADER

    async def carry(self, request: Request) -> Reply:
        """The reply to a request. Raises NinepError for what cannot be done; then nothing has been."""
        return await _CARRIERS[type(request)](self, request)

    async def clear(self) -> None:
        """Let go of everything."""
        await self._fids.clear()

    async def _carry_auth(self, request: Tauth) -> Reply:
        if self._auth is None:
            raise NinepError(NO_AUTH)
        with self._fids.reserved(request.afid) as place:
            file = self._auth.begin(request.uname, request.aname)
            place.fid = Fid(Hold(file.node))
            place.fid.set_open(file, OpenMode(Access.READ_WRITE))
            return Rauth(file.node.qid)

    async def _carry_attach(self, request: Tattach) -> Reply:
        with self._fids.reserved(request.fid) as place:
            self._refuse_unknown(request)
            node = await self._tree.attach(request.uname, request.aname)
            place.fid = Fid(Hold(node))
            return Rattach(node.qid)

    def _refuse_unknown(self, request: Tattach) -> None:
        """Raises NinepError for who has not proved to be whom he says he is."""
        if self._auth is None:
            if request.afid != NO_FID:
                raise NinepError(NO_AUTH)
            return
        if request.afid == NO_FID:
            raise NinepError(NEEDS_AUTH)
        file = self._fids.get(request.afid).file
        if not isinstance(file, AuthFile) or not file.has_proved(request.uname, request.aname):
            raise NinepError(NEEDS_AUTH)

    async def _carry_walk(self, request: Twalk) -> Reply:
        fid = self._fids.get(request.fid)
        if fid.file is not None:
            raise NinepError("fid is open")
        if request.newfid == request.fid:
            return await self._walk_itself(fid, request.names)
        with self._fids.reserved(request.newfid) as place:
            async with fid:
                if not request.names:
                    place.fid = Fid(fid.hold.share())
                    return Rwalk()
                node, qids = await walk(fid.node, request.names)
                if node is not None:
                    place.fid = Fid(Hold(node))
                return Rwalk(qids)

    async def _walk_itself(self, fid: Fid, names: Sequence[str]) -> Reply:
        fid.want_unused()
        if not names:
            return Rwalk()
        async with fid:
            node, qids = await walk(fid.node, names)
            if node is not None:
                fid.become(Hold(node))
            return Rwalk(qids)

    async def _carry_open(self, request: Topen) -> Reply:
        fid, mode = self._fids.get(request.fid), OpenMode.of(request.mode)
        fid.want_unused()
        async with fid:
            if fid.node.qid.is_dir:
                refuse_changing(mode)
            file = await fid.node.open(mode)
            fid.set_open(file, mode)
            return Ropen(file.node.qid, self.iounit)

    async def _carry_create(self, request: Tcreate) -> Reply:
        fid, mode = self._fids.get(request.fid), OpenMode.of(request.mode)
        fid.want_unused()
        refuse_creating(fid.node, request, mode)
        async with fid:
            file = await fid.node.create(request.name, request.perm, mode)
            fid.become(Hold(file.node))
            fid.set_open(file, mode)
            return Rcreate(file.node.qid, self.iounit)

    async def _carry_read(self, request: Tread) -> Reply:
        fid = self._fids.get(request.fid)
        file = fid.want_reading()
        count, offset = min(request.count, self.iounit), checked_offset(request.offset)
        async with fid:
            return Rread(await file.read(offset, count))

    async def _carry_write(self, request: Twrite) -> Reply:
        fid = self._fids.get(request.fid)
        file = fid.want_writing()
        offset = checked_offset(request.offset)
        async with fid:
            return Rwrite(await file.write(offset, request.data))

    async def _carry_clunk(self, request: Tclunk) -> Reply:
        async with self._fids.take(request.fid):
            return Rclunk()

    async def _carry_remove(self, request: Tremove) -> Reply:
        """Flushed, it has failed: without an answer the client would think that its fid is still there (flush(5))."""
        async with self._fids.take(request.fid) as fid:
            try:
                await fid.node.remove()
            except asyncio.CancelledError:
                raise NinepError(INTERRUPTED) from None
            fid.removed = True
            return Rremove()

    async def _carry_stat(self, request: Tstat) -> Reply:
        async with self._fids.get(request.fid) as fid:
            return Rstat(await fid.node.stat())

    async def _carry_wstat(self, request: Twstat) -> Reply:
        async with self._fids.get(request.fid) as fid:
            asked = request.stat
            if touches_fixed(asked):
                now = await fid.node.stat()
                refuse_fixed(asked, now)
                asked = asked.named("") if asked.name == now.name else asked  # a root is called `/`, which is no name
            if asked.name:
                refuse_name(asked.name)
            await fid.node.wstat(parse_change(asked))
            return Rwstat()


async def walk(start: Node, names: Sequence[str]) -> tuple[Node | None, tuple[Qid, ...]]:
    """Where a walk leads, and the qids of its way; no node where it ended before. Raises NinepError where it did not
    get anywhere.
    """
    node, passed, qids = start, list[Node](), list[Qid]()
    try:
        for name in names:
            refuse_name(name, but="..")
            node = await node.walk(name)
            passed.append(node)
            qids.append(node.qid)
    except NinepError:
        if not qids:
            raise
    finally:
        end = passed.pop() if len(qids) == len(names) else None
        await finish(close_all(passed))
    return end, tuple(qids)


async def close_all(nodes: Sequence[Node]) -> None:
    """Nobody needs them any more."""
    for node in nodes:
        await node.close()


def refuse_creating(folder: Node, request: Tcreate, mode: OpenMode) -> None:
    """Raises NinepError for what cannot be created by anybody."""
    if not folder.qid.is_dir:
        raise NinepError(NOT_DIR)
    refuse_name(request.name)
    if request.perm & ~MODE_BITS:
        raise NinepError("invalid permissions")
    if request.perm & Mode.DIR:
        refuse_changing(mode)


def refuse_changing(mode: OpenMode) -> None:
    """A directory is only ever read. Raises NinepError."""
    if mode.changes:
        raise NinepError(IS_DIR)


def refuse_name(name: str, but: str = "") -> None:
    """Raises NinepError for what is no name of a file."""
    if not name or "/" in name or name == "." or (name == ".." and but != ".."):
        raise NinepError("invalid file name")


def checked_offset(offset: int) -> int:
    """Raises NinepError for an offset where no file is."""
    if offset > _MAX_OFFSET:
        raise NinepError(BAD_OFFSET)
    return offset


_CARRIERS: dict[type[Request], Callable[[Session, Any], Coroutine[Any, Any, Reply]]] = {
    Tauth: Session._carry_auth,
    Tattach: Session._carry_attach,
    Twalk: Session._carry_walk,
    Topen: Session._carry_open,
    Tcreate: Session._carry_create,
    Tread: Session._carry_read,
    Twrite: Session._carry_write,
    Tclunk: Session._carry_clunk,
    Tremove: Session._carry_remove,
    Tstat: Session._carry_stat,
    Twstat: Session._carry_wstat,
}
