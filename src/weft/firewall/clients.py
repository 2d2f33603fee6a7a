"""Clients of the firewall's tunnel: which settings they need, and the file that makes a machine one. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Interface, IPv6Interface, ip_address, ip_interface, ip_network
from typing import Any

from weft.firewall.dns import WIREGUARD_ZONE, list_named_zones
from weft.firewall.rule_lines import ANY, SELF, Action, Policy, Rule, parse_policy, parse_rule
from weft.firewall.wireguard import (
    NIC,
    Network,
    Peer,
    add_zone,
    dump_peer,
    find_address,
    find_peers,
    parse_endpoint,
    parse_peer,
)
from weft.model.firewall import ClientWish, PeerView
from weft.model.place import Place, Zone
from weft.model.setting_lines import LABEL, Values, list_items, parse_items

KEEPALIVE = 25
"""Seconds between a client's signs of life, so that what translates its address on the way does not forget it."""
_TUNNELS = tuple(ip_interface(f"10.99.{number}.1/24") for number in range(256))
"""What a tunnel's address may be where none is set: the first that is nobody else's."""


@dataclass(frozen=True, slots=True)
class Keys:
    """A pair of keys, in base 64."""

    private: str
    public: str


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client as it is to be. `changes`: the settings that the firewall needs for it. `notes`: what else it needs."""

    peer: Peer
    address: str
    changes: dict[str, Any]
    file: str
    notes: tuple[str, ...] = ()


def add_client(values: Values, place: Place, wish: ClientWish, own: Keys, client: Keys) -> NewClient:
    """What a wish comes to. `own` are the firewall's keys, which it may not have yet. Raises ValueError."""
    tunnel = find_address(values) or _find_tunnel(place)
    address = wish.address or _find_free(tunnel, find_peers(values))
    endpoint = parse_endpoint(wish.endpoint) if wish.endpoint else _find_endpoint(values, place)
    if not LABEL.fullmatch(wish.peer.lower()):
        raise ValueError(f"{wish.peer!r} is no name")
    peer = parse_peer(f"{wish.peer} {client.public} {ip_address(address)}")
    if any(other.name == peer.name for other in find_peers(values)):
        raise ValueError(f"there is a peer {peer.name} already")
    lines = [line for _, line in list_items(values, "wireguard.peers")]
    changes: dict[str, Any] = {"wireguard.peers": [*lines, dump_peer(peer)]}
    if not values.get("wireguard.address"):
        changes["wireguard.address"] = str(tunnel)
    if not values.get("wireguard.key"):
        changes["wireguard.key"] = own.private
    file = _dump_file({**values, **changes}, place, peer, own, client, endpoint)
    notes = () if _lets_in(values) else (f"nothing lets in yet what comes from the zone {WIREGUARD_ZONE}",)
    return NewClient(peer, address, changes, file, notes)


def remove_peer(values: Values, name: str) -> list[str] | None:
    """The peers' lines without one of them; None: there is no such peer. Lines that cannot be read stay."""
    lines = [line for _, line in list_items(values, "wireguard.peers")]
    rest = [line for line in lines if line.split()[0].lower() != name.lower()]
    return None if len(rest) == len(lines) else rest


def view_peers(values: Values) -> dict[str, PeerView]:
    """The peers that are set, by their public keys."""
    return {
        peer.key: PeerView(name=peer.name, key=peer.key, networks=list(map(str, peer.networks)), endpoint=peer.endpoint)
        for peer in find_peers(values)
    }


def _lets_in(values: Values) -> bool:
    """Whether any line is for what comes out of the tunnel and goes on, not to the firewall itself."""
    lines: list[Rule | Policy] = [*parse_items(values, "rules", parse_rule).values()]
    lines += parse_items(values, "policies", parse_policy).values()
    return any(
        line.action is Action.ACCEPT and line.origin in (WIREGUARD_ZONE, ANY) and line.target != SELF for line in lines
    )


def _find_tunnel(place: Place) -> IPv4Interface | IPv6Interface:
    taken = [ip_network(net) for zone in place.zones for net in zone.subnets]
    for tunnel in _TUNNELS:
        if not any(net.version == 4 and tunnel.network.overlaps(net) for net in taken):
            return tunnel
    raise ValueError("no range for a tunnel is free: set wireguard.address")


def _find_free(tunnel: IPv4Interface | IPv6Interface, peers: Sequence[Peer]) -> str:
    taken: list[Network] = [net for peer in peers for net in peer.networks]
    for address in tunnel.network.hosts():
        if address != tunnel.ip and not any(address in net for net in taken):
            return str(address)
    raise ValueError(f"no address of {tunnel.network} is free")


def _find_endpoint(values: Values, place: Place) -> str:
    """Where the firewall is heard outside: its own address there. In a gateway's place it has none that others know."""
    port = values.get("wireguard.port")
    for zone in _find_outside(values, place):
        for ip in (ip_interface(address).ip for address in zone.addresses):
            if not ip.is_link_local:
                return f"{ip}:{port}" if ip.version == 4 else f"[{ip}]:{port}"
    raise ValueError("it has no address outside: say by which HOST:PORT it is reached")


def _find_outside(values: Values, place: Place) -> list[Zone]:
    named = values.get("uplink")
    return [zone for zone in place.zones if (zone.name in named if named else zone.uplink)]


def _dump_file(values: Values, place: Place, peer: Peer, own: Keys, client: Keys, endpoint: str) -> str:
    """As wg-quick and the apps for phones read it. What is behind the firewall goes through the tunnel, no more."""
    others = values["wireguard.peers"][:-1]
    inside = add_zone({**values, "wireguard.peers": others}, place)
    outside = {zone.name for zone in _find_outside(values, place)}
    networks = dict.fromkeys(net for zone in inside.zones if zone.name not in outside for net in zone.subnets)
    tunnel = inside.find_zone(WIREGUARD_ZONE)
    assert tunnel is not None and tunnel.nic == NIC
    lines = ["[Interface]", f"PrivateKey = {client.private}", f"Address = {', '.join(map(str, peer.networks))}"]
    if WIREGUARD_ZONE in list_named_zones(values, inside):
        lines.append(f"DNS = {ip_interface(tunnel.addresses[0]).ip}")
    lines += [f"MTU = {tunnel.mtu}", "", "[Peer]", f"PublicKey = {own.public}"]
    lines += [f"AllowedIPs = {', '.join(networks)}", f"Endpoint = {endpoint}", f"PersistentKeepalive = {KEEPALIVE}"]
    return "".join(f"{line}\n" for line in lines)
