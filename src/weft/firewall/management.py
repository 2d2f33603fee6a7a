"""Ways to the firewall itself that have to stay open: settings that close one are refused. Pure.

Every address and source port that a rule treats differently is tried, so nothing is overlooked between them.
"""

from collections.abc import Iterable, Iterator
from ipaddress import IPv4Address, IPv6Address, ip_network

from weft.firewall.addresses import Network
from weft.firewall.judge import Flow, judge_at
from weft.firewall.layout import Address, Layout
from weft.firewall.rule_lines import PROTOCOLS, SELF, Action
from weft.firewall.translation_lines import Management

CLIENT_PORTS = (1024, 65535)
"""Where connections come from."""
_NAMES = {number: name for name, number in PROTOCOLS.items()}


def check_management(layout: Layout) -> list[str]:
    """A problem for each way that is not open, naming what closes it."""
    problems = []
    for where, way in layout.sheet.management.items():
        if why := _find_obstacle(layout, way):
            problems.append(f"{where}: {way.zone} {_NAMES[way.protocol]} {way.port} {why}")
    return problems


def _find_obstacle(layout: Layout, way: Management) -> str | None:
    sources = _list_sources(layout, way)
    own = layout.list_own(way.zone)
    if not own:
        return "leads nowhere: the firewall has no address there"
    for source in _list_samples(layout, way, sources):
        reached = [address for address in own if address.version == source.version]
        found = [why for address in reached if (why := _try(layout, way, source, address))]
        if len(found) == len(reached):
            return found[0] if found else f"is not reached from {source}: the firewall has no such address there"
    return None


def _try(layout: Layout, way: Management, source: Address, address: Address) -> str | None:
    for sport in _list_ports(layout, way.zone):
        verdict = judge_at(layout, Flow(way.zone, way.protocol, source, sport, address, way.port))
        if verdict.zone_out != SELF:
            return f"would be led elsewhere by {verdict.forward}"
        if verdict.action is not Action.ACCEPT:
            note = f" ({verdict.note})" if verdict.note else ""
            return f"from {source} would be cut off by {verdict.by}{note}"
    return None


def _list_sources(layout: Layout, way: Management) -> list[Network]:
    """Where it is to be reached from: what the line says, or the zone's network; from outside, everywhere."""
    if way.source:
        return list(layout.sheet.book.resolve(way.source))
    zone = layout.place.find_zone(way.zone)
    nets = [ip_network(net) for net in zone.subnets] if zone is not None and way.zone not in layout.uplinks else []
    nets = nets or [
        ip_network("0.0.0.0/0" if address.version == 4 else "::/0") for address in layout.list_own(way.zone)
    ]
    return [net for net in nets if net.version == min(net.version for net in nets)]


def _list_samples(layout: Layout, way: Management, sources: Iterable[Network]) -> Iterator[Address]:
    """One address of each stretch that no rule divides."""
    limits = [
        net for entry in layout.list_entries(way.zone, SELF) for net in layout.sheet.book.resolve(entry.match.source)
    ]
    limits += [net for forward in layout.sheet.forwards.values() for net in layout.sheet.book.resolve(forward.source)]
    for network in sources:
        first, last = int(network.network_address), int(network.broadcast_address)
        starts = {first}
        for net in limits:
            if net.version == network.version:
                starts |= {int(net.network_address), int(net.broadcast_address) + 1}
        for start in sorted(start for start in starts if first <= start <= last):
            yield IPv4Address(start) if network.version == 4 else IPv6Address(start)


def _list_ports(layout: Layout, zone: str) -> list[int]:
    ranges = [sports for entry in layout.list_entries(zone, SELF) for sports in entry.match.sports]
    starts = {CLIENT_PORTS[0], *(first for first, _ in ranges), *(last + 1 for _, last in ranges)}
    return sorted(port for port in starts if CLIENT_PORTS[0] <= port <= CLIENT_PORTS[1])
