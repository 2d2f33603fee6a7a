"""A server of a tree: it takes connections, and ends them."""

import asyncio
import logging
import socket

from weft.ninep.auth import Auth
from weft.ninep.connection import Connection
from weft.ninep.driving import finish
from weft.ninep.limits import Limits
from weft.ninep.listening import keep_alive
from weft.ninep.session import Session
from weft.ninep.tree import Tree

RECEIVE = 64 * 1024
"""Bytes that are read from a socket at once."""
_BREATH = 0.5
"""Seconds until a host that is out of descriptors is asked again."""

logger = logging.getLogger(__name__)


class NinepServer:
    """Serves one tree, on any number of sockets of one loop."""

    def __init__(self, tree: Tree, *, limits: Limits | None = None, auth: Auth | None = None) -> None:
        self._tree = tree
        self._limits = limits or Limits()
        self._auth = auth
        self._buffer = bytearray(RECEIVE)
        self._count = 0

    async def serve(self, listener: socket.socket) -> None:
        """Take whoever comes to a socket that listens and does not block. Cancelled, it leaves none of them."""
        loop = asyncio.get_running_loop()
        async with asyncio.TaskGroup() as clients:
            while True:
                try:
                    sock, _ = await loop.sock_accept(listener)
                except OSError as err:
                    logger.warning("no connection could be taken: %s", err)
                    await asyncio.sleep(_BREATH)
                else:
                    clients.create_task(self.serve_socket(sock))

    async def serve_socket(self, sock: socket.socket) -> None:
        """Serve one client, until it goes or this is cancelled. The socket is closed then, and all that it had open."""
        if self._count >= self._limits.connections:
            logger.warning("a client is refused: there are %d already", self._count)
            sock.close()
            return
        self._count += 1
        connection = Connection(Session(self._tree, self._auth, self._limits), self._limits, self._buffer)
        try:
            sock.setblocking(False)
            keep_alive(sock)
            await asyncio.get_running_loop().connect_accepted_socket(lambda: connection, sock)
            await connection.lost.wait()
        except OSError as err:
            logger.debug("a client is gone: %s", err)
            sock.close()
        finally:
            await finish(connection.clean())
            self._count -= 1
