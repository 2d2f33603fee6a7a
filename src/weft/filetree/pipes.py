"""Bytes on their way from one who has them to one who reads."""

import asyncio

LIMIT = 1 << 18
"""Bytes that wait to be read; who writes more waits, too."""


class Pipe:
    """Read once, in order. A read that is given up takes nothing with it."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._closed = False
        self._changed = asyncio.Condition()

    async def put(self, data: bytes) -> None:
        """Waits while too much waits to be read. What is put into a closed one is dropped."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or len(self._buffer) < LIMIT)
            if not self._closed:
                self._buffer += data
                self._changed.notify_all()

    async def take(self, count: int) -> bytes:
        """At most `count` bytes, when there are some; none at the end."""
        async with self._changed:
            await self._changed.wait_for(lambda: self._closed or self._buffer)
            piece = bytes(self._buffer[:count])
            del self._buffer[:count]
            self._changed.notify_all()
            return piece

    async def close(self) -> None:
        """Nothing comes any more; what is in it can be read."""
        async with self._changed:
            self._closed = True
            self._changed.notify_all()
