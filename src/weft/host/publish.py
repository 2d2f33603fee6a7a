"""Ports of the host that lead to machines: listening sockets, and the forwarder that has them.

The sockets are the host's, made here; the forwarder runs in the fabric's namespace and in the walls, and outlives the
daemon. While it lives, it alone holds them.
"""

import errno
import os
import socket
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.host import forward
from weft.host.namespace import Namespace
from weft.host.pids import ExitWatch, ProcessId, stop_processes, watch_exit
from weft.host.process import start_latched
from weft.host.records import find_record, is_of, write_record
from weft.host.sandbox import Identity, plan_sandbox
from weft.host.walled_python import plan_walled
from weft.model.errors import Exists, Invalid, Unavailable, WeftError

BACKLOG = 512
_LOWEST_FREE = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")


@dataclass(frozen=True, slots=True)
class Listener:
    """A socket that listens at a port of the host, and the machine's port that it leads to."""

    sock: socket.socket
    protocol: str
    guest_port: int

    @property
    def port(self) -> int:
        """The host's port, which the kernel may have chosen."""
        return int(self.sock.getsockname()[1])


@dataclass(frozen=True, slots=True)
class Forwarder:
    """A machine's running forwarder. `process` is the wall's watcher, the forwarder its one child."""

    process: ProcessId
    record: Path

    def watch(self) -> ExitWatch:
        return watch_exit(self.process)

    async def stop(self) -> None:
        """End it: its ports are free again, and connections through it are reset."""
        await stop_processes([*self.process.children(), self.process], term_for=0)
        self.record.unlink(missing_ok=True)


def listen(protocol: str, address: str, port: int | None, guest_port: int) -> Listener:
    """Take a port of the host; None: one that is free. Raises Exists (taken), Invalid (not an address of this host),
    Unavailable (not allowed).
    """
    kind = socket.SOCK_STREAM if protocol == "tcp" else socket.SOCK_DGRAM
    sock = socket.socket(socket.AF_INET, kind)
    try:
        if protocol == "tcp":
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # the last run's connections may linger
        sock.bind((address, port or 0))
        if protocol == "tcp":
            sock.listen(BACKLOG)
    except OSError as err:
        sock.close()
        raise _translate(err, f"{address}:{port}/{protocol}") from err
    return Listener(sock, protocol, guest_port)


def find_forwarder(record: Path) -> Forwarder | None:
    """The living forwarder on record."""
    found = find_record(record)
    return Forwarder(found[0], record) if found else None


def serves(record: Path, namespace: Namespace, target: str) -> bool:
    """Whether the forwarder on record leads to this address of this very namespace."""
    found = find_record(record)
    return found is not None and is_of(record, namespace.mark) and found[1].get("target") == target


def start_forwarder(
    namespace: Namespace,
    record: Path,
    listeners: Sequence[Listener],
    target: str,
    identity: Identity | None,
    doors: Sequence[Path] = (),
) -> Forwarder:
    """Start a forwarder that leads these ports to the machine at `target`. What comes before it is up waits in them.

    `identity` is wanted when the daemon is root; `doors` are those of the control group that it is to be in. Its
    complaints are beside the record.
    """
    words = [
        word
        for listener in listeners
        for word in (listener.protocol, str(listener.sock.fileno()), target, str(listener.guest_port))
    ]
    argv, binds = plan_walled(forward, words)
    walls = plan_sandbox(argv, binds=binds, identity=identity, share_net=True)
    log = os.open(record.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        fds = [listener.sock.fileno() for listener in listeners]
        latched = start_latched(namespace.argv(walls), fds=fds, doors=doors, stdout=log, stderr=log)
    finally:
        os.close(log)
    write_record(record, latched.process, namespace=namespace.mark, target=target)
    latched.release()
    return Forwarder(latched.process, record)


def close_all(listeners: Iterable[Listener]) -> None:
    """Let go of sockets; a forwarder that has them keeps them."""
    for listener in listeners:
        listener.sock.close()


def _translate(err: OSError, what: str) -> WeftError:
    match err.errno:
        case errno.EADDRINUSE:
            return Exists(f"port {what} of the host is taken", hint="another port, or none: weft chooses a free one")
        case errno.EADDRNOTAVAIL:
            return Invalid(f"port {what}: this host has no such address")
        case errno.EACCES | errno.EPERM:
            lowest = _LOWEST_FREE.read_text().strip()
            return Unavailable(f"port {what} of the host is not for everybody", hint=f"ports from {lowest} on are")
        case _:
            return Unavailable(f"cannot listen at port {what}: {err.strerror}")
