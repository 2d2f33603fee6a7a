"""A server on one end of a pair of sockets, and a test on the other that says what it likes, message by message."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from weft.ninep import messages as m
from weft.ninep.codec import dump, parse
from weft.ninep.frames import Frames
from weft.ninep.server import NinepServer
from weft.ninep.words import NO_FID, NO_TAG

PATIENCE = 20
"""Seconds that a test waits for what should be there at once."""


class Wire:
    """What a client without any manners has."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock
        self._frames = Frames(1 << 20)

    async def send(self, *messages: tuple[int, m.Message]) -> None:
        await self.send_bytes(b"".join(dump(tag, message) for tag, message in messages))

    async def send_bytes(self, data: bytes) -> None:
        async with asyncio.timeout(PATIENCE):
            await asyncio.get_running_loop().sock_sendall(self.sock, data)

    async def receive(self) -> tuple[int, Any]:
        """The next message. Raises EOFError when the server has hung up."""
        async with asyncio.timeout(PATIENCE):
            while (frame := self._frames.take()) is None:
                data = await asyncio.get_running_loop().sock_recv(self.sock, 65536)
                if not data:
                    raise EOFError
                self._frames.feed(data)
        return parse(frame)

    async def call(self, message: m.Message, tag: int = 1) -> Any:
        await self.send((tag, message))
        answered, answer = await self.receive()
        assert answered == tag
        return answer

    async def begin(self, msize: int = 8192) -> None:
        """Agree on a version, and attach to fid 0."""
        assert await self.call(m.Tversion(msize, m.VERSION), NO_TAG) == m.Rversion(msize, m.VERSION)
        assert isinstance(await self.call(m.Tattach(0, NO_FID, "bo", "")), m.Rattach)


@asynccontextmanager
async def open_wire(server: NinepServer) -> AsyncIterator[Wire]:
    """A client of a server; when it is gone, so is all that it had there."""
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    serving = asyncio.create_task(server.serve_socket(theirs))
    try:
        yield Wire(ours)
    finally:
        ours.close()
        await asyncio.wait_for(serving, PATIENCE)
