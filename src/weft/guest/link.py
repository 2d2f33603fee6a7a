"""The socket behind an agent. It can be exchanged for another under one conversation, and what is sent can wait."""

import asyncio
import os
from contextlib import suppress

from weft.model.errors import WrongState

_READ_BYTES = 64 * 1024
_MOVE_SECONDS = 10.0
"""How long a held link whose socket has ended waits for another one."""


class Link:
    """Bytes from and to a machine's agent."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._held: list[bytes] | None = None
        self._next: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._given = asyncio.Event()
        self._taken = asyncio.Event()

    def write(self, data: bytes) -> None:
        """Sends, or keeps it while the link is held. The streams' windows bound what waits here."""
        if self._held is not None:
            self._held.append(data)
        elif not self._writer.is_closing():
            self._writer.write(data)

    def hold(self) -> None:
        """From now on nothing is sent."""
        if self._held is None:
            self._held = []
            self._given.clear()

    def release(self, before: bytes) -> None:
        """Sends `before`, and then what was kept. The socket's end is the link's end again."""
        held, self._held = self._held or [], None
        self._given.set()
        for data in (before, *held):
            self.write(data)

    async def read(self) -> bytes:
        """What has come; nothing at the end. Raises OSError. The end of a held link's socket is not the link's end."""
        while True:
            data = await self._read()
            if data or not await self._exchange():
                return data

    async def _read(self) -> bytes:
        try:
            return await self._reader.read(_READ_BYTES)
        except ConnectionError:  # so ends the socket of a process that was killed
            if self._held is None:
                raise
            return b""

    async def _exchange(self) -> bool:
        if self._held is not None:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._given.wait(), _MOVE_SECONDS)
        if self._next is None:
            return False
        self._writer.close()
        (self._reader, self._writer), self._next = self._next, None
        self._given.clear()
        self._taken.set()
        return True

    async def move_to(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Goes on over another socket, once all that came by the one before is read. Raises WrongState.

        The link must be held, and whoever is at the old socket's other end be gone, or have stopped.
        """
        if self._held is None:
            raise WrongState("only the connection to a frozen machine can be moved")
        self._next = (reader, writer)
        self._taken.clear()
        self._given.set()
        self._read_to_the_end()
        await self._taken.wait()

    def _read_to_the_end(self) -> None:
        self._writer.transport.pause_reading()  # type: ignore[attr-defined]
        with suppress(OSError):  # all is read, or nothing is left to read from
            descriptor = self._writer.get_extra_info("socket").fileno()
            while data := os.read(descriptor, _READ_BYTES):
                self._reader.feed_data(data)
        self._reader.feed_eof()

    def close(self) -> None:
        """Ends the link, and a move that has not come to pass."""
        self._writer.close()
        if self._next:
            self._next[1].close()
        self._taken.set()

    async def wait_closed(self) -> None:
        with suppress(OSError):
            await self._writer.wait_closed()
