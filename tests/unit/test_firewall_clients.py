"""Clients of the firewall's tunnel, and addresses that are kept out: which settings a wish comes to."""

from ipaddress import ip_network

import pytest
from tests.unit.firewall_places import BRIDGE, LAN, ROUTER

from weft.firewall.blocking import block_address, unblock_address
from weft.firewall.clients import Keys, add_client, remove_peer, view_peers
from weft.firewall.model import FirewallModel
from weft.host.keys import find_public, make_key
from weft.model.firewall import ClientWish
from weft.model.place import Place, Stance, Zone

OWN = Keys("cCuZbF2jtYnEb3ETYVlhJtTdCXqBiIPYqbEMMQDH3Us=", "fDpswPKKm7Vais3e8tBJasW8t/uMlp8sCt/xQgFYvnY=")
PRIVATE = make_key()
CLIENT = Keys(PRIVATE, find_public(PRIVATE))
_UPLINK = Zone(name="uplink", nic="eth1", mac="", addresses=("169.254.88.1/32",), uplink=True)
GATEWAY = Place(stance=Stance.GATEWAY, zones=(LAN, _UPLINK))
VALUES = {"wireguard.port": 51820}
NOW = 1_800_000_030.0  # 2027-01-15T08:00:30Z


def test_public_keys_are_those_of_wg() -> None:
    """RFC 7748, section 6.1: Alice's keys."""
    private = "dwdtCnMYpX08FsFyUbJmRd9ML4frwJkqsXf7pR25LCo="
    assert find_public(private) == "hSDwCYkwp1R0i33ctD73Wg2/Og0mOBr066SpjqqbTmo="
    with pytest.raises(ValueError):
        find_public("short")


def test_the_first_client_makes_the_tunnel() -> None:
    new = add_client(VALUES, ROUTER, ClientWish(peer="Phone"), OWN, CLIENT)
    assert new.changes == {
        "wireguard.address": "10.99.0.1/24",
        "wireguard.key": OWN.private,
        "wireguard.peers": [f"phone {CLIENT.public} 10.99.0.2/32"],
    }
    assert FirewallModel().check({**VALUES, **new.changes}, ROUTER) == []
    assert new.file == (
        f"[Interface]\nPrivateKey = {CLIENT.private}\nAddress = 10.99.0.2/32\nDNS = 10.99.0.1\nMTU = 1420\n\n"
        f"[Peer]\nPublicKey = {OWN.public}\nAllowedIPs = 10.1.0.0/24, fd00:1::/64, 10.2.0.0/24, 10.99.0.0/24\n"
        "Endpoint = 10.0.0.2:51820\nPersistentKeepalive = 25\n"
    )


@pytest.mark.parametrize(
    ("values", "open_"),
    [
        ({}, False),
        ({"policies": ["wg -> lan accept"]}, True),
        ({"policies": ["any -> any drop", "lan -> wg accept"], "rules": ["accept wg -> self tcp port 22"]}, False),
        ({"rules": ["accept any -> lan tcp port 22"]}, True),
    ],
)
def test_it_is_said_when_nothing_lets_clients_in(values: dict[str, object], open_: bool) -> None:
    new = add_client({**VALUES, **values}, ROUTER, ClientWish(peer="a"), OWN, CLIENT)
    assert new.notes == (() if open_ else ("nothing lets in yet what comes from the zone wg",))


def test_the_next_one_is_beside_it() -> None:
    site = f"site {OWN.public} 10.98.0.2 10.50.0.0/16"
    values = {**VALUES, "wireguard.address": "10.98.0.1/24", "wireguard.key": OWN.private, "wireguard.peers": [site]}
    new = add_client(values, ROUTER, ClientWish(peer="phone", endpoint="vpn.example:443"), OWN, CLIENT)
    assert new.changes == {"wireguard.peers": [site, f"phone {CLIENT.public} 10.98.0.3/32"]}
    assert "Endpoint = vpn.example:443\n" in new.file
    assert "10.98.0.0/24, 10.50.0.0/16\n" in new.file
    quiet = add_client({**values, "dns.zones": ["lan"]}, ROUTER, ClientWish(peer="phone"), OWN, CLIENT)
    assert "DNS" not in quiet.file


def test_a_tunnel_keeps_away_from_what_is_there() -> None:
    lan = Zone(name="old", nic="eth3", mac="", subnets=("10.99.0.0/23",))
    place = ROUTER.model_copy(update={"zones": (*ROUTER.zones, lan)})
    assert add_client(VALUES, place, ClientWish(peer="a"), OWN, CLIENT).changes["wireguard.address"] == "10.99.2.1/24"


def test_the_setting_says_where_outside_is() -> None:
    file = add_client({**VALUES, "uplink": ["dmz"]}, ROUTER, ClientWish(peer="a"), OWN, CLIENT).file
    assert "Endpoint = 10.2.0.1:51820\n" in file
    assert "AllowedIPs = 10.0.0.0/24, 10.1.0.0/24, fd00:1::/64, 10.99.0.0/24\n" in file


@pytest.mark.parametrize(
    ("place", "values", "wish", "problem"),
    [
        (ROUTER, {}, ClientWish(peer="a b"), "'a b' is no name"),
        (ROUTER, {}, ClientWish(peer="-"), "'-' is no name"),
        (ROUTER, {}, ClientWish(peer="a", address="10.99.0.0/24"), "does not appear to be"),
        (ROUTER, {}, ClientWish(peer="a", endpoint="vpn"), "'vpn' is no HOST:PORT"),
        (ROUTER, {"wireguard.peers": [f"a {OWN.public} 10.99.0.2"]}, ClientWish(peer="A"), "a peer a already"),
        (BRIDGE, {}, ClientWish(peer="a"), "no address outside"),
        (GATEWAY, {}, ClientWish(peer="a"), "no address outside"),
        (ROUTER, {"wireguard.address": "10.99.0.1/32"}, ClientWish(peer="a"), "no address of 10.99.0.1/32 is free"),
    ],
)
def test_what_cannot_be(place: Place, values: dict[str, object], wish: ClientWish, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        add_client({**VALUES, **values}, place, wish, OWN, CLIENT)


def test_peers_are_removed_by_name() -> None:
    lines = [f"phone {CLIENT.public} 10.99.0.2", "damaged", f"Laptop {OWN.public} 10.99.0.3"]
    values = {"wireguard.peers": lines}
    assert remove_peer(values, "PHONE") == lines[1:]
    assert remove_peer(values, "laptop") == lines[:2]
    assert remove_peer(values, "nobody") is None
    assert [peer.name for peer in view_peers(values).values()] == ["phone", "laptop"]


def test_a_block_is_the_first_rule_and_ends_at_a_whole_minute() -> None:
    rules = block_address(["accept any -> any"], "203.0.113.9", 60, NOW)
    assert rules == ["drop any -> any from 203.0.113.9 until 2027-01-15T08:02Z name blocked", "accept any -> any"]
    assert block_address([], "203.0.113.0/24", None, NOW) == ["drop any -> any from 203.0.113.0/24 name blocked"]
    assert "08:01Z" in block_address([], "203.0.113.9", 30, NOW)[0]
    assert FirewallModel().check({"rules": rules}, ROUTER) == FirewallModel().check({"rules": rules}, BRIDGE) == []


def test_a_second_block_takes_the_place_of_the_first() -> None:
    once = block_address(["drop lan -> wan from 203.0.113.9"], "203.0.113.9/32", 60, NOW)
    assert block_address(once, "203.0.113.9", None, NOW)[0] == "drop any -> any from 203.0.113.9 name blocked"
    assert len(block_address(once, "203.0.113.9", None, NOW)) == 2


def test_blocks_that_are_over_go_with_the_next_change() -> None:
    once = block_address([], "203.0.113.9", 60, NOW)
    assert len(block_address(once, "fd00::/8", 60, NOW + 60)) == 2
    assert len(block_address(once, "fd00::/8", 60, NOW + 90)) == 1


def test_a_block_is_taken_away_by_its_address() -> None:
    own = "drop any -> any from 203.0.113.9 name mine"
    rules = block_address([own], "203.0.113.9", None, NOW)
    assert unblock_address(rules, "203.0.113.9", NOW) == [own]
    assert unblock_address([own], "203.0.113.9", NOW) is None
    for wrong in ("", "web", "10.0.0.1/8"):
        with pytest.raises(ValueError):
            block_address([], wrong, None, NOW)


def test_an_address_of_ones_own_choice() -> None:
    new = add_client(VALUES, ROUTER, ClientWish(peer="a", address="10.99.0.77"), OWN, CLIENT)
    assert new.peer.networks == (ip_network("10.99.0.77/32"),)
