"""WireGuard of the firewall: its tunnel's configuration, and the zone `wg` that it is to the rules. Pure.

A peer's line is `NAME KEY NETWORK… [endpoint HOST:PORT] [keepalive SECONDS] [psk KEY]`: one address for a road
warrior, whole networks for another site.
"""

import re
from base64 import b64decode
from binascii import Error as NoBase64
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv4Network, IPv6Interface, IPv6Network, ip_interface, ip_network

from weft.firewall.dns import WIREGUARD_ZONE
from weft.firewall.services import Service
from weft.model.place import Place, Stance, Zone
from weft.model.setting_lines import LABEL, Values, find_twice, parse_items

CONF, NET = "wg0.conf", "wg0.net"
NIC = "wg0"
PORT = 51820
OVERHEAD = 80
"""Bytes that a tunnel takes from each packet: IPv6, UDP, and WireGuard's own."""

_ENDPOINT = re.compile(r"(\[[0-9a-f:]+\]|[a-z0-9._-]+):(\d{1,5})", re.IGNORECASE)
Network = IPv4Network | IPv6Network


@dataclass(frozen=True, slots=True)
class Peer:
    """Another end of the tunnel. `networks` are what it may send from, and what is sent to it."""

    name: str
    key: str
    networks: tuple[Network, ...]
    endpoint: str | None = None
    keepalive: int | None = None
    psk: str | None = None


def parse_key(text: str) -> str:
    """A key as WireGuard's tools write it: 32 bytes in base 64. Raises ValueError."""
    try:
        raw = b64decode(text, validate=True)
    except (NoBase64, ValueError):
        raw = b""
    if len(raw) != 32:
        raise ValueError("a key is 32 bytes in base 64, as `wg genkey` and `wg pubkey` write it")
    return text


def parse_peer(line: str) -> Peer:
    """A peer's line. Raises ValueError."""
    words = line.split()
    if len(words) < 3:
        raise ValueError("it is NAME KEY NETWORK… [endpoint HOST:PORT] [keepalive SECONDS] [psk KEY]")
    name = words[0].lower()
    if not LABEL.fullmatch(name):
        raise ValueError(f"{words[0]!r} is no name")
    at = next((i for i, word in enumerate(words) if word in ("endpoint", "keepalive", "psk")), len(words))
    networks = [ip_network(part) for word in words[2:at] for part in word.split(",") if part]
    if not networks:
        raise ValueError(f"peer {name} has no address or network")
    if wide := next((net for net in networks if net.prefixlen == 0), None):
        raise ValueError(f"{wide}: the tunnel is not the way to everything")
    options = _parse_options(words[at:])
    endpoint, keepalive, psk = options.get("endpoint"), options.get("keepalive"), options.get("psk")
    if endpoint is not None:
        parse_endpoint(endpoint)
    if keepalive is not None and not (keepalive.isdecimal() and 0 < int(keepalive) < 65536):
        raise ValueError(f"keepalive {keepalive!r} is no number of seconds")
    return Peer(
        name,
        parse_key(words[1]),
        tuple(networks),
        endpoint,
        None if keepalive is None else int(keepalive),
        None if psk is None else parse_key(psk),
    )


def parse_endpoint(text: str) -> str:
    """`vpn.example:51820`. Raises ValueError."""
    match = _ENDPOINT.fullmatch(text)
    if match is None or not 0 < int(match[2]) < 65536:
        raise ValueError(f"{text!r} is no HOST:PORT")
    return text


def dump_peer(peer: Peer) -> str:
    """The line that `parse_peer` reads."""
    parts = [peer.name, peer.key, *map(str, peer.networks)]
    for word, value in (("endpoint", peer.endpoint), ("keepalive", peer.keepalive), ("psk", peer.psk)):
        parts += [] if value is None else [word, str(value)]
    return " ".join(parts)


def find_peers(values: Values) -> list[Peer]:
    """The peers that can be read."""
    return list(parse_items(values, "wireguard.peers", parse_peer).values())


def find_address(values: Values) -> IPv4Interface | IPv6Interface | None:
    """The firewall's own address in the tunnel; None: there is no tunnel."""
    text = values.get("wireguard.address")
    return ip_interface(text) if text else None


def check(values: Values, place: Place | None) -> list[str]:
    """What is wrong with the settings below `wireguard`."""
    problems: list[str] = []
    peers = parse_items(values, "wireguard.peers", parse_peer, problems)
    for what in ("name", "key"):
        problems += find_twice({where: getattr(peer, what) for where, peer in peers.items()}, what)
    problems += _check_networks(peers)
    try:
        address = find_address(values)
    except ValueError as err:
        return [*problems, f"wireguard.address: {err}"]
    if address is None:
        return problems + (["wireguard.address: peers need it"] if peers else [])
    if not values.get("wireguard.key"):
        problems.append(
            "wireguard.key: a tunnel needs one; `wg genkey` makes it, and so does `weft firewall client add`"
        )
    else:
        problems += _check_key(values["wireguard.key"])
    return problems if place is None else problems + _check_place(address, peers, place)


def render(values: Values, place: Place) -> dict[str, str]:
    """`wg0.conf` as `wg syncconf` takes it, and `wg0.net`: addresses and routes. Empty: there is no tunnel."""
    address = find_address(values)
    if address is None or place.stance in (Stance.BRIDGE, Stance.LISTENER):
        return {CONF: "", NET: ""}
    peers = find_peers(values)
    head = f"[Interface]\nPrivateKey = {values['wireguard.key']}\nListenPort = {_port(values)}\n"
    routes = [net for peer in peers for net in peer.networks if not _is_within(net, address)]
    net = [f"address {address}", f"mtu {_find_mtu(place)}", *(f"route {net}" for net in routes)]
    return {CONF: head + "".join(map(_dump_section, peers)), NET: "".join(f"{line}\n" for line in net)}


def services(values: Values, place: Place) -> list[Service]:
    """What has to be let in: packets of the tunnel, from every side, since they are nothing without a key."""
    if find_address(values) is None or place.stance in (Stance.BRIDGE, Stance.LISTENER):
        return []
    zones = [zone.name for zone in place.zones if zone.name != WIREGUARD_ZONE]
    return [Service(zone, "udp", (_port(values),), "wireguard.port") for zone in zones]


def add_zone(values: Values, place: Place) -> Place:
    """The place with the zone `wg`, if there is a tunnel: behind it are its own network and those of its peers."""
    address = find_address(values)
    if address is None or place.stance in (Stance.BRIDGE, Stance.LISTENER) or place.find_zone(WIREGUARD_ZONE):
        return place
    behind = dict.fromkeys([address.network, *(net for peer in find_peers(values) for net in peer.networks)])
    subnets = tuple(str(net) for net in behind if net == address.network or not _is_within(net, address))
    zone = Zone(name=WIREGUARD_ZONE, nic=NIC, mac="", addresses=(str(address),), subnets=subnets, mtu=_find_mtu(place))
    return place.model_copy(update={"zones": (*place.zones, zone)})


def _parse_options(words: list[str]) -> dict[str, str]:
    options: dict[str, str] = {}
    for word, value in zip(words[::2], [*words[1::2], ""], strict=False):
        if word not in ("endpoint", "keepalive", "psk") or not value:
            raise ValueError(f"`{f'{word} {value}'.strip()}` is not understood")
        if word in options:
            raise ValueError(f"{word} is said twice")
        options[word] = value
    return options


def _check_networks(peers: dict[str, Peer]) -> list[str]:
    """WireGuard would silently take a network away from the peer that had it first."""
    problems = []
    seen: list[tuple[Network, str]] = []
    for where, peer in peers.items():
        for net in peer.networks:
            problems += [
                f"{where}: {net} overlaps with {other} of {name}" for other, name in seen if _overlaps(net, other)
            ]
        seen += [(net, peer.name) for net in peer.networks]
    return problems


def _check_key(key: str) -> list[str]:
    try:
        parse_key(key)
    except ValueError as err:
        return [f"wireguard.key: {err}"]
    return []


def _check_place(address: IPv4Interface | IPv6Interface, peers: dict[str, Peer], place: Place) -> list[str]:
    if place.stance in (Stance.BRIDGE, Stance.LISTENER):
        return [f"wireguard.address: a {place.stance} has no address of its own"]
    problems = []
    for zone in place.zones:
        if zone.name == WIREGUARD_ZONE:
            continue
        for subnet in map(ip_network, zone.subnets):
            if _overlaps(address.network, subnet):
                problems.append(f"wireguard.address: {address.network} overlaps with {subnet}, zone {zone.name}")
            problems += [
                f"{where}: {net} overlaps with {subnet}, zone {zone.name}"
                for where, peer in peers.items()
                for net in peer.networks
                if _overlaps(net, subnet)
            ]
    own = [w for w, peer in peers.items() if any(address.ip in net for net in peer.networks)]
    return problems + [f"{where}: {address.ip} is the firewall's own address in the tunnel" for where in own]


def _dump_section(peer: Peer) -> str:
    lines = ["", f"# {peer.name}", "[Peer]", f"PublicKey = {peer.key}"]
    lines += [f"PresharedKey = {peer.psk}"] if peer.psk else []
    lines += [f"AllowedIPs = {', '.join(map(str, peer.networks))}"]
    lines += [f"Endpoint = {peer.endpoint}"] if peer.endpoint else []
    lines += [f"PersistentKeepalive = {peer.keepalive}"] if peer.keepalive else []
    return "".join(f"{line}\n" for line in lines)


def _port(values: Values) -> int:
    return int(values.get("wireguard.port") or PORT)


def _find_mtu(place: Place) -> int:
    mtus = [zone.mtu for zone in place.zones if zone.uplink] or [zone.mtu for zone in place.zones]
    return max(1280, min(mtus, default=1500) - OVERHEAD)


def _overlaps(one: Network, other: Network) -> bool:
    return one.version == other.version and one.overlaps(other)


def _is_within(net: Network, address: IPv4Interface | IPv6Interface) -> bool:
    return net.version == address.version and net.subnet_of(address.network)  # type: ignore[arg-type]
