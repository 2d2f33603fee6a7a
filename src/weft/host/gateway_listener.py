"""A listening socket at a gateway's address, inside a room's namespace, of which the daemon has this end."""

import socket

from weft.host.namespace import Namespace
from weft.model.errors import Unavailable

BACKLOG = 16
_IP_FREEBIND = 15
"""linux/in.h; Python has no name for it. The gateway's link may be made only after this."""


async def listen_inside(namespace: Namespace, address: str, port: int) -> socket.socket:
    """It does not block. Raises Unavailable: somebody listens there already."""
    sock = await namespace.socket(socket.AF_INET, socket.SOCK_STREAM)
    try:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.setsockopt(socket.IPPROTO_IP, _IP_FREEBIND, 1)
        sock.bind((address, port))
        sock.listen(BACKLOG)
    except OSError as err:
        sock.close()
        raise Unavailable(f"cannot listen at {address} port {port} of the fabric's namespace: {err.strerror}") from err
    return sock
