"""The server of one machine's root: a process of its own, which has no network. Connections are handed to it.

Arguments: the descriptor of a datagram socket on which they come, as descriptors; and what is served: `overlay PACK
FOLDER LIMIT ro|rw`, a pack with what was changed of it in a folder, of at most so many bytes; or `folder PATH ro|rw`.
"""

import asyncio
import logging
import os
import resource
import signal
import socket
import struct
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from weft.ninep.folder import FolderTree
from weft.ninep.overlay.merged import Overlay
from weft.ninep.overlay.tree import RootTree
from weft.ninep.pack import Pack
from weft.ninep.server import NinepServer
from weft.ninep.tree import Tree

_RESET = struct.pack("ii", 1, 0)
_MESSAGE = 16
"""Bytes of a message; a descriptor is all that counts of it."""


async def serve(control: socket.socket, tree: Tree) -> None:
    """Serve whoever is handed over. Cancelled, it leaves nobody connected and nothing open."""
    loop, server = asyncio.get_running_loop(), NinepServer(tree)
    control.setblocking(False)
    async with asyncio.TaskGroup() as clients:
        while True:
            await _wait_readable(loop, control)
            for client in take_all(control):
                clients.create_task(server.serve_socket(client))


def take_all(control: socket.socket) -> list[socket.socket]:
    """The connections that wait to be taken."""
    taken: list[socket.socket] = []
    while True:
        try:
            _, fds, _, _ = socket.recv_fds(control, _MESSAGE, 1)
        except BlockingIOError:
            return taken
        taken += [_prepare(socket.socket(fileno=fd)) for fd in fds]


def _prepare(client: socket.socket) -> socket.socket:
    """Nothing of it stays when it is closed. A machine that was switched off and boots again may come from the same
    port, and must not meet what is left of its last connection.
    """
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
    return client


async def _wait_readable(loop: asyncio.AbstractEventLoop, sock: socket.socket) -> None:
    ready = asyncio.Event()
    loop.add_reader(sock, ready.set)
    try:
        await ready.wait()
    finally:
        loop.remove_reader(sock)


async def _run(control: socket.socket, words: Sequence[str]) -> None:
    """Until SIGTERM."""
    serving = asyncio.current_task()
    assert serving is not None
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, serving.cancel)
    match list(words):
        case ["overlay", pack, folder, limit, access]:
            fd = os.open(pack, os.O_RDONLY | os.O_CLOEXEC)
            overlay = Overlay(Pack(fd), Path(folder), int(limit), time.time)
            try:
                await serve(control, RootTree(overlay, read_only=access == "ro"))
            finally:
                overlay.close()
        case ["folder", path, access]:
            with FolderTree(Path(path), read_only=access == "ro") as tree:
                await serve(control, tree)
        case _:
            sys.exit(f"not served: {' '.join(words)}")


def main(words: Sequence[str]) -> None:
    logging.basicConfig(format="%(message)s")
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    control = socket.socket(fileno=int(words[0]))
    try:
        asyncio.run(_run(control, words[1:]))
    except asyncio.CancelledError:
        sys.exit(0)
