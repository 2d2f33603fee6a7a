"""UDP: whoever sends gets a socket of its own towards the machine, and keeps it while something passes."""

import socket
import struct
import time
from collections import OrderedDict
from collections.abc import Callable, Sequence

from .loop import IN, Loop

DATAGRAM = 1 << 16
DATAGRAMS = 64
"""Done for one socket before others have their turn."""
MOST_SESSIONS = 2048
SESSION_IDLE = 90.0
"""Seconds; longer than the half minute that most UDP protocols repeat themselves in."""
PKTINFO = struct.Struct("=i4s4s")
IP_PKTINFO = getattr(socket, "IP_PKTINFO", 8)


class Session:
    """Somebody who sent datagrams: its address, the host's address it sent to, and its socket towards the machine."""

    def __init__(self, client: tuple[str, int], here: bytes, sock: socket.socket) -> None:
        self.client = client
        self.here = here
        self.sock = sock
        self.used = 0.0


class Exchange:
    """A UDP socket of the host, and a session for everybody who sends to it; the longest silent one gives way."""

    def __init__(self, loop: Loop, listener: socket.socket, target: tuple[str, int]) -> None:
        self._loop = loop
        self._listener = listener
        self._target = target
        self._sessions: OrderedDict[tuple[tuple[str, int], bytes], Session] = OrderedDict()
        listener.setblocking(False)
        # The answer leaves from the address that was asked, of which the host may have several.
        listener.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
        loop.want(listener.fileno(), IN, self._on_asked)

    def tick(self, now: float) -> float | None:
        """Give up sessions in which nothing has passed for long; when to look next. They are in the order of use."""
        while self._sessions:
            idle = next(iter(self._sessions.values())).used + SESSION_IDLE
            if now < idle:
                return idle
            self._drop_oldest()
        return None

    def _on_asked(self, _events: int) -> None:
        for _ in range(DATAGRAMS):
            try:
                data, extra, _flags, client = self._listener.recvmsg(DATAGRAM, socket.CMSG_SPACE(PKTINFO.size))
            except OSError:
                return
            if (session := self._find(client, _local_address(extra))) is not None:
                _pass_on(session.sock.send, data)

    def _find(self, client: tuple[str, int], here: bytes) -> Session | None:
        key = (client, here)
        session = self._sessions.get(key) or self._open(client, here)
        if session is not None:
            self._touch(session)
        return session

    def _open(self, client: tuple[str, int], here: bytes) -> Session | None:
        if len(self._sessions) >= MOST_SESSIONS:
            self._drop_oldest()
        try:
            sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        except OSError:
            return None  # a datagram may be lost
        try:
            sock.connect(self._target)
        except OSError:
            sock.close()
            return None
        session = Session(client, here, sock)
        self._sessions[client, here] = session
        self._loop.want(sock.fileno(), IN, lambda _events: self._on_answered(session))
        return session

    def _on_answered(self, session: Session) -> None:
        control = [(socket.IPPROTO_IP, IP_PKTINFO, PKTINFO.pack(0, session.here, bytes(4)))]
        for _ in range(DATAGRAMS):
            try:
                data = session.sock.recv(DATAGRAM)
            except BlockingIOError:
                break
            except OSError:
                continue  # nobody listens there: asking takes the error away
            _pass_on(lambda piece: self._listener.sendmsg([piece], control, 0, session.client), data)
        self._touch(session)

    def _touch(self, session: Session) -> None:
        session.used = time.monotonic()
        self._sessions.move_to_end((session.client, session.here))

    def _drop_oldest(self) -> None:
        _, session = self._sessions.popitem(last=False)
        self._loop.forget(session.sock.fileno())
        session.sock.close()


def _local_address(extra: Sequence[tuple[int, int, bytes]]) -> bytes:
    """The host's address that a datagram was sent to."""
    for level, kind, data in extra:
        if (level, kind) == (socket.IPPROTO_IP, IP_PKTINFO) and len(data) >= PKTINFO.size:
            return bytes(PKTINFO.unpack_from(data)[1])
    return bytes(4)


def _pass_on(send: Callable[[bytes], object], data: bytes) -> None:
    """Send a datagram; one that cannot be sent is lost, as on any wire."""
    try:
        send(data)
    except OSError:
        return
