"""TCP: each connection to a port of the host gets one to the machine.

A piece that the other side does not take is held, and nothing more is read until it has gone: 64 KiB for each direction
at most. The end of one direction is passed on, and the other goes on. An error of either side resets both.
"""

import errno
import socket
import struct
import time

from .loop import BROKEN, IN, OUT, Handler, Loop

PIECE = 1 << 16
ACCEPTS = 32
"""Done before others have their turn."""
STALL = 0.2
"""Seconds without accepting, when the process has no descriptor left."""
KEEPALIVE = ((socket.TCP_KEEPIDLE, 120), (socket.TCP_KEEPINTVL, 30), (socket.TCP_KEEPCNT, 4))
RESET = struct.pack("ii", 1, 0)
EXHAUSTED = (errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM)


class Way:
    """One direction of a connection."""

    def __init__(self, source: socket.socket, sink: socket.socket) -> None:
        self.source = source
        self.sink = sink
        self.held = memoryview(b"")
        self.over = False
        self.shut = False

    def read(self) -> None:
        """Take a piece and pass it on. Raises OSError for what is wrong with either side."""
        if self.over or self.held:
            return
        try:
            data = self.source.recv(PIECE)
        except BlockingIOError:
            return
        self.over = not data
        self.held = memoryview(data)
        self.write()

    def write(self) -> None:
        """Pass on what is held; after the last piece its end. Raises OSError."""
        try:
            while self.held:
                self.held = self.held[self.sink.send(self.held) :]
        except BlockingIOError:
            return
        if self.over and not self.shut:
            self.shut = True
            self.sink.shutdown(socket.SHUT_WR)


class Connection:
    """A client's connection and the one to the machine that belongs to it."""

    def __init__(self, loop: Loop, client: socket.socket, target: tuple[str, int]) -> None:
        self._loop = loop
        self._client = client
        self._machine = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        self._connecting = True
        self._there = Way(client, self._machine)
        self._back = Way(self._machine, client)
        for sock in (client, self._machine):
            _prepare(sock)
        outcome = self._machine.connect_ex(target)
        if outcome not in (0, errno.EINPROGRESS):
            self._machine.close()
            raise OSError(outcome, "connect")
        self._settle()

    def _on_client(self, events: int) -> None:
        self._act(events, self._there, self._back)

    def _on_machine(self, events: int) -> None:
        if not self._connecting:
            self._act(events, self._back, self._there)
        elif self._machine.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR):
            self._reset()
        else:
            self._connecting = False
            self._settle()

    def _act(self, events: int, outgoing: Way, incoming: Way) -> None:
        if events & BROKEN and (outgoing.over or outgoing.held):
            self._reset()  # nothing can be read now that would tell
            return
        try:
            if events & OUT:
                incoming.write()
            if events & ~OUT:
                outgoing.read()
        except OSError:
            self._reset()
            return
        self._settle()

    def _settle(self) -> None:
        """Want what is needed next, or be done."""
        if self._there.shut and self._back.shut:
            self._close()
            return
        self._want(self._client, self._there, self._back, self._on_client)
        self._want(self._machine, self._back, self._there, self._on_machine)

    def _want(self, sock: socket.socket, outgoing: Way, incoming: Way, handler: Handler) -> None:
        readable = not (self._connecting or outgoing.over or outgoing.held)
        writable = incoming.held or (self._connecting and sock is self._machine)
        if incoming.shut and not readable:
            self._loop.forget(sock.fileno())  # epoll would tell for ever that it is shut both ways
        else:
            self._loop.want(sock.fileno(), (IN if readable else 0) | (OUT if writable else 0), handler)

    def _reset(self) -> None:
        """Both sides learn that something broke."""
        for sock in (self._client, self._machine):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        self._close()

    def _close(self) -> None:
        for sock in (self._client, self._machine):
            self._loop.forget(sock.fileno())
            sock.close()


class Acceptor:
    """A listening TCP socket. Lets others have their turn when there is no descriptor for another connection."""

    def __init__(self, loop: Loop, listener: socket.socket, target: tuple[str, int]) -> None:
        self._loop = loop
        self._listener = listener
        self._target = target
        self._again: float | None = None
        listener.setblocking(False)
        loop.want(listener.fileno(), IN, self._on_event)

    def tick(self, now: float) -> float | None:
        """Accept again when a pause is over; when to look next."""
        if self._again is not None and now >= self._again:
            self._again = None
            self._loop.want(self._listener.fileno(), IN, self._on_event)
        return self._again

    def _on_event(self, _events: int) -> None:
        for _ in range(ACCEPTS):
            try:
                client, _address = self._listener.accept()
            except OSError as err:
                self._on_failure(err)
                return
            self._open(client)

    def _open(self, client: socket.socket) -> None:
        try:
            client.setblocking(False)
            Connection(self._loop, client, self._target)
        except OSError as err:
            client.close()
            self._on_failure(err)

    def _on_failure(self, err: OSError) -> None:
        if err.errno in EXHAUSTED:
            self._again = time.monotonic() + STALL
            self._loop.forget(self._listener.fileno())


def _prepare(sock: socket.socket) -> None:
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE:
        sock.setsockopt(socket.IPPROTO_TCP, option, value)
