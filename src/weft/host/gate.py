"""The gate: a small process inside the fabric's namespaces that opens things there and hands the descriptors out.

The daemon cannot enter a user namespace itself, since a process with threads may not. What the gate opens keeps
the gate's namespace, and the daemon, whose user owns the user namespace, has every capability in it. The gate runs
as a plain file without site-packages, so it imports the standard library only, and little of that: it starts in
some 15 ms. It ends when the daemon's end of its socket does.

Each request is one packet of text, words separated by a space: `socket FAMILY TYPE PROTOCOL` or `open FLAGS PATH`.
The answer is the error number, or `0` with the descriptor and then `closed`: the asker goes on only when nobody but it
has the thing open, since a tap, for one, has a user until its last descriptor is closed.
"""

import os
import socket
import sys

REQUEST_LIMIT = 4200
"""Bytes: PATH_MAX and the words before it."""


def serve(control: socket.socket) -> None:
    """Answer until the other end closes."""
    while request := control.recv(REQUEST_LIMIT):
        try:
            fd = open_thing(request.decode())
        except (OSError, ValueError) as err:
            control.send(str(getattr(err, "errno", None) or 22).encode())
            continue
        socket.send_fds(control, [b"0"], [fd])
        os.close(fd)
        control.send(b"closed")


def open_thing(request: str) -> int:
    """The descriptor a request asks for. Raises OSError, and ValueError for what is no request."""
    kind, _, rest = request.partition(" ")
    if kind == "socket":
        family, socket_type, protocol = map(int, rest.split())
        return socket.socket(family, socket_type, protocol).detach()
    if kind == "open":
        flags, _, path = rest.partition(" ")
        return os.open(path, int(flags) | os.O_CLOEXEC | os.O_NOCTTY)
    raise ValueError(kind)


if __name__ == "__main__":
    serve(socket.socket(fileno=int(sys.argv[1])))
