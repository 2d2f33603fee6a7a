"""The fabric's own network namespace: a keeper process holds it, a gate opens things in it.

Machines, wiring and keeper outlive the daemon; the gate does not. As an ordinary user the network namespace hangs
in a user namespace in which that user is root.
"""

import asyncio
import os
import secrets
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.host import gate
from weft.host.pids import ProcessId, stop_processes, watch_exit
from weft.host.process import Latched, program, start_latched
from weft.host.records import find_record, write_record
from weft.model.errors import Unavailable

_GATE_TIMEOUT = 5.0
"""Seconds; an answer takes some 50 µs."""

_START_TIMEOUT = 10.0

_QUIET = {
    "ipv6/conf/all/disable_ipv6": "1",  # the host side of a link must not speak in its machines' networks
    "ipv6/conf/default/disable_ipv6": "1",
    "ipv4/ip_forward": "0",  # until a network has an uplink
    "ipv4/conf/all/accept_redirects": "0",
    "ipv4/conf/all/send_redirects": "0",
    "ipv4/conf/default/send_redirects": "0",
    "ipv4/ip_unprivileged_port_start": "53",  # name servers here run without privileges
}


@dataclass(frozen=True, slots=True)
class Keeper:
    """The process that holds the namespace, and whether a user namespace is around it."""

    process: ProcessId
    rootless: bool
    mark: str
    """Tells this namespace from any other: what runs in it is put on record with its mark."""


class Namespace:
    """An open door to the fabric's namespace. Made by `open_namespace`."""

    def __init__(self, keeper: Keeper, record: Path, gate_process: Latched, control: socket.socket) -> None:
        self.keeper = keeper
        self._record = record
        self._gate = gate_process
        self._control = control
        self._stopping = False
        self._replacing = asyncio.Lock()

    @property
    def rootless(self) -> bool:
        return self.keeper.rootless

    @property
    def mark(self) -> str:
        return self.keeper.mark

    def argv(self, argv: Sequence[str]) -> list[str]:
        """The command line that runs `argv` inside."""
        return _enter(self.keeper.process, self.rootless, argv)

    async def keep(self) -> None:
        """Replace the keeper whenever somebody ends it, until `stop`: the gate still holds the namespace then."""
        while True:
            await watch_exit(self.keeper.process).wait()
            async with self._replacing:
                if self._stopping:
                    return
                enter = _enter(self._gate.process, self.rootless, [])
                self.keeper = await _start_keeper(self._record, enter, self.rootless, self.mark)

    async def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that lives inside. Raises Unavailable."""
        fd = self._ask(f"socket {int(family)} {int(kind)} {protocol}", f"socket of family {int(family)}")
        return socket.socket(fileno=fd)

    async def open(self, path: str, flags: int = os.O_RDONLY) -> int:
        """A descriptor of a file opened inside: /proc/sys/net and /dev/net/tun look at the opener's namespace.

        Raises Unavailable: not there, not allowed.
        """
        return self._ask(f"open {flags} {path}", path)

    async def set_sysctl(self, name: str, value: str) -> bool:
        """Write /proc/sys/net/NAME inside. False when this kernel has no such thing."""
        try:
            fd = self._ask(f"open {os.O_WRONLY} /proc/sys/net/{name}", name)
        except Unavailable as err:
            if isinstance(err.__cause__, FileNotFoundError):
                return False
            raise
        try:
            os.write(fd, value.encode())
        finally:
            os.close(fd)
        return True

    async def close(self) -> None:
        """End the gate; the namespace and all in it stay."""
        self._control.close()
        await stop_processes([self._gate.process], term_for=1.0)

    async def stop(self) -> None:
        """End the gate and the keeper: the kernel removes the links when the last process inside has gone."""
        self._stopping = True
        async with self._replacing:  # a keeper that is just being started would stay
            await self.close()
            await stop_processes([self.keeper.process], term_for=1.0)
        self._record.unlink(missing_ok=True)

    def _ask(self, request: str, what: str) -> int:
        answer, fds = self._exchange(request)
        if not answer:  # somebody ended the gate: it holds nothing, so another will do
            self._control.close()
            self._gate, self._control = _start_gate(self.keeper)
            answer, fds = self._exchange(request)
        if fds:
            os.set_inheritable(fds[0], False)
            return fds[0]
        if not answer:
            raise Unavailable("the gate of the fabric's namespace does not stay", hint="is the keeper gone?")
        cause = OSError(int(answer), os.strerror(int(answer)))
        raise Unavailable(f"cannot open {what} in the fabric's namespace: {cause.strerror}") from cause

    def _exchange(self, request: str) -> tuple[bytes, list[int]]:
        """One request and its answer; an empty answer means that the gate is gone."""
        try:
            self._control.send(request.encode())
            answer, fds, _, _ = socket.recv_fds(self._control, 16, 1)
            if fds:
                self._control.recv(16)  # the gate has closed its own
        except (BrokenPipeError, ConnectionResetError, TimeoutError):
            return b"", []  # one that was too late is given up too: its next answer would be to the last question
        except OSError as err:
            raise Unavailable(f"the gate of the fabric's namespace does not answer: {err}") from err
        return answer, fds


async def open_namespace(run_dir: Path) -> Namespace:
    """Adopt the namespace recorded in `run_dir`/keeper.json, or start one; then open its gate.

    Raises Unavailable when this user may not make namespaces.
    """
    record = run_dir / "keeper.json"
    keeper = find_keeper(run_dir)
    fresh = keeper is None
    keeper = keeper or await _start_first_keeper(record)
    gate_process, control = _start_gate(keeper)
    namespace = Namespace(keeper, record, gate_process, control)
    try:
        if fresh:
            for name, value in _QUIET.items():
                await namespace.set_sysctl(name, value)
    except BaseException:
        await namespace.stop()
        raise
    return namespace


def find_keeper(run_dir: Path) -> Keeper | None:
    """The living keeper on record in `run_dir`, if there is one."""
    found = find_record(run_dir / "keeper.json")
    if found is None or not _in_own_namespace(found[0]):
        return None
    return Keeper(found[0], bool(found[1].get("rootless")), str(found[1].get("mark")))


async def _start_first_keeper(record: Path) -> Keeper:
    rootless = os.geteuid() != 0
    unshare = ["unshare", *(["--user", "--map-root-user"] if rootless else []), "--net", "--"]
    return await _start_keeper(record, unshare, rootless, secrets.token_hex(8))


async def _start_keeper(record: Path, enter: Sequence[str], rootless: bool, mark: str) -> Keeper:
    """A process that does nothing but be in the namespace to which the words of `enter` lead."""
    script = ["sh", "-c", "echo inside; exec sleep infinity >/dev/null 2>&1"]
    reader, writer = os.pipe()
    try:
        latched = start_latched([*enter, *script], stdout=writer, stderr=writer)
        keeper = Keeper(latched.process, rootless, mark)
        write_record(record, keeper.process, rootless=rootless, mark=mark)
        latched.release()
        said = await _wait_line(reader, _START_TIMEOUT)
    finally:
        os.close(writer)
        os.close(reader)
    if said != "inside":
        await stop_processes([keeper.process], term_for=0.1)
        record.unlink(missing_ok=True)
        raise Unavailable(f"cannot make a network namespace: {said or 'no answer'}", hint="see weft doctor")
    return keeper


def _start_gate(keeper: Keeper) -> tuple[Latched, socket.socket]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    with theirs:
        argv = [sys.executable, "-I", "-S", gate.__file__, str(theirs.fileno())]
        process = start_latched(_enter(keeper.process, keeper.rootless, argv), fds=[theirs.fileno()])
    process.release()
    ours.settimeout(_GATE_TIMEOUT)
    return process, ours


def _enter(process: ProcessId, rootless: bool, argv: Sequence[str]) -> list[str]:
    user = ["--user", "--preserve-credentials"] if rootless else []
    return [program("nsenter"), f"--target={process.pid}", *user, "--net", "--", *argv]


def _in_own_namespace(process: ProcessId) -> bool:
    try:
        return not Path(f"/proc/{process.pid}/ns/net").samefile("/proc/self/ns/net")
    except OSError:
        return False


async def _wait_line(fd: int, seconds: float) -> str:
    """What arrives at a pipe first; empty when nothing does in time."""
    loop = asyncio.get_running_loop()
    arrived = loop.create_future()
    loop.add_reader(fd, lambda: None if arrived.done() else arrived.set_result(None))
    try:
        async with asyncio.timeout(seconds):
            await arrived
        return os.read(fd, 4096).decode(errors="replace").strip()
    except TimeoutError:
        return ""
    finally:
        loop.remove_reader(fd)
