"""Hearing of links that come, change and go."""

import asyncio
import socket
from collections.abc import AsyncIterator

from weft.host import rtnl
from weft.host.links import LinkEvent
from weft.host.namespace import Namespace
from weft.host.netlink import parse_messages
from weft.model.errors import Unavailable

_BUFFER = 1 << 20


async def watch_link_events(namespace: Namespace) -> AsyncIterator[LinkEvent]:
    """Changes of the links of a namespace, from the first step of the iteration on. Raises Unavailable when some were
    lost."""
    sock = await namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
    with sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _BUFFER)
        sock.bind((0, rtnl.LINK_GROUP))
        sock.setblocking(False)
        while True:
            for event in _parse_events(await _receive(sock)):
                yield event


def _parse_events(data: bytes) -> list[LinkEvent]:
    events = []
    for kind, _, _, body in parse_messages(data):
        name, up, carrier = rtnl.parse_news(body)
        gone = kind == rtnl.DELETE_LINK
        events.append(LinkEvent(name, up and not gone, carrier and not gone, gone))
    return events


async def _receive(sock: socket.socket) -> bytes:
    try:
        return await asyncio.get_running_loop().sock_recv(sock, 1 << 16)
    except OSError as err:
        raise Unavailable(f"link events were lost: {err.strerror}", hint="list the links anew") from err
