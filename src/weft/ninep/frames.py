"""Cutting a stream of bytes into messages, however they were split and joined on their way."""

from struct import Struct

from weft.ninep.cursor import Malformed

_SIZE = Struct("<I")
SMALLEST = 7
"""Bytes of a message that is only a head."""


class Frames:
    """What has come on one connection and was not taken yet. `limit`: bytes that a message may have at most (msize)."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._held = b""
        self._at = 0

    @property
    def held(self) -> int:
        """Bytes that were not taken."""
        return len(self._held) - self._at

    def feed(self, data: bytes) -> None:
        """What has come."""
        self._held = self._held[self._at :] + data if self.held else data
        self._at = 0

    def take(self) -> bytes | None:
        """The next whole message, or None until there is more. Raises Malformed for a size that no message has:
        nothing that follows means anything then.
        """
        held, at = self._held, self._at
        if len(held) - at < 4:
            return None
        size: int = _SIZE.unpack_from(held, at)[0]
        if not SMALLEST <= size <= self.limit:
            raise Malformed(f"message of {size} bytes, {self.limit} at most")
        if len(held) - at < size:
            return None
        self._at = at + size
        return held if size == len(held) else held[at : self._at]
