"""A client of 9P2000: files of a server by their paths, or by fids for whom that is not enough.

async with open_client("tcp!127.0.0.1!5640", user="glenda") as client:
    print(await client.read("lib/profile"))
"""

import contextlib
import hmac
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager

from weft.ninep.auth import SCHEME, make_challenge, prove
from weft.ninep.calling import Caller, open_caller
from weft.ninep.messages import (
    IO_HEADER,
    MAX_WALK,
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
from weft.ninep.stats import dump_change, parse_stats
from weft.ninep.words import (
    NO_FID,
    NOT_FOUND,
    Access,
    Mode,
    NinepError,
    OpenMode,
    Stat,
    StatChange,
)

MSIZE = 64 * 1024 + IO_HEADER
READ = OpenMode(Access.READ)
WRITE = OpenMode(Access.WRITE)
REWRITE = OpenMode(Access.WRITE, truncate=True)
_AUTH, _ROOT = 0, 1
"""Fids of the connection itself; those of files come after them."""


class RemoteFile:
    """A fid of the server's. To be clunked: `async with` does. Every method raises NinepError."""

    def __init__(self, caller: Caller, fid: int) -> None:
        self._caller = caller
        self._fid = fid
        self._unit = caller.msize - IO_HEADER

    async def __aenter__(self) -> "RemoteFile":
        return self

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(NinepError):
            await self.clunk()

    async def open(self, mode: OpenMode = READ) -> None:
        self._set_unit((await self._caller.call(Topen(self._fid, mode.code))).iounit)

    async def create(self, name: str, perm: int = 0o666, mode: OpenMode = WRITE) -> None:
        """Make a file in this directory, and be that file, open. With `Mode.DIR` in `perm` it is a directory."""
        self._set_unit((await self._caller.call(Tcreate(self._fid, name, perm, mode.code))).iounit)

    async def read(self, offset: int = 0, count: int | None = None) -> bytes:
        """What one read gives: at most `count` bytes, and what one message has room for. Empty at the end."""
        count = self._unit if count is None else min(count, self._unit)
        return bytes((await self._caller.call(Tread(self._fid, offset, count))).data)

    async def read_all(self) -> bytes:
        """From the beginning to the end."""
        pieces, offset = [], 0
        while piece := await self.read(offset):
            pieces.append(piece)
            offset += len(piece)
        return b"".join(pieces)

    async def write(self, data: bytes, offset: int = 0) -> None:
        """All of it; in several messages if it has no room in one. A command that has is one write."""
        while True:
            piece = data[: self._unit]
            count: int = (await self._caller.call(Twrite(self._fid, offset, piece))).count
            if count < len(piece) and not count:
                raise NinepError("nothing more can be written")
            data, offset = data[count:], offset + count
            if not data:
                return

    async def list(self) -> list[Stat]:
        """What is in this directory, which is open."""
        return parse_stats(await self.read_all())

    async def stat(self) -> Stat:
        stat: Stat = (await self._caller.call(Tstat(self._fid))).stat
        return stat

    async def wstat(self, change: StatChange) -> None:
        await self._caller.call(Twstat(self._fid, dump_change(change)))

    async def remove(self) -> None:
        """The fid goes in any case."""
        fid, self._fid = self._fid, NO_FID
        await self._caller.call(Tremove(fid))

    async def clunk(self) -> None:
        """The server lets go of it. A second time it is nothing."""
        if self._fid != NO_FID:
            fid, self._fid = self._fid, NO_FID
            await self._caller.call(Tclunk(fid))

    def _set_unit(self, iounit: int) -> None:
        """Zero says nothing (open(5))."""
        self._unit = min(iounit or self._unit, self._unit)


class NinepClient:
    """One attach. Any number of requests may be made at once. Every method raises NinepError.

    Paths are relative to what was attached to; a slash before them means nothing.
    """

    def __init__(self, caller: Caller) -> None:
        self._caller = caller
        self._last_fid = _ROOT

    @classmethod
    async def connect(
        cls, dial: str, *, user: str = "none", aname: str = "", secret: bytes | None = None, msize: int = MSIZE
    ) -> "NinepClient":
        """Attach to a server as a user. `aname`: the part of its tree; `secret`: what it wants to be proved."""
        caller = await open_caller(dial, msize)
        try:
            afid = NO_FID if secret is None else await _prove(caller, secret, user, aname)
            await caller.call(Tattach(_ROOT, afid, user, aname))
            if afid != NO_FID:
                await caller.call(Tclunk(afid))
        except BaseException:
            await caller.close()
            raise
        return cls(caller)

    async def close(self) -> None:
        """Hang up: the server lets go of everything."""
        await self._caller.close()

    async def walk(self, path: str) -> RemoteFile:
        """A file, not open."""
        names = [name for name in path.split("/") if name not in ("", ".")]
        fid = self._last_fid = self._last_fid + 1
        await self._walk(_ROOT, fid, names[:MAX_WALK], undo=Tclunk(fid))
        file = RemoteFile(self._caller, fid)
        async with AsyncExitStack() as undoing:
            undoing.push_async_exit(file)
            for at in range(MAX_WALK, len(names), MAX_WALK):
                await self._walk(fid, fid, names[at : at + MAX_WALK])
            undoing.pop_all()
        return file

    async def _walk(self, start: int, fid: int, names: Sequence[str], undo: Tclunk | None = None) -> None:
        reply = await self._caller.call(Twalk(start, fid, tuple(names)), undo)
        if len(reply.qids) != len(names):
            raise NinepError(NOT_FOUND)

    @asynccontextmanager
    async def opened(self, path: str, mode: OpenMode = READ) -> AsyncIterator[RemoteFile]:
        """A file that is open."""
        async with await self.walk(path) as file:
            await file.open(mode)
            yield file

    async def read(self, path: str) -> bytes:
        """A file's content."""
        async with self.opened(path) as file:
            return await file.read_all()

    async def write(self, path: str, data: bytes, mode: OpenMode = REWRITE) -> None:
        """Into a file that is there; what it was is gone, unless `mode` is WRITE."""
        async with self.opened(path, mode) as file:
            await file.write(data)

    async def create(self, path: str, data: bytes = b"", perm: int = 0o666) -> None:
        """A new file, or directory."""
        folder, _, name = path.rstrip("/").rpartition("/")
        async with await self.walk(folder) as file:
            await file.create(name, perm, READ if perm & Mode.DIR else WRITE)
            if data:
                await file.write(data)

    async def list(self, path: str = "") -> list[Stat]:
        """What is in a directory."""
        async with self.opened(path) as file:
            return await file.list()

    async def stat(self, path: str = "") -> Stat:
        async with await self.walk(path) as file:
            return await file.stat()

    async def wstat(self, path: str, change: StatChange) -> None:
        async with await self.walk(path) as file:
            await file.wstat(change)

    async def remove(self, path: str) -> None:
        async with await self.walk(path) as file:
            await file.remove()


@asynccontextmanager
async def open_client(
    dial: str, *, user: str = "none", aname: str = "", secret: bytes | None = None, msize: int = MSIZE
) -> AsyncIterator[NinepClient]:
    """A client for the time of a block; see `NinepClient.connect`."""
    client = await NinepClient.connect(dial, user=user, aname=aname, secret=secret, msize=msize)
    try:
        yield client
    finally:
        await client.close()


async def _prove(caller: Caller, secret: bytes, user: str, aname: str) -> int:
    """The afid of an attach: the server has seen that we know the secret, and we that it does. Raises NinepError."""
    await caller.call(Tauth(_AUTH, user, aname))
    file, ours = RemoteFile(caller, _AUTH), make_challenge()
    scheme, _, theirs = (await file.read()).decode("ascii", "replace").strip().partition(" ")
    if scheme != SCHEME:
        raise NinepError(f"the server wants another kind of proof: {scheme}")
    await file.write(f"{ours} {prove(secret, 'client', (theirs, ours), user, aname)}".encode())
    proof = (await file.read()).strip()
    if not hmac.compare_digest(proof, prove(secret, "server", (theirs, ours), user, aname).encode()):
        raise NinepError("the server does not know the secret")
    return _AUTH
