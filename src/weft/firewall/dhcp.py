"""Addresses that the firewall hands out: ranges, fixed leases, router advertisements. Pure."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_interface, ip_network

from weft.firewall.services import Service
from weft.model.place import Place, Stance, Zone
from weft.model.setting_lines import LABEL, Values, find_twice, parse_items

LEASE_TIME = "12h"
_TIME = re.compile(r"[1-9]\d{0,5}[mhdw]|infinite")
_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_SLAAC_PREFIX = 64
_ROUTER_SOLICITATION = 133


@dataclass(frozen=True, slots=True)
class Range:
    """A zone whose machines may ask for an address. Without `first` and `last` only those with a lease get one."""

    zone: str
    first: IPv4Address | None
    last: IPv4Address | None
    time: str = LEASE_TIME


@dataclass(frozen=True, slots=True)
class Lease:
    """An address that is one machine's for ever, and perhaps its name."""

    mac: str
    address: IPv4Address
    name: str | None = None


def parse_range(line: str) -> Range:
    """`lan 10.1.0.100-10.1.0.200 12h`, or `lan static`. Raises ValueError."""
    words = line.split()
    if not 2 <= len(words) <= 3:
        raise ValueError("it is ZONE FIRST-LAST [TIME], like lan 10.1.0.100-10.1.0.200 12h")
    time = words[2] if len(words) == 3 else LEASE_TIME
    if not _TIME.fullmatch(time):
        raise ValueError(f"{time!r} is no lease time like 30m, 12h, 7d or infinite")
    if words[1] == "static":
        return Range(words[0], None, None, time)
    first, dash, last = words[1].partition("-")
    if not dash:
        raise ValueError(f"{words[1]!r} is no range like 10.1.0.100-10.1.0.200")
    start, end = IPv4Address(first), IPv4Address(last)
    if start > end:
        raise ValueError(f"{start} is behind {end}")
    return Range(words[0], start, end, time)


def parse_lease(line: str) -> Lease:
    """`52:57:00:00:00:09 10.1.0.9 printer`, the name may be left out. Raises ValueError."""
    words = line.split()
    if not 2 <= len(words) <= 3:
        raise ValueError("it is MAC ADDRESS [NAME], like 52:57:00:00:00:09 10.1.0.9 printer")
    if not _MAC.fullmatch(words[0].lower()):
        raise ValueError(f"{words[0]!r} is no hardware address")
    name = words[2].lower() if len(words) == 3 else None
    if name is not None and not LABEL.fullmatch(name):
        raise ValueError(f"{words[2]!r} is no host name")
    return Lease(words[0].lower(), IPv4Address(words[1]), name)


def find_leases(values: Values) -> list[Lease]:
    """The fixed leases that can be read."""
    return list(parse_items(values, "leases", parse_lease).values())


def check_dhcp(values: Values, place: Place | None) -> list[str]:
    """What is wrong with `dhcp`, `leases` and `ra`."""
    problems: list[str] = []
    ranges = parse_items(values, "dhcp", parse_range, problems)
    leases = parse_items(values, "leases", parse_lease, problems)
    for what in ("mac", "address", "name"):
        problems += find_twice({where: getattr(lease, what) for where, lease in leases.items()}, what)
    problems += _find_overlaps(ranges)
    if place is None:
        return problems
    if place.stance in (Stance.BRIDGE, Stance.LISTENER):
        return problems + [f"{name}: a {place.stance} has no address of its own" for name in _find_set(values)]
    for where, range_ in ranges.items():
        problems += [f"{where}: {why}" for why in _check_range(range_, place)]
    subnets = [subnet for range_ in ranges.values() if (subnet := _find_subnet(place, range_.zone))]
    for where, lease in leases.items():
        if not any(lease.address in subnet for subnet in subnets):
            problems.append(f"{where}: {lease.address} is in no zone with dhcp")
    return problems + _check_advertised(values, place)


def dump_dhcp(values: Values, place: Place, *, resolvers: tuple[str, ...], named: frozenset[str]) -> list[str]:
    """Lines of the server's configuration. `resolvers` are told in zones other than those `named`, which ask here."""
    ranges = parse_items(values, "dhcp", parse_range).values()
    lines = ["dhcp-authoritative"] if ranges else []
    for range_ in ranges:
        zone, subnet = place.find_zone(range_.zone), _find_subnet(place, range_.zone)
        if zone is None or subnet is None:
            continue
        first, last = range_.first or subnet.network_address, range_.last or "static"
        lines.append(f"dhcp-range=set:{zone.name},{first},{last},{subnet.netmask},{range_.time}")
        if zone.mtu != 1500:
            lines.append(f"dhcp-option=tag:{zone.name},option:mtu,{zone.mtu}")
        if zone.name not in named:
            lines.append(",".join([f"dhcp-option=tag:{zone.name},option:dns-server", *resolvers]))
    advertised = [subnet for name in values.get("ra") or () for subnet in _find_prefixes(place, name)]
    if advertised:
        lines += [
            "enable-ra",
            *(f"dhcp-range={net.network_address},ra-stateless,{net.prefixlen}" for net in advertised),
        ]
    return lines


def dump_leases(values: Values, place: Place) -> str:
    """The fixed leases as the server reads them, also while it runs; the room's machines have one each, too.

    Machines come and go, so one whose address lies in a range is no defect of the range: the server gives that address
    to nobody else, and to the machine itself if it asks.
    """
    leases = find_leases(values)
    lines = (",".join(filter(None, (lease.mac, str(lease.address), lease.name))) for lease in leases)
    return "".join(f"{line}\n" for line in (*lines, *_dump_reserved(values, place, leases)))


def _dump_reserved(values: Values, place: Place, leases: list[Lease]) -> Iterator[str]:
    """Addresses of the room's machines. One that a fixed lease gives another is reserved for an id that nobody has."""
    zones = {range_.zone for range_ in parse_items(values, "dhcp", parse_range).values()}
    macs, given = {lease.mac for lease in leases}, {str(lease.address) for lease in leases}
    for neighbour in place.neighbours:
        if neighbour.zone in zones and ":" not in neighbour.address and neighbour.address not in given:
            owner = f"id:weft-{neighbour.name}" if neighbour.mac in macs else neighbour.mac
            yield f"{owner},{neighbour.address}"


def list_fixed(values: Values, place: Place) -> frozenset[str]:
    """Hardware addresses of all that have an address for ever: by a fixed lease, or as a machine of the room."""
    return frozenset(line.partition(",")[0] for line in dump_leases(values, place).splitlines())


def dhcp_services(values: Values) -> list[Service]:
    """Questions for an address, and for routers."""
    zones = dict.fromkeys(range_.zone for range_ in parse_items(values, "dhcp", parse_range).values())
    asked = [Service(zone, "udp", (67,), "dhcp") for zone in zones]
    for zone in values.get("ra") or ():
        asked += [Service(zone, "icmpv6", (_ROUTER_SOLICITATION,), "ra"), Service(zone, "udp", (547,), "ra")]
    return asked


def _find_set(values: Values) -> list[str]:
    return [name for name in ("dhcp", "leases", "ra") if values.get(name)]


def _find_overlaps(ranges: dict[str, Range]) -> list[str]:
    problems = []
    dynamic = [(where, r.first, r.last) for where, r in ranges.items() if r.first is not None and r.last is not None]
    for at, (where, first, last) in enumerate(dynamic):
        for other, start, end in dynamic[:at]:
            if first <= end and start <= last:
                problems.append(f"{where}: {first}-{last} overlaps with {other}")
    return problems


def _check_range(range_: Range, place: Place) -> list[str]:
    zone = place.find_zone(range_.zone)
    if zone is None:
        return [f"there is no zone {range_.zone!r}"]
    if zone.uplink:
        return [f"{zone.name} leads to the outside, whose addresses are not this one's to give"]
    subnet = _find_subnet(place, zone.name)
    if subnet is None:
        return [f"zone {zone.name} has no IPv4 addresses"]
    if range_.first is None or range_.last is None:
        return []
    if range_.first not in subnet or range_.last not in subnet:
        return [f"{range_.first}-{range_.last} is not within {subnet}, zone {zone.name}"]
    taken = dict.fromkeys(_own_addresses(zone), "the firewall's own")
    taken |= {subnet.network_address: "the network's", subnet.broadcast_address: "everybody's"}
    return [f"{taken[a]} address {a} is in it" for a in sorted(taken) if range_.first <= a <= range_.last][:1]


def _check_advertised(values: Values, place: Place) -> list[str]:
    problems = []
    for index, name in enumerate(values.get("ra") or ()):
        zone, prefixes = place.find_zone(name), _find_prefixes(place, name)
        if zone is None:
            problems.append(f"ra[{index}]: there is no zone {name!r}")
        elif zone.uplink:
            problems.append(f"ra[{index}]: {name} leads to the outside, which has routers of its own")
        elif not prefixes:
            problems.append(f"ra[{index}]: zone {name} has no IPv6 addresses")
        elif wrong := [prefix for prefix in prefixes if prefix.prefixlen != _SLAAC_PREFIX]:
            problems.append(f"ra[{index}]: machines make addresses in a /{_SLAAC_PREFIX} only, not in {wrong[0]}")
    return problems


def _own_addresses(zone: Zone) -> list[IPv4Address]:
    return [ip.ip for address in zone.addresses if isinstance((ip := ip_interface(address)).ip, IPv4Address)]


def _find_subnet(place: Place, name: str) -> IPv4Network | None:
    zone = place.find_zone(name)
    nets = map(ip_network, zone.subnets if zone else ())
    return next((net for net in nets if isinstance(net, IPv4Network)), None)


def _find_prefixes(place: Place, name: str) -> list[IPv6Network]:
    zone = place.find_zone(name)
    return [net for net in map(ip_network, zone.subnets if zone else ()) if isinstance(net, IPv6Network)]
