"""Names on a network: one dnsmasq at each gateway's address, walled in, that knows the machines of all the room's
networks.

It answers `web` and `web.NETWORK`; a short name is that of the own network's machine if it has one. Other names go to
the host's resolver where the network has an uplink.
"""

import asyncio
import os
import signal
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.host.namespace import Namespace
from weft.host.pids import ExitWatch, ProcessId
from weft.host.process import Latched, program, start_latched
from weft.host.records import find_record, is_of, was_of, write_record
from weft.host.sandbox import Bind, Identity, plan_sandbox
from weft.host.servants import Servant, end_servant
from weft.host.told import tell
from weft.model.errors import Unavailable

_PORT = 53
_START_TIMEOUT = 10.0
_POLL = 0.01
_RECORD, _SERVED = "dns.json", "served"
"""Its record, and the folder that it sees: a file bound into its walls would stay the old one when replaced."""

Names = Mapping[str, Mapping[str, Sequence[str]]]
"""The addresses of machines by name, of each network by its name."""

_ASK_ADDRESS = bytes.fromhex("5746 0000 0001 0000 0000 0000".replace(" ", ""))
"""The head of a question (RFC 1035, 4.1.1)."""


@dataclass(frozen=True, slots=True)
class NameServer:
    """A network's running name server. `process` is the wall's watcher, the server its one child."""

    process: ProcessId
    directory: Path

    @property
    def servant(self) -> Servant:
        """The same, to be watched."""
        return Servant(self.process, self.directory / _RECORD)

    def set_names(self, network: str, names: Names) -> None:
        """Tell it all names of the room, as one that stands in `network`; it answers so from now on."""
        if _write_names(self.directory, network, names):
            for server in self.process.children():
                server.send(signal.SIGHUP)

    async def stop(self) -> None:
        """End it and remove its folder's files."""
        await end_servant(self.directory / _RECORD, patience=1.0)
        served = self.directory / _SERVED
        for path in (served / "hosts", served / "servers", self.directory / "dns.log"):
            path.unlink(missing_ok=True)
        for folder in (self.directory / _SERVED, self.directory):
            if folder.is_dir():
                folder.rmdir()


def has_ended(directory: Path, namespace: Namespace) -> bool:
    """Whether the name server whose folder this is was there, in this very namespace, and has ended by itself."""
    return was_of(directory / _RECORD, namespace.mark)


def find_name_server(directory: Path) -> NameServer | None:
    """The living name server whose folder this is."""
    found = find_record(directory / _RECORD)
    return NameServer(found[0], directory) if found else None


async def start_name_server(
    namespace: Namespace,
    directory: Path,
    *,
    network: str,
    gateway: str,
    names: Names,
    resolver: str | None = None,
    identity: Identity | None = None,
    doors: Sequence[Path] = (),
    timeout: float = _START_TIMEOUT,
) -> NameServer:
    """Start a name server at `gateway`, or adopt the one of `directory`; returns when it answers, within `timeout`
    seconds.

    `resolver` is asked for names outside, when given. `identity` is wanted when the daemon is root; `doors`
    are those of the control group that it is to be in. Raises Unavailable, with the end of its log.
    """
    if (server := find_name_server(directory)) is not None:
        if is_of(directory / _RECORD, namespace.mark):
            server.set_names(network, names)
            return server
        await server.stop()  # it serves a namespace whose keeper is gone
    await end_servant(directory / _RECORD)
    served = directory / _SERVED
    served.mkdir(parents=True, exist_ok=True)
    served.chmod(0o755)
    _write_names(directory, network, names)
    latched = _spawn(namespace, directory, plan_name_server(network, gateway, resolver), identity, doors)
    server = NameServer(latched.process, directory)
    write_record(directory / _RECORD, server.process, namespace=namespace.mark)
    latched.release()
    try:
        question = _dump_question(network)
        await _wait_answer(namespace, gateway, question, latched.watch, directory / "dns.log", timeout)
    except BaseException:
        await server.stop()
        raise
    return server


def plan_name_server(network: str, gateway: str, resolver: str | None) -> list[str]:
    """The server's command line, seen from inside its walls."""
    options = [
        "--keep-in-foreground",
        "--conf-file=/dev/null",
        "--pid-file=",
        "--user=",
        "--log-facility=-",
        "--no-hosts",
        "--no-resolv",
        "--bind-interfaces",
        f"--listen-address={gateway}",
        f"--addn-hosts={Bind(Path(), _SERVED).inside}/hosts",
        f"--servers-file={Bind(Path(), _SERVED).inside}/servers",
        f"--local=/{network}/",
        "--domain-needed",  # a bare name is a machine's or nobody's: it does not leave the network
        "--cache-size=1000",
    ]
    return [program("dnsmasq"), *options, *([f"--server={resolver}"] if resolver else [])]


def dump_hosts(network: str, names: Names) -> str:
    """The hosts file: each address with its short name and the one with the network.

    Those of other networks come after, the long name first, and the short one only where the own network has no such
    machine.
    """
    own = names.get(network, {})
    lines = [f"{address} {name} {name}.{network}\n" for name in sorted(own) for address in own[name]]
    for other in sorted(names.keys() - {network}):
        for name, addresses in sorted(names[other].items()):
            short = "" if name in own else f" {name}"
            lines += [f"{address} {name}.{other}{short}\n" for address in addresses]
    return "".join(lines)


def dump_servers(names: Names) -> str:
    """The file of servers: nobody is asked for what ends in a network's name, or it would be heard outside."""
    return "".join(f"server=/{network}/\n" for network in sorted(names))


def _write_names(directory: Path, network: str, names: Names) -> bool:
    """Whether there is something new in it."""
    served = directory / _SERVED
    hosts, servers = dump_hosts(network, names), dump_servers(names)
    return any([tell(served / "hosts", hosts), tell(served / "servers", servers)])


def _spawn(
    namespace: Namespace, directory: Path, argv: list[str], identity: Identity | None, doors: Sequence[Path]
) -> Latched:
    walls = plan_sandbox(argv, binds=[Bind(directory / _SERVED, _SERVED)], identity=identity, share_net=True)
    log = os.open(directory / "dns.log", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    try:
        return start_latched(namespace.argv(walls), doors=doors, stdout=log, stderr=log)
    finally:
        os.close(log)


def _dump_question(network: str) -> bytes:
    """For the network's own name, which is never asked outside: any answer shows that the server is up."""
    return _ASK_ADDRESS + bytes([len(network)]) + network.encode() + bytes([0, 0, 1, 0, 1])


async def _wait_answer(
    namespace: Namespace, gateway: str, question: bytes, watch: ExitWatch, log: Path, timeout: float
) -> None:
    deadline = time.monotonic() + timeout
    with await namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        while not await _ask(sock, gateway, question):
            if watch.done or time.monotonic() > deadline:
                said = log.read_text(errors="replace").strip()
                reason = (said.splitlines() or ["it said nothing"])[-1]
                raise Unavailable(f"no name server at {gateway}, its log ends: {reason}", detail=said[-2000:])
            await asyncio.sleep(_POLL)


async def _ask(sock: socket.socket, gateway: str, question: bytes) -> bool:
    loop = asyncio.get_running_loop()
    try:
        sock.connect((gateway, _PORT))
        async with asyncio.timeout(0.5):
            await loop.sock_sendall(sock, question)
            return bool(await loop.sock_recv(sock, 512))
    except (OSError, TimeoutError):  # refused: not yet listening; unreachable: its log will say more
        return False
