"""Plan 9's dial strings: where a server listens, and a client finds it. `tcp!HOST!PORT` and `unix!PATH`."""

import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.ninep.words import NinepError

PORT = 564
"""Of 9P (`9fs` in Plan 9's ndb)."""
_BACKLOG = 128
# Dead peers are noticed within a minute or so: those that owe no answer by probes, others by what they do not confirm.
_KEEPALIVE = ((socket.TCP_KEEPIDLE, 30), (socket.TCP_KEEPINTVL, 10), (socket.TCP_USER_TIMEOUT, 60_000))


@dataclass(frozen=True, slots=True)
class TcpAddress:
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class UnixAddress:
    path: str


def parse_dial(text: str) -> TcpAddress | UnixAddress:
    """`tcp!HOST` is port 564 there, `tcp!*!PORT` any address of the host. Raises NinepError."""
    kind, _, rest = text.partition("!")
    if kind == "unix" and rest:
        return UnixAddress(rest)
    host, bang, port = rest.partition("!")
    if kind == "tcp" and host:
        if not bang or port == "9fs":
            return TcpAddress(host, PORT)
        if port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 65536:
            return TcpAddress(host, int(port))
    raise NinepError(f"address '{text}' is neither tcp!HOST!PORT nor unix!PATH")


def listen(text: str) -> socket.socket:
    """A socket that listens there, not blocking. Raises NinepError for what is no address, OSError for one that cannot
    be had.
    """
    address = parse_dial(text)
    if isinstance(address, UnixAddress):
        remove_dead(address.path)
        return _bind(socket.socket(socket.AF_UNIX, socket.SOCK_STREAM), address.path)
    host = "" if address.host == "*" else address.host
    family, *_, name = socket.getaddrinfo(host or None, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)[
        0
    ]
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    return _bind(sock, name)


def remove_dead(path: str) -> None:
    """Remove a socket that nobody listens on any more: its server was killed."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)
        try:
            sock.connect(path)
        except ConnectionRefusedError:
            if Path(path).is_socket():
                Path(path).unlink()
        except OSError:
            return


def _bind(sock: socket.socket, name: Any) -> socket.socket:
    try:
        sock.bind(name)
        sock.listen(_BACKLOG)
    except OSError:
        sock.close()
        raise
    sock.setblocking(False)
    return sock


def keep_alive(sock: socket.socket) -> None:
    """Have the kernel look whether the peer is still there. On a unix socket it knows."""
    if sock.family in (socket.AF_INET, socket.AF_INET6):
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for option, value in _KEEPALIVE:
            sock.setsockopt(socket.IPPROTO_TCP, option, value)
