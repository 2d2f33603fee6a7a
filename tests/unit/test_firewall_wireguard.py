"""WireGuard of the firewall: peers, what is refused, and the zone that the tunnel is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.firewall_places import BRIDGE, ROUTER

from weft.firewall.services import Service
from weft.firewall.wireguard import CONF, NET, add_zone, check, dump_peer, parse_peer, render, services

KEY = "GBWd58a0Ie9LJjAPcEx9yH6gZ0SfWIT4gGaI2wB3X1U="
LAPTOP = "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="
BRANCH = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg="
PSK = "FpCyhws9cxwWoV4xELtfJvjJN+zQVRPISllRWgeopVE="
PEERS = [
    f"laptop {LAPTOP} 10.9.0.2/32",
    f"branch {BRANCH} 10.9.0.3/32 10.3.0.0/24 endpoint vpn.example:51820 psk {PSK}",
]
VALUES = {"wireguard.address": "10.9.0.1/24", "wireguard.key": KEY, "wireguard.peers": PEERS}


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"wireguard.address": "10.9.0.1/33"}, "wireguard.address: '10.9.0.1/33' does not appear to be an IPv4"),
        ({"wireguard.address": None}, "wireguard.address: peers need it"),
        ({"wireguard.address": "10.1.0.7/24"}, "wireguard.address: 10.1.0.0/24 overlaps with 10.1.0.0/24, zone lan"),
        ({"wireguard.key": ""}, "wireguard.key: a tunnel needs one"),
        ({"wireguard.key": "secret"}, "wireguard.key: a key is 32 bytes in base 64"),
        ({"wireguard.peers": [f"laptop {LAPTOP}"]}, "wireguard.peers[0]: it is NAME KEY NETWORK…"),
        ({"wireguard.peers": ["laptop key 10.9.0.2"]}, "wireguard.peers[0]: a key is 32 bytes in base 64"),
        ({"wireguard.peers": [f"a {LAPTOP} 0.0.0.0/0"]}, "wireguard.peers[0]: 0.0.0.0/0: the tunnel is not the way"),
        ({"wireguard.peers": [f"a {LAPTOP} 10.9.0.2 via x"]}, "wireguard.peers[0]: 'via' does not appear to be"),
        ({"wireguard.peers": [f"a {LAPTOP} 10.9.0.2 psk"]}, "wireguard.peers[0]: `psk` is not understood"),
        ({"wireguard.peers": [f"a {LAPTOP} 10.9.0.2 endpoint x"]}, "wireguard.peers[0]: 'x' is no HOST:PORT"),
        ({"wireguard.peers": [f"a {LAPTOP} 10.9.0.2 keepalive -1"]}, "wireguard.peers[0]: keepalive '-1' is no number"),
        ({"wireguard.peers": [f"a {LAPTOP} 10.9.0.1"]}, "wireguard.peers[0]: 10.9.0.1 is the firewall's own address"),
        ({"wireguard.peers": [f"a {LAPTOP} 10.2.0.0/25"]}, "wireguard.peers[0]: 10.2.0.0/25 overlaps with 10.2.0.0/24"),
        (
            {"wireguard.peers": [PEERS[0], f"b {BRANCH} 10.9.0.0/28"]},
            "wireguard.peers[1]: 10.9.0.0/28 overlaps with 10.9.0.2/32 of laptop",
        ),
        ({"wireguard.peers": [PEERS[0], f"laptop {BRANCH} 10.9.0.3"]}, "wireguard.peers[1]: name laptop is that of"),
    ],
)
def test_what_is_refused_is_named(change, problem):
    problems = check({**VALUES, **change}, ROUTER)
    assert any(told.startswith(problem) for told in problems), problems


def test_the_tunnel_is_rendered():
    assert check(VALUES, ROUTER) == []
    files = render(VALUES, ROUTER)
    assert files[CONF].splitlines() == [
        "[Interface]",
        f"PrivateKey = {KEY}",
        "ListenPort = 51820",
        "",
        "# laptop",
        "[Peer]",
        f"PublicKey = {LAPTOP}",
        "AllowedIPs = 10.9.0.2/32",
        "",
        "# branch",
        "[Peer]",
        f"PublicKey = {BRANCH}",
        f"PresharedKey = {PSK}",
        "AllowedIPs = 10.9.0.3/32, 10.3.0.0/24",
        "Endpoint = vpn.example:51820",
    ]
    assert files[NET].splitlines() == ["address 10.9.0.1/24", "mtu 1420", "route 10.3.0.0/24"]


def test_the_tunnel_is_a_zone():
    zone = add_zone(VALUES, ROUTER).find_zone("wg")
    assert zone is not None
    assert (zone.nic, zone.subnets, zone.uplink) == ("wg0", ("10.9.0.0/24", "10.3.0.0/24"), False)
    assert add_zone(VALUES, add_zone(VALUES, ROUTER)) == add_zone(VALUES, ROUTER)
    assert check(VALUES, add_zone(VALUES, ROUTER)) == []


def test_it_is_heard_from_every_side():
    values = {**VALUES, "wireguard.port": 4500}
    zones = ("wan", "lan", "dmz")
    expected = [Service(zone, "udp", (4500,), "wireguard.port") for zone in zones]
    assert services(values, add_zone(values, ROUTER)) == expected


def test_there_is_none_unless_it_is_wanted():
    assert check({}, ROUTER) == []
    assert services({}, ROUTER) == []
    assert add_zone({}, ROUTER) == ROUTER
    assert set(render({}, ROUTER).values()) == {""}


def test_a_bridge_is_no_end_of_a_tunnel():
    assert check(VALUES, BRIDGE) == ["wireguard.address: a bridge has no address of its own"]
    assert add_zone(VALUES, BRIDGE) == BRIDGE
    assert set(render(VALUES, BRIDGE).values()) == {""}


@pytest.mark.parametrize("line", PEERS)
def test_a_line_comes_back(line):
    assert dump_peer(parse_peer(line)) == line


@given(st.lists(st.text()), st.text(), st.text())
def test_nonsense_is_a_problem_and_no_crash(peers, address, key):
    for place in (None, ROUTER, BRIDGE):
        check({"wireguard.peers": peers, "wireguard.address": address, "wireguard.key": key}, place)
