"""Fids: the numbers under which a client has files. Whatever happens, each file and node is closed, once, after its
last use.
"""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from weft.ninep.driving import finish
from weft.ninep.listing import Listing
from weft.ninep.tree import Node, OpenDir, OpenFile
from weft.ninep.words import NO_FID, NinepError, OpenMode

UNKNOWN_FID = "unknown fid"
FID_IN_USE = "fid in use"
TOO_MANY_FIDS = "too many fids"

logger = logging.getLogger(__name__)


class Hold:
    """A node that one or more fids are at: clones of a fid share it."""

    __slots__ = ("count", "node")

    def __init__(self, node: Node) -> None:
        self.node = node
        self.count = 1

    def share(self) -> "Hold":
        self.count += 1
        return self

    async def drop(self) -> None:
        """One fid less. With the last one the node is closed."""
        self.count -= 1
        if not self.count:
            await self.node.close()


class Fid:
    """What one fid stands for. Requests use it within `async with`; once it is `gone`, the last of them closes it."""

    __slots__ = ("_before", "_uses", "file", "gone", "hold", "listing", "mode", "removed")

    def __init__(self, hold: Hold) -> None:
        self.hold = hold
        self.file: OpenFile | None = None
        self.mode: OpenMode | None = None
        self.listing: Listing | None = None
        self.gone = self.removed = False
        self._before: Hold | None = None
        self._uses = 0

    @property
    def node(self) -> Node:
        """The file it is at: once that is open, the one that was opened."""
        return self.hold.node if self.file is None else self.file.node

    def want_unused(self) -> None:
        """Raises NinepError while another request is at it, or it is open: it is to become something else."""
        if self.file is not None:
            raise NinepError("fid is open")
        if self._uses:
            raise NinepError(FID_IN_USE)

    def want_reading(self) -> OpenFile | Listing:
        """What is read. Raises NinepError unless it is open for that."""
        if self.file is None or self.mode is None or not self.mode.reads:
            raise NinepError("fid is not open for reading")
        return self.listing or self.file

    def want_writing(self) -> OpenFile:
        """What is written to. Raises NinepError unless it is open for that."""
        if self.file is None or self.mode is None or not self.mode.writes:
            raise NinepError("fid is not open for writing")
        return self.file

    def become(self, hold: Hold) -> None:
        """Within a use: from now on it is at this node. Who uses the one before has it until the last use ends."""
        self._before, self.hold = self.hold, hold

    def set_open(self, file: OpenFile, mode: OpenMode) -> None:
        """From now on it is that open file."""
        self.file = file
        self.mode = mode
        self.listing = Listing(file) if isinstance(file, OpenDir) else None

    async def __aenter__(self) -> "Fid":
        self._uses += 1
        return self

    async def __aexit__(self, *_: object) -> None:
        self._uses -= 1
        if not self._uses and (self.gone or self._before is not None):
            await finish(self._let_go())

    async def _let_go(self) -> None:
        gone, before, self._before = self.gone, self._before, None
        if before is not None:
            await before.drop()
        if gone:
            await self._close()

    async def _close(self) -> None:
        try:
            if self.file is not None:
                await self.file.close()
            if self.mode is not None and self.mode.remove_on_close and not self.removed:
                await self.node.remove()
        except NinepError as err:
            logger.debug("not removed on close: %s", err)
        finally:
            await self.hold.drop()


class Place:
    """A number that is kept for a fid to come."""

    def __init__(self) -> None:
        self.fid: Fid | None = None


class Fids:
    """The fids of one connection. `limit`: how many there may be."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._fids: dict[int, Fid | None] = {}

    def get(self, number: int) -> Fid:
        """Raises NinepError for one that is not there, or still to come."""
        fid = self._fids.get(number)
        if fid is None:
            raise NinepError(UNKNOWN_FID)
        return fid

    def take(self, number: int) -> Fid:
        """The number is free again; the fid is gone when its uses have ended. Raises NinepError."""
        fid = self.get(number)
        del self._fids[number]
        fid.gone = True
        return fid

    @contextmanager
    def reserved(self, number: int) -> Iterator[Place]:
        """Keep a number until the fid is put into its place; without one it is free again. Raises NinepError."""
        if number in self._fids or number == NO_FID:
            raise NinepError(FID_IN_USE)
        if len(self._fids) >= self._limit:
            raise NinepError(TOO_MANY_FIDS)
        self._fids[number] = None
        place = Place()
        try:
            yield place
        finally:
            if place.fid is None:
                del self._fids[number]
            else:
                self._fids[number] = place.fid

    async def clear(self) -> None:
        """All of them are gone. No request uses one any more."""
        fids = [fid for fid in self._fids.values() if fid is not None]
        self._fids.clear()
        for fid in fids:
            try:
                async with fid:
                    fid.gone = True
            except Exception:
                logger.exception("a file could not be closed")
