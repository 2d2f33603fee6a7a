"""`Links` without a kernel: the same rules and refusals in memory. For tests of what is built upon links."""

import asyncio
import os
from collections.abc import AsyncIterator, Collection, Sequence
from dataclasses import dataclass, field, replace
from ipaddress import IPv4Address, IPv4Interface

from weft.host.links import (
    MAX_SLOT,
    VOID,
    VOID_END,
    FilterChangeFailed,
    LinkEvent,
    LinkInfo,
    Traffic,
)
from weft.model.errors import Exists, Invalid, NotFound, WeftError, WrongState
from weft.model.wiring import TRAP_SLOT, AddFilter, DeleteFilter, Filter, FilterChange, FilterKind


@dataclass(slots=True)
class _Link:
    info: LinkInfo
    peer: str | None = None
    filters: dict[int, Filter] | None = None
    trapped: bool = False
    users: list[int] = field(default_factory=list)


class FakeLinks:
    """See `Links`. `changes` is every filter change that was made, in order; `carry` plays QEMU's part on a tap."""

    def __init__(self) -> None:
        self.changes: list[FilterChange] = []
        self._links: dict[str, _Link] = {}
        self._watchers: set[asyncio.Queue[LinkEvent]] = set()
        self._count = 0
        self._put("lo", "", "", 65536)

    async def create_bridge(self, name: str, *, mtu: int, alias: str) -> None:
        self._put(name, "bridge", alias, mtu)

    async def settle_bridge(self, name: str) -> None:
        self._get(name)

    async def create_port(self, bridge_side: str, patch_side: str, *, bridge: str, mtu: int, alias: str) -> None:
        self._get(bridge)
        self._want_free(patch_side)
        self._put(bridge_side, "veth", alias, mtu, master=bridge, peer=patch_side)
        self._put(patch_side, "veth", alias, mtu, peer=bridge_side)
        await self.ensure_hook(patch_side)

    async def create_gateway(
        self, far_side: str, name: str, *, mtu: int, alias: str, mac: str, addresses: Sequence[str]
    ) -> None:
        for address in addresses:
            IPv4Interface(address)
        self._want_free(far_side)
        self._put(name, "veth", alias, mtu, peer=far_side)
        self._put(far_side, "veth", alias, mtu, peer=name)
        self._links[name].info = replace(self._links[name].info, mac=mac)
        await self.ensure_hook(far_side)

    async def create_relay(self, name: str, far_side: str, *, namespace: int, mtu: int, alias: str) -> None:
        self._want_free(far_side)
        self._put(name, "veth", alias, mtu, peer=far_side)
        self._put(far_side, "veth", "", mtu, peer=name)

    async def settle_relay(self, far_side: str, *, alias: str) -> None:
        link = self._get(far_side)
        link.info = replace(link.info, alias=alias)
        await self.ensure_hook(far_side)

    async def add_peer(self, name: str, own: str, peer: str) -> None:
        self._get(name)
        IPv4Address(own), IPv4Address(peer)

    async def strip_bridge(self, name: str, address: str) -> None:
        IPv4Interface(address)
        link = self._get(name)
        self._count += 1
        link.info = replace(link.info, mac=_count_mac(self._count))

    async def create_tap(self, name: str, *, mtu: int, alias: str) -> None:
        self._put(name, "tun", alias, mtu, carrier=False)
        await self.ensure_hook(name)

    async def hand_on(self, name: str, *, mtu: int, alias: str) -> None:
        link = self._get(name)
        link.info = replace(link.info, mtu=mtu, alias=alias)

    async def open_tap(self, name: str) -> int:
        link = self._get(name)
        if link.users:
            raise WrongState(f"tap {name} is in use by another process")
        fd = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
        self.carry(name, True)
        link.users.append(fd)
        return fd

    async def ensure_void(self) -> None:
        if VOID not in self._links:
            self._put(VOID, "veth", "weft void", 65535, carrier=False, peer=VOID_END)
            self._put(VOID_END, "veth", "", 65535, carrier=False, peer=VOID)

    async def delete_link(self, name: str) -> None:
        link = self._get(name)
        for gone in (name, link.peer):
            if gone is not None:
                info = self._links.pop(gone).info
                self._tell(LinkEvent(info.name, False, False, gone=True))

    async def list_links(self) -> dict[str, LinkInfo]:
        return {name: link.info for name, link in self._links.items()}

    async def find_links(self, names: Collection[str]) -> dict[str, LinkInfo]:
        return {name: link for name, link in (await self.list_links()).items() if name in names}

    async def count_traffic(self) -> dict[str, Traffic]:
        return dict.fromkeys(self._links, Traffic(0, 0))

    async def ensure_hook(self, link: str) -> None:
        found = self._get(link)
        if found.filters is None:
            found.filters = {}

    async def add_filter(self, link: str, slot: int, kind: FilterKind, target: str) -> None:
        self._apply(AddFilter(link, slot, kind, target))

    async def delete_filter(self, link: str, slot: int) -> None:
        self._apply(DeleteFilter(link, slot))

    async def apply_filters(self, changes: Sequence[FilterChange]) -> None:
        for applied, change in enumerate(changes):
            try:
                self._apply(change)
            except WeftError as err:
                raise FilterChangeFailed(f"change {applied + 1} of {len(changes)}: {err}", applied) from err

    async def list_filters(self, link: str) -> list[Filter]:
        filters = self._get(link).filters or {}
        # A filter outlives its target, and then points nowhere.
        return sorted(f if f.target in self._links else replace(f, target="") for f in filters.values())

    async def add_heartbeat_trap(self, link: str) -> None:
        self._get(VOID)
        self._hook(link)
        self._get(link).trapped = True

    async def watch_links(self) -> AsyncIterator[LinkEvent]:
        queue: asyncio.Queue[LinkEvent] = asyncio.Queue()
        self._watchers.add(queue)
        try:
            while True:
                yield await queue.get()
        finally:
            self._watchers.discard(queue)

    async def close(self) -> None:
        self._watchers.clear()

    def carry(self, tap: str, carrier: bool) -> None:
        """Give a tap its carrier or take it: what the kernel does when its user comes or goes."""
        link = self._get(tap)
        link.info = replace(link.info, carrier=carrier)
        link.users.clear()
        self._tell(LinkEvent(tap, link.info.up, carrier))

    def _apply(self, change: FilterChange) -> None:
        if not TRAP_SLOT < change.slot <= MAX_SLOT:
            raise Invalid(f"slot {change.slot} is not between {TRAP_SLOT + 1} and {MAX_SLOT}")
        filters = self._hook(change.link)
        match change:
            case AddFilter(link, slot, kind, target):
                if slot in filters:
                    raise Exists(f"slot {slot} of {link} is taken")
                self._get(target)
                filters[slot] = Filter(slot, kind, target)
            case DeleteFilter(link, slot):
                if slot not in filters:
                    raise NotFound(f"filter {slot} of {link} does not exist")
                del filters[slot]
        self.changes.append(change)

    def _hook(self, link: str) -> dict[int, Filter]:
        filters = self._get(link).filters
        if filters is None:
            raise NotFound(f"link {link} has no hook")
        return filters

    def _get(self, name: str) -> _Link:
        if len(name.encode()) > 15:
            raise Invalid(f"link name {name!r} is longer than 15 bytes")
        if name not in self._links:
            raise NotFound(f"link {name} does not exist")
        return self._links[name]

    def _want_free(self, name: str) -> None:
        if name in self._links:
            raise Exists(f"link {name} is there already")

    def _put(
        self,
        name: str,
        kind: str,
        alias: str,
        mtu: int,
        *,
        carrier: bool = True,
        master: str | None = None,
        peer: str | None = None,
    ) -> None:
        self._want_free(name)
        self._count += 1
        info = LinkInfo(name, self._count, kind, alias, True, carrier, master, _count_mac(self._count), mtu)
        self._links[name] = _Link(info, peer)
        self._tell(LinkEvent(name, True, carrier))

    def _tell(self, event: LinkEvent) -> None:
        for queue in self._watchers:
            queue.put_nowait(event)


def _count_mac(count: int) -> str:
    return f"02:00:00:00:{count >> 8:02x}:{count & 255:02x}"
