"""The real `Links`: three netlink sockets of the fabric's namespace.

Filters change on the caller's thread, since that takes microseconds and must not be cut in two. Links come and go
on another thread, since removing one waits for the kernel's readers, milliseconds at times. The third socket hears
of changes.
"""

import asyncio
import contextlib
import errno
import fcntl
import hashlib
import os
import socket
import struct
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from ipaddress import IPv4Address, IPv4Interface
from typing import TypeVar

from weft.host import rtnl, taps, tc
from weft.host.link_events import watch_link_events
from weft.host.links import (
    HEARTBEAT_ETHERTYPE,
    MAX_SLOT,
    VOID,
    VOID_END,
    FilterChangeFailed,
    LinkEvent,
    LinkInfo,
    Traffic,
)
from weft.host.namespace import Namespace
from weft.host.netlink import CREATE, EXCLUSIVE, NetlinkSocket, Refused, translate
from weft.model.errors import Exists, Invalid, NotFound, Unavailable, WeftError
from weft.model.wiring import TRAP_SLOT, AddFilter, DeleteFilter, Filter, FilterChange, FilterKind

_DIRECTION = {FilterKind.REDIRECT: tc.REDIRECT, FilterKind.MIRROR: tc.MIRROR}
_KIND = {direction: kind for kind, direction in _DIRECTION.items()}
_GET_INDEX, _GET_NAME = 0x8933, 0x8910  # SIOCGIFINDEX, SIOCGIFNAME
_FRAME_FILTERS = ("bridge-nf-call-iptables", "bridge-nf-call-ip6tables", "bridge-nf-call-arptables")
_ARP = {
    "ipv4/conf/all/arp_ignore": "1",  # a bridge hears questions for its gateway's address, and must not answer them
    "ipv4/conf/all/arp_announce": "2",
}
_LARGEST_MTU = 65535
_ACTIVE_TIMEOUT = 5.0
_POLL = 0.001
_T = TypeVar("_T")


class KernelLinks:
    """See `Links`. Made by `open_links`."""

    def __init__(self, namespace: Namespace, fast: NetlinkSocket, slow: NetlinkSocket, names: socket.socket) -> None:
        self._namespace = namespace
        self._fast = fast
        self._slow = slow
        self._names = names

    async def create_bridge(self, name: str, *, mtu: int, alias: str) -> None:
        # May be 1 in a fresh namespace, and are there only once the module is loaded.
        await self._set_sysctls({f"bridge/{name}": "0" for name in _FRAME_FILTERS} | _ARP)
        await self._create(rtnl.dump_bridge(name, mtu=mtu, mac=_own_mac(name, alias)), name)
        await self._finish(alias, name)

    async def settle_bridge(self, name: str) -> None:
        await self._change(rtnl.NEW_LINK, rtnl.dump_bridge_settings(self._index(name)), f"link {name}")

    async def create_port(self, bridge_side: str, patch_side: str, *, bridge: str, mtu: int, alias: str) -> None:
        body = rtnl.dump_pair(bridge_side, patch_side, mtu=mtu, master=self._index(bridge))
        await self._create(body, bridge_side)
        await self.ensure_hook(patch_side)
        await self._finish(alias, bridge_side, patch_side)

    async def create_gateway(
        self, far_side: str, name: str, *, mtu: int, alias: str, mac: str, addresses: Sequence[str]
    ) -> None:
        fixed = bytes.fromhex(mac.replace(":", ""))
        await self._create(rtnl.dump_pair(name, far_side, mtu=mtu, mac=fixed), name)
        await self.ensure_hook(far_side)
        for address in addresses:
            owned = rtnl.dump_address(self._index(name), IPv4Interface(address))
            await self._change(rtnl.NEW_ADDRESS, owned, f"address {address} of {name}", CREATE | EXCLUSIVE)
        await self._finish(alias, far_side, name)

    async def create_relay(self, name: str, far_side: str, *, namespace: int, mtu: int, alias: str) -> None:
        await self._create(rtnl.dump_pair(name, far_side, mtu=mtu, namespace=namespace), name)
        await self._finish(alias, name)

    async def settle_relay(self, far_side: str, *, alias: str) -> None:
        await self.ensure_hook(far_side)
        await self._finish(alias, far_side)

    async def add_peer(self, name: str, own: str, peer: str) -> None:
        body = rtnl.dump_peer(self._index(name), IPv4Address(own), IPv4Address(peer))
        with contextlib.suppress(Exists):
            await self._change(rtnl.NEW_ADDRESS, body, f"address {own} of {name}", CREATE | EXCLUSIVE)

    async def strip_bridge(self, name: str, address: str) -> None:
        await self._set_sysctls(_ARP)
        index = self._index(name)
        with contextlib.suppress(NotFound):  # by an earlier try
            await self._change(rtnl.DELETE_ADDRESS, rtnl.dump_address(index, IPv4Interface(address)), f"{name}")
        alias = (await self.find_links([name]))[name].alias
        await self._change(rtnl.NEW_LINK, rtnl.dump_mac(index, _own_mac(name, alias)), f"link {name}")

    async def create_tap(self, name: str, *, mtu: int, alias: str) -> None:
        if self._find_index(name):
            raise Exists(f"link {name} is there already")
        await taps.create_tap(self._namespace, name)
        await self.ensure_hook(name)
        await self._set(name, mtu=mtu, alias=alias, up=True)

    async def hand_on(self, name: str, *, mtu: int, alias: str) -> None:
        await self._set(name, mtu=mtu, alias=alias, up=True)

    async def open_tap(self, name: str) -> int:
        index = self._index(name)  # opening would make it
        fd = await taps.open_tap(self._namespace, name)
        try:
            await self._wait_active(index, name)
        except BaseException:
            os.close(fd)
            raise
        return fd

    async def ensure_void(self) -> None:
        if not self._find_index(VOID):
            # The far end stays down: what is sent into such a pair is dropped.
            await self._create(rtnl.dump_pair(VOID, VOID_END, mtu=_LARGEST_MTU), VOID)
            await self._finish("weft void", VOID)

    async def delete_link(self, name: str) -> None:
        await self._change(rtnl.DELETE_LINK, rtnl.dump_link(self._index(name)), f"link {name}")

    async def list_links(self) -> dict[str, LinkInfo]:
        bodies = await self._slowly(lambda: self._slow.dump(rtnl.GET_LINK, rtnl.dump_link(0)), "links")
        raw = [rtnl.parse_link(body) for body in bodies]
        names = {link.index: link.name for link in raw}
        return {link.name: _describe(link, names.get(link.master)) for link in raw}

    async def find_links(self, names: Collection[str]) -> dict[str, LinkInfo]:
        found = {}
        for name in names:
            if index := self._find_index(name):
                with contextlib.suppress(NotFound):  # it went just now
                    raw = await self._fetch(index, name)
                    found[name] = _describe(raw, self._name(raw.master) if raw.master else None)
        return found

    async def count_traffic(self) -> dict[str, Traffic]:
        bodies = await self._slowly(lambda: self._slow.dump(rtnl.GET_LINK, rtnl.dump_link(0)), "links")
        return {link.name: _traffic_of(link) for link in map(rtnl.parse_link, bodies)}

    async def ensure_hook(self, link: str) -> None:
        try:
            self._fast.request(tc.NEW_QDISC, tc.dump_hook(self._index(link)), CREATE | EXCLUSIVE)
        except Refused as err:
            if err.errno != errno.EEXIST:
                raise translate(err, f"hook of {link}") from err

    async def add_filter(self, link: str, slot: int, kind: FilterKind, target: str) -> None:
        self._add(link, slot, kind, target)

    async def delete_filter(self, link: str, slot: int) -> None:
        self._delete(link, slot)

    async def apply_filters(self, changes: Sequence[FilterChange]) -> None:
        for applied, change in enumerate(changes):
            try:
                self._apply(change)
            except WeftError as err:
                raise FilterChangeFailed(f"change {applied + 1} of {len(changes)}: {err}", applied) from err

    async def list_filters(self, link: str) -> list[Filter]:
        return sorted(
            Filter(raw.slot, _KIND[raw.direction], self._name(raw.target))
            for raw in self._dump_filters(link)
            if raw.protocol == tc.ALL_PROTOCOLS and raw.direction in _KIND
        )

    async def add_heartbeat_trap(self, link: str) -> None:
        if any(raw.protocol == HEARTBEAT_ETHERTYPE for raw in self._dump_filters(link)):
            return
        body = tc.dump_filter(
            self._index(link), TRAP_SLOT, tc.REDIRECT, self._index(VOID), protocol=HEARTBEAT_ETHERTYPE
        )
        self._request(tc.NEW_FILTER, body, f"heartbeat trap of {link}", CREATE | EXCLUSIVE)

    def watch_links(self) -> AsyncIterator[LinkEvent]:
        return watch_link_events(self._namespace)

    async def close(self) -> None:
        self._fast.close()
        self._slow.close()
        self._names.close()

    async def start_loopback(self) -> None:
        """A fresh namespace's loopback is down."""
        await self._set("lo", up=True)

    async def _wait_active(self, index: int, name: str) -> None:
        """Until frames can leave by a link: before, the kernel drops them without a word."""
        deadline = time.monotonic() + _ACTIVE_TIMEOUT
        while not (await self._fetch(index, name)).active:
            if time.monotonic() > deadline:
                raise Unavailable(f"link {name} does not become active")
            await asyncio.sleep(_POLL)

    async def _fetch(self, index: int, name: str) -> rtnl.RawLink:
        query = rtnl.dump_link(index)
        return rtnl.parse_link(await self._slowly(lambda: self._slow.fetch(rtnl.GET_LINK, query), name))

    async def _create(self, body: bytes, name: str) -> None:
        await self._change(rtnl.NEW_LINK, body, f"link {name}", CREATE | EXCLUSIVE)

    async def _finish(self, alias: str, *names: str) -> None:
        """The alias comes last, see `keep_whole`; it and the carrier are one request."""
        for name in names:
            await self._set(name, alias=alias, up=True)

    async def _set(self, name: str, *, mtu: int | None = None, alias: str | None = None, up: bool) -> None:
        body = rtnl.dump_change(self._index(name), mtu=mtu, alias=alias, up=up)
        await self._change(rtnl.NEW_LINK, body, f"link {name}")

    async def _set_sysctls(self, values: Mapping[str, str]) -> None:
        for name, value in values.items():
            await self._namespace.set_sysctl(name, value)

    async def _change(self, kind: int, body: bytes, what: str, flags: int = 0) -> None:
        await self._slowly(lambda: self._slow.request(kind, body, flags), what)

    async def _slowly(self, work: Callable[[], _T], what: str) -> _T:
        try:
            return await asyncio.to_thread(work)
        except (Refused, TimeoutError) as err:
            raise translate(err, what) from err

    def _request(self, kind: int, body: bytes, what: str, flags: int = 0) -> None:
        try:
            self._fast.request(kind, body, flags)
        except (Refused, TimeoutError) as err:
            if err.errno == errno.EINVAL and "Parent Qdisc" in str(err):
                raise NotFound(f"{what}: the link has no hook") from err
            raise translate(err, what) from err

    def _apply(self, change: FilterChange) -> None:
        match change:
            case AddFilter(link, slot, kind, target):
                self._add(link, slot, kind, target)
            case DeleteFilter(link, slot):
                self._delete(link, slot)

    def _add(self, link: str, slot: int, kind: FilterKind, target: str) -> None:
        _check_slot(slot)
        # The kernel would take a second filter in the same slot without a word.
        if any(raw.slot == slot for raw in self._dump_filters(link)):
            raise Exists(f"slot {slot} of {link} is taken")
        body = tc.dump_filter(self._index(link), slot, _DIRECTION[kind], self._index(target))
        self._request(tc.NEW_FILTER, body, f"filter {slot} of {link}", CREATE | EXCLUSIVE)

    def _delete(self, link: str, slot: int) -> None:
        _check_slot(slot)
        self._request(tc.DELETE_FILTER, tc.dump_slot(self._index(link), slot), f"filter {slot} of {link}")

    def _dump_filters(self, link: str) -> list[tc.RawFilter]:
        try:
            bodies = self._fast.dump(tc.GET_FILTER, tc.dump_hook_query(self._index(link)))
        except (Refused, TimeoutError) as err:
            if isinstance(err, Refused) and err.errno in (errno.ENOENT, errno.EINVAL):
                return []  # no hook yet
            raise translate(err, f"filters of {link}") from err
        return [raw for body in bodies if (raw := tc.parse_filter(body))]

    def _find_index(self, name: str) -> int:
        """The index of a link, or zero. Asked each time: cached, it would outlive a link that was made anew."""
        if len(name.encode()) > 15:
            raise Invalid(f"link name {name!r} is longer than 15 bytes")
        try:
            answer = fcntl.ioctl(self._names, _GET_INDEX, struct.pack("16si20x", name.encode(), 0))
        except OSError:
            return 0
        return int(struct.unpack_from("i", answer, 16)[0])

    def _index(self, name: str) -> int:
        index = self._find_index(name)
        if not index:
            raise NotFound(f"link {name} does not exist")
        return index

    def _name(self, index: int) -> str:
        try:
            answer = fcntl.ioctl(self._names, _GET_NAME, struct.pack("16si20x", b"", index))
        except OSError:
            return ""  # a filter outlives the link it points to, and drops
        return answer[:16].split(b"\0", 1)[0].decode()


async def open_links(namespace: Namespace) -> KernelLinks:
    """The links of a namespace. Raises Unavailable."""
    fast, slow = [
        NetlinkSocket(await namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE))
        for _ in range(2)
    ]
    names = await namespace.socket(socket.AF_INET, socket.SOCK_DGRAM)
    links = KernelLinks(namespace, fast, slow, names)
    await links.start_loopback()
    return links


def _own_mac(name: str, alias: str) -> bytes:
    """A locally administered address that is the same each time."""
    return b"\x02" + hashlib.sha256(f"{alias}/{name}/bridge".encode()).digest()[:5]


def _check_slot(slot: int) -> None:
    if not TRAP_SLOT < slot <= MAX_SLOT:
        raise Invalid(f"slot {slot} is not between {TRAP_SLOT + 1} and {MAX_SLOT}")


def _traffic_of(link: rtnl.RawLink) -> Traffic:
    return Traffic(link.received, link.sent, link.frames_received, link.frames_sent)


def _describe(raw: rtnl.RawLink, master: str | None) -> LinkInfo:
    kind = raw.kind or ""
    return LinkInfo(raw.name, raw.index, kind, raw.alias, raw.up, raw.carrier, master, raw.mac, raw.mtu)
