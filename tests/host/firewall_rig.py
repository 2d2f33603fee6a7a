"""A firewall between three zones, in namespaces: what is loaded there meets real packets.

Nothing here has a name in the host: a namespace ends with its descriptor, and links with their namespace.
"""

import ctypes
import json
import os
import selectors
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, ExitStack, suppress
from types import TracebackType
from typing import Any, TypeVar

from weft.model.place import Place, Stance, Zone

Result = TypeVar("Result")
_CLONE_NEWNET = 0x40000000
_LIBC = ctypes.CDLL(None, use_errno=True)

PORTS = (53, 80, 443, 8080, 8443)
"""Where every host listens, with TCP and UDP."""
HOSTS = (9, 10)
"""Last parts of the addresses that the one host of each zone has."""
BOUND = 5.0
"""Seconds that anything may take on a busy host."""


def make_zone(name: str, number: int, *, uplink: bool = False) -> Zone:
    """The zone of that number: 10.N.0.0/24 and fd00:N::/64, where the firewall is 1 (2 at the uplink)."""
    own = 2 if uplink else 1
    return Zone(
        name=name,
        nic=f"eth{number}",
        mac=f"52:57:00:00:01:{number:02x}",
        addresses=(f"10.{number}.0.{own}/24", f"fd00:{number}::{own}/64"),
        subnets=(f"10.{number}.0.0/24", f"fd00:{number}::/64"),
        uplink=uplink,
    )


ZONES = (make_zone("wan", 0, uplink=True), make_zone("lan", 1), make_zone("dmz", 2))
PLACE = Place(stance=Stance.ROUTER, zones=ZONES, gateway="10.0.0.9")
BRIDGE = Place(
    stance=Stance.BRIDGE,
    zones=tuple(
        Zone(name=name, nic=f"eth{number}", mac=f"52:57:00:00:02:{number:02x}", subnets=("10.0.0.0/24", "fd00:0::/64"))
        for number, name in enumerate(("network", "machine"))
    ),
)
BRIDGED_HOSTS = {"network": HOSTS, "machine": (20, 21)}
"""Last parts of addresses on both sides of a bridge."""


class Space:
    """A network namespace. What is done in it is done by a thread that is in it."""

    def __init__(self) -> None:
        self._worker = ThreadPoolExecutor(1)
        self.fd: int = self._worker.submit(_enter_new).result()

    def within(self, act: Callable[..., Result], *args: Any, **kwargs: Any) -> Result:
        """Do this inside."""
        return self._worker.submit(act, *args, **kwargs).result()

    def run(self, *argv: str, text: str | None = None) -> str:
        """Run a program inside. Raises AssertionError with what it said if it fails."""
        done = self.within(subprocess.run, argv, input=text, capture_output=True, text=True, check=False)
        assert done.returncode == 0, f"{' '.join(argv)}: {done.stderr}"
        return done.stdout

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        """A socket that belongs there."""
        return self.within(socket.socket, family, kind, protocol)

    def close(self) -> None:
        os.close(self.fd)
        self._worker.shutdown()


def _enter_new() -> int:
    if _LIBC.unshare(_CLONE_NEWNET):
        raise OSError(ctypes.get_errno(), "no namespace")
    return os.open("/proc/thread-self/ns/net", os.O_RDONLY)


class Listeners:
    """Servers on all ports of all spaces. They take connections, keep them until the client ends them, and remember
    what came: protocol, source port, port.
    """

    def __init__(self) -> None:
        self._selector = selectors.DefaultSelector()
        self._came: set[tuple[int, int, int]] = set()
        self._change = threading.Condition()
        self._end, self._wake = socket.socketpair()
        self._selector.register(self._end, selectors.EVENT_READ, None)
        self._thread = threading.Thread(target=self._serve)

    def add(self, space: Space) -> None:
        for port in PORTS:
            for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
                listener = space.socket(socket.AF_INET6, kind)
                listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                listener.bind(("::", port))
                if kind == socket.SOCK_STREAM:
                    listener.listen(64)
                self._selector.register(listener, selectors.EVENT_READ, (kind, port))

    def start(self) -> None:
        self._thread.start()

    def has_come(self, protocol: int, sport: int, port: int) -> bool:
        """Whether it comes, within the bound."""
        with self._change:
            return self._change.wait_for(lambda: (protocol, sport, port) in self._came, BOUND)

    def stop(self) -> None:
        self._wake.close()
        self._thread.join()
        for key in list(self._selector.get_map().values()):
            key.fileobj.close()  # type: ignore[union-attr]
        self._selector.close()

    def _serve(self) -> None:
        while True:
            for key, _ in self._selector.select():
                if key.data is None:
                    return
                self._take(key.fileobj, key.data)  # type: ignore[arg-type]

    def _take(self, ready: socket.socket, data: tuple[int, int]) -> None:
        kind, port = data
        if kind == socket.SOCK_DGRAM:
            self._tell(socket.IPPROTO_UDP, ready.recvfrom(64)[1][1], port)
        elif port:
            taken, peer = ready.accept()
            self._selector.register(taken, selectors.EVENT_READ, (kind, 0))
            self._tell(socket.IPPROTO_TCP, peer[1], port)
        else:
            self._answer(ready)

    def _answer(self, taken: socket.socket) -> None:
        """Send back what came, until the client ends it."""
        try:
            data = taken.recv(64)
        except OSError:
            data = b""
        if data:
            taken.send(data)
        else:
            self._selector.unregister(taken)
            taken.close()

    def _tell(self, protocol: int, sport: int, port: int) -> None:
        with self._change:
            self._came.add((protocol, sport, port))
            self._change.notify_all()


class Rig(AbstractContextManager["Rig"]):
    """The firewall `fw`, and one host in each zone, which has several addresses."""

    def __init__(self, place: Place = PLACE) -> None:
        self.place = place
        self.listeners = Listeners()
        self.spaces: dict[str, Space] = {}
        self._stack = ExitStack()

    def __enter__(self) -> "Rig":
        for name in ("self", *(zone.name for zone in self.place.zones)):
            self.spaces[name] = Space()
            self._stack.callback(self.spaces[name].close)
            self.spaces[name].run("ip", "link", "set", "lo", "up")
        self._stack.callback(self.listeners.stop)
        for zone in self.place.zones:
            self._wire(zone)
        if self.place.stance is Stance.BRIDGE:
            self._wire_bridge()
        else:
            self._give_addresses()
        for space in self.spaces.values():
            self.listeners.add(space)
        self.listeners.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, err: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stack.close()

    @property
    def fw(self) -> Space:
        return self.spaces["self"]

    def load(self, text: str) -> None:
        """Let nft load it, in one step."""
        self.fw.run("nft", "-f", "-", text=text)

    def counters(self) -> dict[tuple[str, str], int]:
        """Packets by the kind of chain (`filter`, `prerouting`, `postrouting`) and comment."""
        found: dict[tuple[str, str], int] = {}
        for item in json.loads(self.fw.run("nft", "-j", "list", "ruleset"))["nftables"]:
            rule = item.get("rule", {})
            chain = rule.get("chain", "")
            kind = chain if chain in ("prerouting", "postrouting") else "filter"
            for expression in rule.get("expr", []):
                if "counter" in expression:
                    key = (kind, rule.get("comment", ""))
                    found[key] = found.get(key, 0) + expression["counter"]["packets"]
        return found

    def wait_counted(self, before: dict[tuple[str, str], int], name: str | None = None) -> set[tuple[str, str]]:
        """What has counted a packet since, once something has, or what has this name. A packet may have to wait until
        its next hop is found.
        """
        end = time.monotonic() + BOUND
        while True:
            after = self.counters()
            counted = {key for key, packets in after.items() if packets != before.get(key, 0)}
            if any(kind == "filter" and name in (None, who) for kind, who in counted) or time.monotonic() > end:
                return counted

    def connect(self, origin: str, source: str, sport: int, destination: str, port: int) -> socket.socket:
        """A connection that has begun; `wait_connected` says what becomes of it."""
        client = self._client(origin, socket.SOCK_STREAM, source, sport)
        client.setblocking(False)
        client.connect_ex((destination, port))
        return client

    def send(self, origin: str, source: str, sport: int, destination: str, port: int, data: bytes = b"?") -> None:
        """One datagram."""
        # PermissionError: the sender's own rules dropped it.
        with self._client(origin, socket.SOCK_DGRAM, source, sport) as client, suppress(PermissionError):
            client.sendto(data, (destination, port))

    def send_raw(self, origin: str, protocol: int, source: str, destination: str, payload: bytes) -> None:
        """One packet of any protocol."""
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        with self.spaces[origin].socket(family, socket.SOCK_RAW, protocol) as client:
            client.bind((source, 0))
            with suppress(PermissionError):
                client.sendto(payload, (destination, 0))

    def send_echo(self, origin: str, source: str, identity: int, destination: str) -> None:
        """One echo request; of IPv6 the kernel writes the checksum."""
        six = ":" in source
        head = struct.pack("!BBHHH", 128 if six else 8, 0, 0, identity, 1)
        if not six:
            head = struct.pack("!BBHHH", 8, 0, _checksum(head), identity, 1)
        self.send_raw(origin, socket.IPPROTO_ICMPV6 if six else socket.IPPROTO_ICMP, source, destination, head)

    def _client(self, origin: str, kind: int, source: str, sport: int) -> socket.socket:
        client = self.spaces[origin].socket(socket.AF_INET6 if ":" in source else socket.AF_INET, kind)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if kind == socket.SOCK_STREAM:
            # Ends at once and for both, so that nothing of it meets the next ruleset.
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.bind((source, sport))
        return client

    def _wire(self, zone: Zone) -> None:
        host = self.spaces[zone.name]
        self.fw.run("ip", "link", "add", zone.nic, "type", "veth", "peer", "port", "netns", _path(host))
        self.fw.run("ip", "link", "set", zone.nic, "up")
        host.run("ip", "link", "set", "port", "up")

    def _wire_bridge(self) -> None:
        """Both NICs in one bridge, which forwards at once."""
        self.fw.run("ip", "link", "add", "br0", "type", "bridge", "forward_delay", "0", "mcast_snooping", "0")
        for number, (name, lasts) in enumerate(BRIDGED_HOSTS.items()):
            self.fw.run("ip", "link", "set", f"eth{number}", "master", "br0")
            self._address_host(self.spaces[name], 0, lasts)
        self.fw.run("ip", "link", "set", "br0", "up")

    def _give_addresses(self) -> None:
        for number, zone in enumerate(self.place.zones):
            host = self.spaces[zone.name]
            for address in zone.addresses:
                self.fw.run("ip", "address", "add", address, "dev", zone.nic, *_no_dad(address))
            self._address_host(host, number, HOSTS)
            for address in zone.addresses:
                host.run("ip", "route", "add", "default", "via", address.partition("/")[0])
        self.fw.within(_write_sysctls)

    def _address_host(self, host: Space, number: int, lasts: tuple[int, ...]) -> None:
        for last in lasts:
            for address in (f"10.{number}.0.{last}/24", f"fd00:{number}::{last}/64"):
                host.run("ip", "address", "add", address, "dev", "port", *_no_dad(address))


def wait_connected(client: socket.socket) -> bool:
    """Whether a connection that has begun is made; False if it is refused, or nothing happens within the bound."""
    with selectors.DefaultSelector() as selector:
        selector.register(client, selectors.EVENT_WRITE)
        return bool(selector.select(BOUND)) and client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0


def _write_sysctls() -> None:
    for name in ("ipv4/ip_forward", "ipv6/conf/all/forwarding", "netfilter/nf_conntrack_tcp_loose"):
        with open(f"/proc/sys/net/{name}", "w") as file:  # noqa: PTH123
            file.write("1")


def _path(space: Space) -> str:
    return f"/proc/{os.getpid()}/fd/{space.fd}"


def _no_dad(address: str) -> tuple[str, ...]:
    """An address that is there at once, without asking whether another has it."""
    return ("nodad",) if ":" in address else ()


def _checksum(data: bytes) -> int:
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    return ~(total + (total >> 16)) & 0xFFFF
