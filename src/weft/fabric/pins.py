"""Holding ports to what is their own: the table of a room, kept as its machines and networks are on record."""

import asyncio
from collections.abc import Iterator, Mapping
from ipaddress import IPv4Address, IPv6Address

from weft.fabric.records.machine import MachineRecord, NicRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.site import Site
from weft.host.nft import list_set, load_ruleset
from weft.host.nft_elements import change_elements
from weft.model.elements import ElementChanges
from weft.model.errors import Internal
from weft.plan.address import UPSTREAM, gateway6_of
from weft.plan.linknames import bridge_side_name, gateway_bridge_side_name
from weft.plan.pin_elements import Network, Stand
from weft.plan.pin_table import TABLE, Forgery
from weft.plan.pins import (
    LINK_LOCAL,
    PinnedPort,
    find_own_addresses,
    parse_forged,
    plan_pin_changes,
    plan_pins,
)


class Pins:
    """The table, and what is known to be in it."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._lock = asyncio.Lock()
        self._loaded: dict[str, PinnedPort] | None = None

    async def load(self) -> None:
        """Load the whole table, whatever is there."""
        async with self._lock:
            await self._load(_find_ports(self._site))

    async def sync(self) -> None:
        """Make the table what the records say. Many who ask at once share one change."""
        async with self._lock:
            wanted = _find_ports(self._site)
            if self._loaded is None:
                await self._load(wanted)
            elif changes := plan_pin_changes(self._loaded, wanted):
                await self._change(changes, wanted)

    def holds(self, machine: MachineRecord, nic: int) -> bool:
        """Whether the port of a NIC is held to what is its own."""
        port = (self._loaded or {}).get(bridge_side_name(machine.slot, nic))
        return port is not None and port.stand is not Stand.FREE

    async def count_forged(self) -> Mapping[str, Mapping[Forgery, int]]:
        """How many frames were dropped, by the bridge sides' names. A table that is gone is loaded again."""
        if not self._loaded:
            return {}
        try:
            return parse_forged(await list_set(self._site.namespace, TABLE, "forged"))
        except Internal:
            await self.load()
            return {}

    async def _change(self, changes: ElementChanges, wanted: dict[str, PinnedPort]) -> None:
        self._loaded = None  # one that is cut off may have been made or not
        try:
            await change_elements(self._site.namespace, TABLE, changes)
        except Internal:  # somebody has been at the table
            await self._load(wanted)
        self._loaded = wanted

    async def _load(self, wanted: dict[str, PinnedPort]) -> None:
        self._loaded = None
        await load_ruleset(self._site.namespace, plan_pins(wanted.values()))
        self._loaded = wanted


def _find_ports(site: Site) -> dict[str, PinnedPort]:
    """All ports of a room by the names of their bridge sides."""
    networks = list(site.shelves.networks)
    ports = [_pin_gateway(network) for network in networks if network.has_gateway_port]
    for machine in site.shelves.machines:
        ports += _pin_machine(site, machine, [one for one in networks if one.spec.gateway == machine.name])
    return {port.link: port for port in ports}


def _pin_gateway(network: NetworkRecord) -> PinnedPort:
    """The fabric's own port, and what may one day stand in its place with its addresses."""
    mac, subnet6 = network.gateway_mac, network.subnet6
    addresses = [network.gateway, UPSTREAM]
    addresses6 = [gateway6_of(subnet6)] if subnet6 else []
    return PinnedPort(
        link=gateway_bridge_side_name(network.slot),
        mac=mac,
        addresses=(*addresses, *addresses6, *find_own_addresses(mac, subnet6)),
        stand=Stand.ROUTER,
        ranges=_router_ranges(network),
    )


def _pin_machine(site: Site, machine: MachineRecord, behind: list[NetworkRecord]) -> Iterator[PinnedPort]:
    """A machine's ports. An address of any of its NICs is its own at all of them: it imitates nobody with that."""
    given = [address for nic in machine.nics for address in _addresses_of(nic)]
    for number, nic in enumerate(machine.nics):
        network = site.shelves.networks.find(nic.network) if nic.network else None
        if network is None:
            continue
        link = bridge_side_name(machine.slot, number)
        if not nic.pinned:
            yield PinnedPort(link, nic.mac, stand=Stand.FREE)
            continue
        addresses = (*given, *find_own_addresses(nic.mac, network.subnet6))
        if network in behind:
            yield PinnedPort(link, nic.mac, addresses, Stand.ROUTER, _router_ranges(network))
        else:
            ranges = tuple(subnet for one in behind for subnet in _subnets(one))
            yield PinnedPort(link, nic.mac, addresses, Stand.MACHINE, ranges)


def _router_ranges(network: NetworkRecord) -> tuple[Network, ...]:
    return (*_subnets(network), LINK_LOCAL)


def _subnets(network: NetworkRecord) -> Iterator[Network]:
    yield network.subnet
    if network.subnet6 is not None:
        yield network.subnet6


def _addresses_of(nic: NicRecord) -> Iterator[IPv4Address | IPv6Address]:
    yield from (address for address in (nic.address, nic.address6) if address is not None)
