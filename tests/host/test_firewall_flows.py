"""Open flows and the firewall's rules: what lives through a change, what ends, what was there before the firewall."""

import os
import select
import socket
import time
from collections.abc import Iterator
from itertools import count

import pytest
from tests.host.firewall_rig import BOUND, PLACE, Rig, wait_connected

from weft.firewall.filtering import RULES, TAKEOVER, check, render
from weft.model.setting_lines import Values

pytestmark = [pytest.mark.host, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own need root")]

SPORTS = count(21000)
LAN, DMZ, WAN, OWN = "10.1.0.9", "10.2.0.9", "10.0.0.9", "10.0.0.2"
LAN6, DMZ6 = "fd00:1::9", "fd00:2::9"


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig() as opened:
        yield opened


def load(rig: Rig, values: Values, *, takeover: bool = False) -> None:
    assert check(values, PLACE) == []
    files = render(values, PLACE)
    rig.load(files[RULES] + (files[TAKEOVER] if takeover else ""))


def connect(rig: Rig, origin: str, source: str, destination: str, port: int) -> socket.socket:
    """A connection that is made."""
    client = rig.connect(origin, source, next(SPORTS), destination, port)
    assert wait_connected(client)
    client.setblocking(True)
    client.settimeout(BOUND)
    return client


def echoes(client: socket.socket) -> bool:
    """Whether it lives: what is sent comes back, by TCP sooner or later. False: it was refused."""
    try:
        client.send(b"!")
        return client.recv(8) == b"!"
    except ConnectionError:
        return False


def count_after(rig: Rig, act: object, name: str) -> int:
    """Packets that the entry counted since this was done; waits for the first."""
    assert callable(act)
    before = rig.counters()
    act()
    assert ("filter", name) in rig.wait_counted(before, name)
    return rig.counters()[("filter", name)] - before[("filter", name)]


def test_a_change_of_rules_ends_what_it_does_not_allow_and_nothing_else(rig):
    """Also of flows whose addresses are translated, and of both versions of IP."""
    ways = {"rules": ["accept lan -> dmz tcp port 80,443"], "forwards": ["tcp 8443 -> 10.2.0.9:53"]}
    load(rig, ways)
    allowed = [connect(rig, "lan", LAN, DMZ, 80) for _ in range(20)]
    allowed += [connect(rig, "lan", LAN6, DMZ6, 80), connect(rig, "lan", LAN, WAN, 80)]
    allowed += [connect(rig, "wan", WAN, OWN, 8443), connect(rig, "lan", LAN, OWN, 8443)]
    refused = [connect(rig, "lan", LAN, DMZ, 443), connect(rig, "lan", LAN6, DMZ6, 443)]
    load(rig, {**ways, "rules": ["reject lan -> dmz tcp port 443", "accept lan -> dmz tcp"]})
    assert [echoes(client) for client in allowed] == [True] * len(allowed)
    assert [echoes(client) for client in refused] == [False] * len(refused)
    load(rig, {**ways, "rules": ["accept lan -> dmz tcp"], "forwards": []})
    # A forward that is gone takes its flows along, since what they lead to is not allowed from there by itself.
    assert count_after(rig, lambda: allowed[-2].send(b"!"), "policy wan -> dmz") > 0
    for client in allowed + refused:
        client.close()


def test_an_answer_is_judged_as_the_question(rig):
    """The first packet that the new rules see comes from the server."""
    with rig.spaces["dmz"].socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((DMZ, 7000))
        server.listen()
        load(rig, {"rules": ["accept lan -> dmz tcp port 7000"]})
        with connect(rig, "lan", LAN, DMZ, 7000) as client, server.accept()[0] as served:
            load(rig, {"rules": ["accept lan -> dmz tcp from 10.1.0.0/24 to 10.2.0.9 port 7000"]})
            assert count_after(rig, lambda: served.send(b"news"), "rules[0]") == 1
            assert client.recv(8) == b"news"
            load(rig, {"rules": ["drop any -> dmz tcp port 7000"]})
            assert count_after(rig, lambda: served.send(b"late"), "rules[0]") > 0


def test_the_same_rules_again_judge_nothing_anew(rig):
    values = {"rules": ["accept lan -> dmz tcp port 80"]}
    load(rig, values)
    with connect(rig, "lan", LAN, DMZ, 80) as client:
        load(rig, values)
        assert echoes(client)
        assert rig.counters()[("filter", "rules[0]")] == 0


def test_what_was_there_before_the_firewall_lives_on_where_the_rules_allow_it(rig):
    """Whichever side speaks first, and through later changes too."""
    rig.load("add table inet weft\ndelete table inet weft\n")
    with rig.spaces["dmz"].socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((DMZ, 7001))
        server.listen()
        first = connect(rig, "lan", LAN, DMZ, 7001)
        served = server.accept()[0]
    second, other = connect(rig, "lan", LAN6, DMZ6, 80), connect(rig, "dmz", DMZ, LAN, 443)
    values = {"rules": ["accept lan -> dmz tcp port 80,7001"], "policies": ["dmz -> lan reject"]}
    load(rig, values, takeover=True)
    served.send(b"news")
    assert first.recv(8) == b"news"
    assert echoes(second)
    assert not echoes(other)
    rig.fw.run("nft", "flush", "chain", "inet", "weft", "takeover")
    load(rig, {**values, "log": []})
    served.send(b"more")
    assert first.recv(8) == b"more"
    assert echoes(second)
    load(rig, {"policies": ["dmz -> lan reject"]})
    with pytest.raises(ConnectionResetError):
        for _ in range(2):
            served.send(b"late")
            select.select([served], [], [], BOUND)
    for client in (first, second, other, served):
        client.close()


def test_outside_of_its_time_nothing_is_taken_over_from_the_wrong_side(rig):
    rig.load("add table inet weft\ndelete table inet weft\n")
    with rig.spaces["dmz"].socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((DMZ, 7002))
        server.listen()
        client = connect(rig, "lan", LAN, DMZ, 7002)
        served = server.accept()[0]
    load(rig, {"rules": ["accept lan -> dmz tcp port 7002"]})
    assert count_after(rig, lambda: served.send(b"news"), "policy dmz -> lan") > 0
    client.send(b"!")
    assert served.recv(8) == b"!"
    client.close()
    served.close()


def test_a_rate_is_for_flows_that_begin(rig):
    def send(sport: int) -> None:
        rig.send("lan", LAN, sport, DMZ, 53)

    # What an earlier test left on its way is TCP, and counts for the policy.
    values = {"rules": ["accept lan -> dmz udp port 53 limit 3/hour", "drop lan -> dmz udp"]}
    load(rig, values)
    sports = [next(SPORTS) for _ in range(5)]
    assert [count_after(rig, lambda s=s: send(s), "rules[0]") for s in sports[:3]] == [1, 1, 1]
    assert [count_after(rig, lambda s=s: send(s), "rules[1]") for s in sports[3:]] == [1, 1]
    load(rig, {**values, "log": []})
    for _ in range(2):
        # Open flows do not count again, and none of their packets is judged twice.
        for sport in sports[:3]:
            send(sport)
    assert rig.counters()[("filter", "rules[0]")] == 3
    load(rig, {"rules": ["drop lan -> dmz udp limit 1/hour burst 2", "accept lan -> dmz udp"]})
    fresh = [next(SPORTS) for _ in range(3)]
    assert [count_after(rig, lambda s=s: send(s), "rules[1]") for s in fresh[:2]] == [1, 1]
    assert count_after(rig, lambda: send(fresh[2]), "rules[0]") == 1


def test_only_so_many_connections_at_a_time(rig):
    load(rig, {"rules": ["accept lan -> dmz tcp port 80 connections 2"], "policies": ["lan -> dmz reject"]})
    clients = [connect(rig, "lan", LAN, DMZ, 80) for _ in range(2)]
    third = rig.connect("lan", LAN, next(SPORTS), DMZ, 80)
    assert not wait_connected(third)
    assert all(echoes(client) for client in clients)
    clients.pop().close()
    # The kernel looks for those that have ended once in a tick of its clock at most.
    end = time.monotonic() + BOUND
    while not wait_connected(again := rig.connect("lan", LAN, next(SPORTS), DMZ, 80)) and time.monotonic() < end:
        again.close()
    again.setblocking(True)
    clients.append(again)
    assert all(echoes(client) for client in clients)
    for client in (*clients, third):
        client.close()


def test_errors_belong_to_flows_and_refusals_are_told(rig):
    """Nobody listens at the one port; the other is refused by the rules."""
    load(rig, {"rules": ["accept lan -> dmz udp port 9", "reject lan -> dmz udp"]})
    for port, error in ((9, ConnectionRefusedError), (10, OSError)):
        with rig.spaces["lan"].socket(socket.AF_INET, socket.SOCK_DGRAM) as client:
            client.settimeout(BOUND)
            client.bind((LAN, next(SPORTS)))
            client.connect((DMZ, port))
            client.send(b"?")
            with pytest.raises(error) as told:
                client.recv(8)
            assert not isinstance(told.value, TimeoutError)


def test_fragments_are_judged_whole(rig):
    load(rig, {"rules": ["accept lan -> dmz udp port 53"]})
    sport = next(SPORTS)
    rig.send("lan", LAN, sport, DMZ, 53, b"x" * 4000)
    assert rig.listeners.has_come(socket.IPPROTO_UDP, sport, 53)
    assert rig.counters()[("filter", "rules[0]")] == 1
