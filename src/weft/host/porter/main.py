"""The process. Arguments: the descriptor of the socket that listens, and the folder with the servers' sockets.

The folder is all there is of a table: a server's socket is called as its machine's address, and somebody whose address
is not there is hung up on. Servers come and go, and nobody has to tell the porter.
"""

import array
import errno
import os
import socket
import time
from collections.abc import Sequence
from contextlib import suppress

STALL = 0.2
"""Seconds without accepting, when the process has no descriptor left."""
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


def hand_on(out: socket.socket, client: socket.socket, server: str) -> bool:
    """Give a connection away. Whether there was somebody to take it; one who is busy is not waited for."""
    rights = (socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [client.fileno()]))
    try:
        out.sendmsg([b"\0"], [rights], 0, server)
    except OSError:
        return False
    return True


def serve(listener: socket.socket, folder: str) -> None:
    """Hand on whoever comes, for ever."""
    out = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    while True:
        try:
            client, (address, _port) = listener.accept()
        except OSError as err:
            if err.errno in EXHAUSTED:
                time.sleep(STALL)
            continue
        with client, suppress(OSError):
            hand_on(out, client, os.path.join(folder, address))  # noqa: PTH118 (pathlib would be half of its memory)


def main(words: Sequence[str]) -> None:
    fd, folder = words
    listener = socket.socket(fileno=int(fd))
    listener.setblocking(True)
    serve(listener, folder)
