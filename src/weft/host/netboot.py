"""What machines boot from over their network: a dnsmasq for DHCP and TFTP, and a hand-out for HTTP, at its gateway.

Both see one folder, in which each machine's files are in a folder named by its address. They run in walls, in the
room's namespace, and outlive the daemon. Why there are two: docs/decisions/0048-network-boot.md.
"""

import asyncio
import os
import shutil
import socket
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from weft.host import handout
from weft.host.gateway_listener import listen_inside
from weft.host.handout.routers import SOLICITATIONS
from weft.host.namespace import Namespace
from weft.host.packets import attach_filter
from weft.host.pids import ExitWatch
from weft.host.process import Latched, program, start_latched
from weft.host.records import is_of, was_of, write_record
from weft.host.sandbox import INSIDE, Bind, Identity, plan_sandbox
from weft.host.servants import Servant, end_servant, find_servant
from weft.host.told import tell
from weft.host.walled_python import plan_walled
from weft.model.errors import Unavailable

_START_TIMEOUT = 10.0
_PATIENCE = 0.02
"""Seconds for one answer: who is not there yet says nothing."""
_TFTP, _HTTP = 69, 80
_IPV6 = 0x86DD
_SERVED, _FILES = "served", "files"
HOSTS, OPTIONS = "hosts.d", "options.d"
TOLD = INSIDE / _SERVED
"""Where dnsmasq finds the folders `HOSTS` and `OPTIONS`, as it sees it."""
FILES = TOLD / _FILES
"""Where the machines' files are, as both servers see it."""
_WHAT = {"dhcp": "DHCP and TFTP", "http": "HTTP"}
_ASK_FILE = b"\0\1nothing\0octet\0"
"""A question over TFTP (RFC 1350, 5): that there is no such file is an answer."""
_POWERLESS = ("/usr/bin/unshare", "--user", "--keep-caps", "--")
"""dnsmasq insists on the power over network links before it serves DHCP, and needs it only to answer otherwise than by
broadcast. So it has it in a user namespace of its own, to which no link belongs."""


@dataclass(frozen=True, slots=True)
class Told:
    """What dnsmasq is told, by the names of files: whom to answer, and what."""

    hosts: Mapping[str, str]
    options: Mapping[str, str]


def files_of(directory: Path, address: str) -> Path:
    """The folder for the files of the machine with this address, below that of its network's servers. They have to be
    for everybody to read.
    """
    return directory / _SERVED / _FILES / address


@dataclass(frozen=True, slots=True)
class BootServers:
    """The servers of one network, at the address `gateway` of `link`, in a folder of their own. `identity` is wanted
    when the daemon is root; `doors` are those of the control group that they are to be in.
    """

    namespace: Namespace
    directory: Path
    link: str
    gateway: str
    identity: Identity | None = None
    doors: Sequence[Path] = ()

    @property
    def servants(self) -> list[Servant]:
        """Those that are there."""
        return [servant for record in self._records if (servant := find_servant(record))]

    @property
    def lost(self) -> list[str]:
        """What those do that are on record, in this very namespace, and have ended."""
        return [_WHAT[record.stem] for record in self._records if was_of(record, self.namespace.mark)]

    @property
    def running(self) -> bool:
        """Whether both are, in this very namespace."""
        return all(is_of(record, self.namespace.mark) for record in self._records)

    async def start(
        self, options: Sequence[str], told: Told, *, hands_out: bool = True, timeout: float = _START_TIMEOUT
    ) -> None:
        """Start them, or adopt those that run; returns when they answer as told, within `timeout` seconds.

        `options` are dnsmasq's. Without `hands_out` nobody loads anything by HTTP, and dnsmasq is alone. Raises
        Unavailable, with the end of its log; what ran before has ended then.
        """
        dhcp, http = self._records
        outdated = self._write(told)
        try:
            if not hands_out:
                await self._end(http)
            elif not is_of(http, self.namespace.mark):
                await self._start_http()
            if outdated or not is_of(dhcp, self.namespace.mark):
                await self._start_dhcp(options, timeout)
        except BaseException:
            await self._end(*self._records)
            raise

    async def stop(self) -> None:
        """End those that run, and remove the folder with the files of all machines."""
        await self._end(*self._records)
        shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def _records(self) -> tuple[Path, Path]:
        return self.directory / "dhcp.json", self.directory / "http.json"

    async def _start_http(self) -> None:
        record = self._records[1]
        await self._end(record)
        with (
            await listen_inside(self.namespace, self.gateway, _HTTP) as listener,
            await _watch(self.namespace, self.link) as packets,
        ):
            fds = [listener.fileno(), packets.fileno()]
            argv, binds = plan_walled(handout, [*map(str, fds), str(FILES), str(TOLD / HOSTS)])
            self._spawn(record, argv, binds, fds)

    async def _start_dhcp(self, options: Sequence[str], timeout: float) -> None:
        record = self._records[0]
        await self._end(record)
        latched = self._spawn(record, [*_POWERLESS, program("dnsmasq"), *options])
        await _wait_ready(self.namespace, self.gateway, latched.watch, record.with_suffix(".log"), timeout)

    def _write(self, told: Told) -> bool:
        """Whether dnsmasq may have read what is not so any more. It finds what is new by itself, and forgets nothing.

        It would keep an address for who is gone, and refuse that to others. Nor can it be told to read all again by
        SIGHUP: dnsmasq 2.90 crashes then if it has answered anybody with a tag, whose list it has led into its stack.
        """
        served = self.directory / _SERVED
        folders = {served / HOSTS: told.hosts, served / OPTIONS: told.options}
        for folder in (served / _FILES, *folders):
            folder.mkdir(parents=True, exist_ok=True)
            folder.chmod(0o755)
        served.chmod(0o755)
        outdated = [_tell_all(folder, texts) for folder, texts in folders.items()]
        return any(outdated)

    async def _end(self, *records: Path) -> None:
        for record in records:
            await end_servant(record)
            record.with_suffix(".log").unlink(missing_ok=True)

    def _spawn(self, record: Path, argv: Sequence[str], binds: Sequence[Bind] = (), fds: Sequence[int] = ()) -> Latched:
        served = Bind(self.directory / _SERVED, _SERVED)
        walls = plan_sandbox(argv, binds=[served, *binds], identity=self.identity, share_net=True)
        log = os.open(record.with_suffix(".log"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            latched = start_latched(self.namespace.argv(walls), fds=fds, doors=self.doors, stdout=log, stderr=log)
        finally:
            os.close(log)
        write_record(record, latched.process, namespace=self.namespace.mark)
        latched.release()
        return latched


def _tell_all(folder: Path, texts: Mapping[str, str]) -> bool:
    """Have its files say this; whether one is gone or says something else than before."""
    before = {path.name for path in folder.iterdir() if not path.name.startswith(".")}
    for name in before - set(texts):
        (folder / name).unlink()
    told = {name for name, text in texts.items() if tell(folder / name, text)}
    return bool(before - set(texts) or before & told)


async def _wait_ready(namespace: Namespace, gateway: str, watch: ExitWatch, log: Path, timeout: float) -> None:
    """Until TFTP answers: then everything is open. The answer comes from another port than that which was asked."""
    deadline = time.monotonic() + timeout
    with await namespace.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        while not await _ask(sock, (gateway, _TFTP)):
            if watch.done or time.monotonic() > deadline:
                said = log.read_text(errors="replace").strip()
                reason = (said.splitlines() or ["it said nothing"])[-1]
                raise Unavailable(f"no DHCP and TFTP at {gateway}, its log ends: {reason}", detail=said[-2000:])


async def _ask(sock: socket.socket, address: tuple[str, int]) -> bool:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(_PATIENCE):
            await loop.sock_sendto(sock, _ASK_FILE, address)
            return bool(await loop.sock_recv(sock, 512))
    except TimeoutError:
        return False
    except OSError:  # unreachable: its log will say more
        await asyncio.sleep(_PATIENCE)
        return False


async def _watch(namespace: Namespace, link: str) -> socket.socket:
    """What looks for a router on a link. Raises Unavailable."""
    packets = await namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)  # deaf until it is bound
    try:
        attach_filter(packets, SOLICITATIONS)
        packets.bind((link, _IPV6))
    except OSError as err:
        packets.close()
        raise Unavailable(f"cannot listen on {link} for machines that boot: {err.strerror}") from err
    return packets
