"""Rules at a place: between which sides flows go, and what is asked about them in which order. Pure.

Both who compiles for nft and who judges in Python start from here, so that they cannot differ in order or default.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_interface, ip_network

from weft.firewall import names, wireguard
from weft.firewall.rule_lines import ANY, ICMPV6, PROTOCOLS, SELF, Action, Match, Rate
from weft.firewall.services import Service
from weft.firewall.sheet import Sheet, find_forward_versions, read_sheet
from weft.firewall.times import ALWAYS, Times
from weft.firewall.translation_lines import Forward
from weft.model.place import Place, Stance, Zone
from weft.model.setting_lines import Values

Address = IPv4Address | IPv6Address
MULTICAST_DHCP = 547
"""The port of DHCPv6's servers, asked at a multicast address."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One question on the way from one side to another: the first that matches says what becomes of the flow.

    `by` is its name for people, in nft's comment too; `chain` its name in nft. `services` have neither `forward` nor
    limits. `forward`: only what this one translates.
    """

    by: str
    chain: str
    action: Action
    match: Match
    times: Times = ALWAYS
    rate: Rate | None = None
    connections: int | None = None
    log: bool = False
    forward: Forward | None = None
    types: tuple[int, ...] = ()

    @property
    def limited(self) -> bool:
        """A flow that matches may still be left to the next entry."""
        return self.rate is not None or self.connections is not None


@dataclass(frozen=True, slots=True)
class Layout:
    """A sheet at its place."""

    sheet: Sheet
    place: Place
    services: tuple[Service, ...] = ()

    @property
    def is_bridge(self) -> bool:
        """It has no addresses: nothing goes to itself, and nothing is translated."""
        return self.place.stance is Stance.BRIDGE

    @property
    def zones(self) -> tuple[Zone, ...]:
        """The sides, in the place's order."""
        return self.place.zones

    @property
    def uplinks(self) -> tuple[str, ...]:
        """Names of the zones that count as outside."""
        if self.sheet.uplink is not None:
            return self.sheet.uplink
        return tuple(zone.name for zone in self.zones if zone.uplink)

    @property
    def inner(self) -> tuple[str, ...]:
        """Names of the other zones."""
        return tuple(zone.name for zone in self.zones if zone.name not in self.uplinks)

    @property
    def masqueraded(self) -> tuple[str, ...]:
        """Zones whose flows get the firewall's address on their way to the outside."""
        if self.sheet.masquerade is not None:
            return self.sheet.masquerade
        return self.inner if self.place.stance is Stance.ROUTER else ()

    def list_pairs(self) -> list[tuple[str, str]]:
        """From where to where flows can go."""
        sides = [zone.name for zone in self.zones]
        if self.is_bridge:
            return [(origin, target) for origin in sides for target in sides if origin != target]
        sides.append(SELF)
        return [(origin, target) for origin in sides for target in sides if (origin, target) != (SELF, SELF)]

    def list_entries(self, origin: str, target: str) -> list[Entry]:
        """What is asked about flows between these, in order: rules, forwards, services. Then comes the policy."""
        return [*self._rules(origin, target), *self._forwards(origin, target), *self._services(origin, target)]

    def find_policy(self, origin: str, target: str) -> tuple[Action, str]:
        """What becomes of flows that nothing else is about, and whose word that is."""
        lines = {(line.origin, line.target): (where, line) for where, line in self.sheet.policies.items()}
        for ends in ((origin, target), (origin, ANY), (ANY, target), (ANY, ANY)):
            if found := lines.get(ends):
                return found[1].action, found[0]
        return self._find_default(origin, target), f"policy {origin} -> {target}"

    def find_host(self, forward: Forward) -> Address:
        """Where a forward leads; of a machine with both kinds of addresses, IPv4."""
        version = min(find_forward_versions(forward, self.sheet.book), default=4)
        hosts = self.sheet.book.resolve((forward.host,))
        return next(net.network_address for net in hosts if net.version == version)

    def find_side(self, address: Address) -> str | None:
        """Where a packet to this address goes: to the firewall itself, or to a zone. None: there is no way."""
        if address.is_multicast or address in self.list_own() or address in self._list_broadcasts():
            return SELF
        reached = [
            (net.prefixlen, zone.name)
            for zone in self.zones
            for net in map(ip_network, zone.subnets)
            if net.version == address.version and address in net
        ]
        outside = next((zone.name for zone in self.zones if zone.uplink), None)
        return max(reached)[1] if reached else outside

    def list_own(self, *zones: str) -> list[Address]:
        """The firewall's own addresses, all or those in these zones."""
        return [
            ip_interface(text).ip for zone in self.zones if not zones or zone.name in zones for text in zone.addresses
        ]

    def list_entrances(self, forward: Forward) -> tuple[str, ...]:
        """The zones on whose side a forward is, without reflection."""
        return self.uplinks if forward.zone is None else (forward.zone,)

    def list_reflecting(self, forward: Forward) -> tuple[str, ...]:
        """The zones that reach a forward by the address it has in other zones."""
        entrances = self.list_entrances(forward)
        return tuple(name for name in self.inner if name not in entrances) if self.sheet.reflection else ()

    def _list_broadcasts(self) -> list[Address]:
        nets = (ip_network(text) for zone in self.zones for text in zone.subnets)
        return [IPv4Address("255.255.255.255"), *(net.broadcast_address for net in nets if net.version == 4)]

    def _find_default(self, origin: str, target: str) -> Action:
        if self.is_bridge or origin == SELF:
            return Action.ACCEPT
        outwards = origin in self.inner and target in self.uplinks
        return Action.ACCEPT if outwards else Action.DROP

    def _rules(self, origin: str, target: str) -> Iterator[Entry]:
        for where, rule in self.sheet.rules.items():
            if rule.origin in (ANY, origin) and rule.target in (ANY, target):
                by = where if rule.name is None else f"{where} {rule.name}"
                yield Entry(
                    by, name_chain(where), rule.action, rule.match, rule.times, rule.rate, rule.connections, rule.log
                )

    def _forwards(self, origin: str, target: str) -> Iterator[Entry]:
        if self.is_bridge:
            return
        for where, forward in self.sheet.forwards.items():
            zones = (*self.list_entrances(forward), *self.list_reflecting(forward))
            if origin in zones and target == self.find_side(self.find_host(forward)):
                match = Match(forward.protocol, forward.source, (forward.host,), ports=(forward.inner,))
                yield Entry(where, name_chain(where), Action.ACCEPT, match, forward=forward)

    def _services(self, origin: str, target: str) -> Iterator[Entry]:
        for service in self.services:
            if target == SELF and service.zone in (None, origin):
                protocol = PROTOCOLS[service.protocol]
                ports = () if protocol == ICMPV6 else tuple((port, port) for port in sorted(service.ports))
                match = Match(protocol, ports=ports)
                types = service.ports if protocol == ICMPV6 else ()
                yield Entry(
                    service.setting, name_chain(f"service.{service.setting}"), Action.ACCEPT, match, types=types
                )


def lay_out(values: Values, place: Place) -> Layout:
    """The rules of these settings at this place, which has the zone of the tunnel if there is one."""
    place = wireguard.add_zone(values, place)
    services = (*names.services(values, place), *wireguard.services(values, place))
    return Layout(read_sheet(values, place), place, services)


def name_chain(where: str) -> str:
    """`rules[3]` as nft takes it for a name: `rules_3`."""
    return where.replace("[", "_").replace("]", "").replace(".", "_")


def list_ends(sheet: Sheet) -> list[tuple[str, str, str]]:
    """Item, FROM and TO of each policy and rule."""
    policies = [(where, policy.origin, policy.target) for where, policy in sheet.policies.items()]
    return policies + [(where, rule.origin, rule.target) for where, rule in sheet.rules.items()]


def list_named(sheet: Sheet) -> Iterator[tuple[str, str]]:
    """Every zone that a line names, with the line's item."""
    for where, *ends in list_ends(sheet):
        yield from ((where, name) for name in ends if name not in (ANY, SELF))
    for where, forward in sheet.forwards.items():
        yield from ((where, name) for name in [forward.zone] if name is not None)
    for setting, names_ in (("uplink", sheet.uplink), ("masquerade", sheet.masquerade)):
        yield from ((setting, name) for name in names_ or ())
    yield from ((where, way.zone) for where, way in sheet.management.items())
