"""The process. Arguments, four for each port: `tcp` or `udp`, listening descriptor, machine's address, its port."""

import resource
import socket
import time
from collections.abc import Sequence

from .loop import Loop
from .tcp import Acceptor
from .udp import Exchange


def _raise_limit() -> None:
    _soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


def open_ports(loop: Loop, words: Sequence[str]) -> list[Acceptor | Exchange]:
    """The ports that the arguments speak of."""
    ports: list[Acceptor | Exchange] = []
    for start in range(0, len(words), 4):
        protocol, fd, address, port = words[start : start + 4]
        listener = socket.socket(fileno=int(fd))
        make = Acceptor if protocol == "tcp" else Exchange
        ports.append(make(loop, listener, (address, int(port))))
    return ports


def main(words: Sequence[str]) -> None:
    """Forward for ever."""
    _raise_limit()
    loop = Loop()
    ports = open_ports(loop, words)
    while True:
        now = time.monotonic()
        due = [at for port in ports if (at := port.tick(now)) is not None]
        loop.step(max(0.0, min(due) - now) if due else None)
