"""How a connection to an agent begins: reaching the socket, and finding where our conversation starts."""

import asyncio
import os
import socket
from pathlib import Path

from weft.guest.frames import Kind
from weft.guest.protocol import NONCE_BYTES
from weft.model.errors import Unavailable

_MAX_SOCKET_PATH = 107
_RETRY_SECONDS = 0.01
_HEADER_BYTES = 8


async def connect_unix(path: Path) -> socket.socket:
    """A connected, non-blocking socket. Raises Unavailable; waits only for a full queue of connections.

    Not `loop.sock_connect`: for a unix socket EAGAIN means that the queue is full, not that connecting goes on, and
    asyncio would take the socket for connected.
    """
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            _connect(connection, path)
            return connection
        except BlockingIOError:
            connection.close()
            await asyncio.sleep(_RETRY_SECONDS)
        except OSError as err:
            connection.close()
            raise Unavailable(f"the agent's socket {path}: {err.strerror}", hint="is the machine running?") from err


def _connect(connection: socket.socket, path: Path) -> None:
    """A longer path than a socket's address holds is reached through its directory's descriptor."""
    if len(os.fsencode(path)) <= _MAX_SOCKET_PATH:
        connection.connect(str(path))
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY)
    try:
        connection.connect(f"/proc/self/fd/{directory}/{path.name}")
    finally:
        os.close(directory)


class ReadyFinder:
    """Passes over everything before the READY that carries our nonce.

    That may be the rest of what an earlier connection was sent, cut anywhere: frames in it cannot be trusted, 16 random
    bytes can.
    """

    def __init__(self, nonce: bytes) -> None:
        self._nonce = nonce
        self._held = b""
        self._found = False

    def feed(self, data: bytes) -> bytes:
        """What belongs to this connection, from that READY on; empty until it has come."""
        if self._found:
            return data
        self._held += data
        header = bytes([ord("W"), Kind.READY, 0, 0])
        at = self._held.find(self._nonce)
        while at >= 0:
            if at >= _HEADER_BYTES and self._held.startswith(header, at - _HEADER_BYTES):
                self._found = True
                return self._held[at - _HEADER_BYTES :]
            at = self._held.find(self._nonce, at + 1)
        self._held = self._held[-(_HEADER_BYTES + NONCE_BYTES - 1) :]
        return b""
