"""Names that the firewall answers: from where, for whom, and what it knows itself. Pure."""

from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from weft.firewall.dhcp import find_leases
from weft.firewall.services import Service
from weft.model.place import Place, Stance
from weft.model.setting_lines import LABEL, Values, parse_items

WIREGUARD_ZONE = "wg"


@dataclass(frozen=True, slots=True)
class Forward:
    """A name server that is asked: for all names, or for those of one domain."""

    address: IPv4Address | IPv6Address
    port: int = 53
    domain: str | None = None

    def __str__(self) -> str:
        return f"{self.address}#{self.port}"


@dataclass(frozen=True, slots=True)
class Host:
    """Names of one address."""

    address: IPv4Address | IPv6Address
    names: tuple[str, ...]


def parse_forward(line: str) -> Forward:
    """`9.9.9.9`, `9.9.9.9 port 5353`, or for one domain `corp.example 10.3.0.53`. Raises ValueError."""
    words = line.split()
    port = 53
    if len(words) > 2 and words[-2] == "port":
        if not words[-1].isdecimal() or not 0 < int(words[-1]) < 65536:
            raise ValueError(f"{words[-1]!r} is no port")
        port, words = int(words[-1]), words[:-2]
    if len(words) not in (1, 2):
        raise ValueError("it is [DOMAIN] ADDRESS [port PORT], like 9.9.9.9 or corp.example 10.3.0.53")
    return Forward(ip_address(words[-1]), port, parse_domain(words[0]) if len(words) == 2 else None)


def parse_host(line: str) -> Host:
    """`10.1.0.9 printer printer.lan`: an address and its names. Raises ValueError."""
    address, *names = line.split()
    if not names:
        raise ValueError("it is ADDRESS NAME…, like 10.1.0.9 printer")
    return Host(ip_address(address), tuple(map(parse_domain, names)))


def parse_domain(text: str) -> str:
    """A name of one label or more, in lower case. Raises ValueError."""
    name = text.lower().removesuffix(".")
    if len(name) > 253 or not all(LABEL.fullmatch(label) for label in name.split(".")):
        raise ValueError(f"{text!r} is no name")
    return name


def list_named_zones(values: Values, place: Place) -> list[str]:
    """The zones that get answers: those set, or all but the uplink and those without an address."""
    wanted = values.get("dns.zones")
    if wanted is not None and list(wanted):
        return list(wanted)
    if place.stance in (Stance.BRIDGE, Stance.LISTENER):
        return []
    return [zone.name for zone in place.zones if not zone.uplink and zone.addresses]


def check_dns(values: Values, place: Place | None) -> list[str]:
    """What is wrong with the settings below `dns`."""
    problems: list[str] = []
    parse_items(values, "dns.forward", parse_forward, problems)
    parse_items(values, "dns.hosts", parse_host, problems)
    parse_items(values, "dns.block", parse_domain, problems)
    if domain := values.get("dns.domain"):
        try:
            parse_domain(domain)
        except ValueError as err:
            problems.append(f"dns.domain: {err}")
    if place is None:
        return problems
    if place.stance in (Stance.BRIDGE, Stance.LISTENER) and values.get("dns.zones"):
        return [*problems, f"dns.zones: a {place.stance} has no address of its own"]
    for index, name in enumerate(values.get("dns.zones") or ()):
        if place.find_zone(name) is None and not (name == WIREGUARD_ZONE and values.get("wireguard.address")):
            problems.append(f"dns.zones[{index}]: there is no zone {name!r}")
    return problems


def dump_dns(values: Values, place: Place) -> list[str]:
    """Lines of the server's configuration: the domains of those that get their addresses here."""
    if domain := values.get("dns.domain"):
        return [f"domain={parse_domain(domain)}", "expand-hosts"]
    return [f"domain={zone.name},{net}" for zone in place.zones for net in zone.subnets if not zone.uplink]


def dump_hosts(values: Values, place: Place) -> str:
    """A hosts file: names that are set, and those of fixed leases, whether or not they are taken."""
    lines = [f"{host.address} {' '.join(host.names)}" for host in parse_items(values, "dns.hosts", parse_host).values()]
    for lease in find_leases(values):
        if lease.name is not None:
            domain = _find_domain(values, place, lease.address)
            lines.append(" ".join(filter(None, (str(lease.address), lease.name, domain and f"{lease.name}.{domain}"))))
    return "".join(f"{line}\n" for line in lines)


def dump_servers(values: Values, place: Place) -> str:
    """Who is asked for which names. The room's own, which have one label or end in a network's name, are always asked
    of the name server that the place has; so a server outside never hears of them."""
    forwards = parse_items(values, "dns.forward", parse_forward).values()
    general = [forward for forward in forwards if forward.domain is None]
    lines = [f"server=/{forward.domain}/{forward}" for forward in forwards if forward.domain is not None]
    lines += [f"server={forward}" for forward in general] or [f"server={address}" for address in place.resolvers]
    if general:
        zones = [zone for zone in place.zones if zone.name != WIREGUARD_ZONE]
        for resolver in place.resolvers:
            lines.append(f"server=//{''.join(f'{zone.name}/' for zone in zones)}{resolver}")
            lines += [f"rev-server={net},{resolver}" for zone in zones for net in zone.subnets]
    lines += [f"server=/{domain}/" for domain in parse_items(values, "dns.block", parse_domain).values()]
    return "".join(f"{line}\n" for line in lines)


def dns_services(values: Values, place: Place) -> list[Service]:
    """Questions for names."""
    zones = list_named_zones(values, place)
    return [Service(zone, protocol, (53,), "dns.zones") for zone in zones for protocol in ("udp", "tcp")]


def _find_domain(values: Values, place: Place, address: IPv4Address) -> str | None:
    if domain := values.get("dns.domain"):
        return parse_domain(domain)
    for zone in place.zones:
        if any(address in ip_network(net) for net in zone.subnets if ":" not in net):
            return zone.name
    return None
