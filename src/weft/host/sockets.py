"""Unix sockets at any depth of folders: listening, connecting, and addresses that fit."""

import asyncio
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from weft.model.errors import Unavailable

LONGEST_ADDRESS = 107
"""Bytes a unix socket's address may have, by sockaddr_un."""
_RETRY_SECONDS = 0.01


@contextmanager
def short_path(path: Path) -> Iterator[str]:
    """An address for a unix socket at any depth, good while the context is open: a long one goes through /proc."""
    if len(os.fsencode(path)) <= LONGEST_ADDRESS:
        yield str(path)
        return
    directory = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{directory}/{path.name}"
    finally:
        os.close(directory)


def listen_unix(path: Path, *, backlog: int = 1) -> socket.socket:
    """A listening unix socket for its owner only, to be handed to QEMU; an older one in its place goes.

    Who connects while `backlog` others wait is refused, if he does not want to block. Raises Unavailable.
    """
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    try:
        path.unlink(missing_ok=True)
        with short_path(path) as address:
            sock.bind(address)
        path.chmod(0o600)
        sock.listen(backlog)
    except OSError as err:
        sock.close()
        raise Unavailable(f"cannot listen at {path}: {err.strerror}") from err
    return sock


def connect_pair(path: Path) -> tuple[socket.socket, socket.socket]:
    """A listening socket, and one that is connected to it already: for two programs that each want their end ready.

    Nothing stays at `path`, which is used for a moment. Raises Unavailable.
    """
    listening = listen_unix(path)
    connected = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        with short_path(path) as address:
            connected.connect(address)
    except OSError as err:
        listening.close()
        connected.close()
        raise Unavailable(f"cannot connect to {path}: {err.strerror}") from err
    finally:
        path.unlink(missing_ok=True)
    return listening, connected


async def connect_unix(path: Path, what: str) -> socket.socket:
    """A connected, non-blocking socket. Waits only for a full queue of connections. Raises Unavailable, naming `what`.

    Not `loop.sock_connect`: for a unix socket EAGAIN means that the queue is full, not that connecting goes on, and
    asyncio would take the socket for connected.
    """
    while True:
        connection = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        connection.setblocking(False)
        try:
            with short_path(path) as address:
                connection.connect(address)
            return connection
        except BlockingIOError:
            connection.close()
            await asyncio.sleep(_RETRY_SECONDS)
        except OSError as err:
            connection.close()
            raise Unavailable(f"{what}: {err.strerror} ({path})", hint="is the machine running?") from err
