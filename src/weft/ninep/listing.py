"""Reading a directory: whole entries, and offsets that are 0 or where the last read ended (read(5))."""

from collections.abc import Sequence

from weft.ninep.stats import dump_stat
from weft.ninep.tree import OpenDir
from weft.ninep.words import BAD_OFFSET, NinepError, Stat


class Listing:
    """What of an open directory has been read."""

    __slots__ = ("_entries", "_folder", "_index", "_next")

    def __init__(self, folder: OpenDir) -> None:
        self._folder = folder
        self._entries: Sequence[Stat] = ()
        self._index = 0
        self._next = 0

    async def read(self, offset: int, count: int) -> bytes:
        """As many entries as `count` bytes have room for; none at the end, nor where it has room for none: Linux fills
        its buffer by reading on, and takes an error for the directory's. Raises NinepError.
        """
        if offset == 0:
            self._entries = await self._folder.entries()
            self._index = self._next = 0
        elif offset != self._next:
            raise NinepError(BAD_OFFSET)
        data = b"".join(self._cut(count))
        if not data and not offset and self._entries:
            raise NinepError("count is too small for a directory entry")
        self._next += len(data)
        if self._index == len(self._entries):
            self._entries, self._index = (), 0
        return data

    def _cut(self, room: int) -> list[bytes]:
        pieces: list[bytes] = []
        while self._index < len(self._entries):
            entry = dump_stat(self._entries[self._index])
            room -= len(entry)
            if room < 0:
                break
            pieces.append(entry)
            self._index += 1
        return pieces
