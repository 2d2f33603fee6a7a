"""The firewall's rules as a bridge between two sides: real frames meet the answer that the judge gives."""

import errno
import os
import selectors
import socket
import subprocess
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, datetime
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.host.firewall_rig import BOUND, BRIDGE, BRIDGED_HOSTS, PORTS, Rig, wait_connected
from tests.host.test_firewall_rules import observe

from weft.firewall.filtering import RULES, TAKEOVER, check, render
from weft.firewall.judge import Flow, judge
from weft.firewall.rule_lines import Action
from weft.host.process import program
from weft.model.setting_lines import Values


def knows_flows_on_bridges() -> bool:
    """Whether this kernel has conntrack for bridges, as the machines' own has."""
    text = "table bridge t { chain c { type filter hook forward priority 0; ct state new accept; }; }"
    tried = subprocess.run(
        [program("unshare"), "-rn", program("nft"), "-f", "-"], input=text.encode(), capture_output=True
    )
    return tried.returncode == 0


pytestmark = [
    pytest.mark.host,
    pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own need root"),
    pytest.mark.skipif(not knows_flows_on_bridges(), reason="this kernel has no conntrack for bridges"),
]

SPORTS = count(1)
CLIENT, SERVER, CLIENT6, SERVER6 = "10.0.0.9", "10.0.0.20", "fd00:0::9", "fd00:0::20"
CLOSED = {"policies": ["any -> any drop"]}


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig(BRIDGE) as opened:
        yield opened


def load(rig: Rig, values: Values, *, takeover: bool = False) -> None:
    assert check(values, BRIDGE) == []
    files = render(values, BRIDGE)
    rig.load(files[RULES] + (files[TAKEOVER] if takeover else ""))


def _line(action: str, ends: tuple[str, str], what: str, source: str, target: str) -> str:
    return " ".join(f"{action} {ends[0]} -> {ends[1]} {what} {source} {target}".split())


ADDRESSES = st.sampled_from(["10.0.0.9", "10.0.0.0/28", "10.0.0.20,fd00:0::20", "fd00:0::/64", "@some", "0.0.0.0/0"])
LINES = st.builds(
    _line,
    st.sampled_from(["accept", "drop", "reject"]),
    st.tuples(st.sampled_from(["any", *BRIDGED_HOSTS]), st.sampled_from(["any", *BRIDGED_HOSTS])),
    st.sampled_from(
        ["", "tcp", "udp port 53", "tcp port 80,8000-9000", "icmp", "icmpv6 type echo-request", "udp sport 20000-39999"]
    ),
    st.just("") | ADDRESSES.map(lambda text: f"from {text}"),
    st.just("") | ADDRESSES.map(lambda text: f"to {text}"),
)
VALUES = st.fixed_dictionaries(
    {
        "sets": st.just(["some = 10.0.0.10, 10.0.0.21, fd00:0::9"]),
        "rules": st.lists(LINES, max_size=5).map(
            lambda lines: [
                line for line in lines if not check({"sets": ["some = 10.0.0.10, fd00:0::9"], "rules": [line]}, BRIDGE)
            ]
        ),
        "policies": st.sampled_from([[], ["any -> any drop"], ["network -> machine drop"], ["machine -> any reject"]]),
    }
)


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    """A flow from one side to the other; its source port is its own."""
    origin, target = draw(st.permutations(list(BRIDGED_HOSTS)))
    head = draw(st.sampled_from(["10.0.0.", "fd00:0::"]))
    source, destination = (f"{head}{draw(st.sampled_from(BRIDGED_HOSTS[side]))}" for side in (origin, target))
    protocol = draw(st.sampled_from(["tcp", "udp", "icmp"]))
    if protocol == "icmp":
        return Flow(origin, protocol, source, None, destination, None)
    sport = draw(st.sampled_from([20000, 40000]))
    return Flow(origin, protocol, source, sport, destination, draw(st.sampled_from(PORTS)))


@settings(max_examples=30, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(VALUES, st.lists(flows(), min_size=1, max_size=8))
def test_frames_meet_what_the_judge_says(rig, values, sent):
    load(rig, values)
    for begun in sent:
        number = next(SPORTS)
        sport = None if begun.sport is None else begun.sport + number
        flow = Flow(begun.zone_in, begun.protocol, begun.source, sport, begun.destination, begun.dport)
        expected = judge(values, BRIDGE, flow, datetime.now(UTC))
        counted, _, through = observe(rig, flow, number, expected)
        assert (counted, through) == ({expected.by}, expected.action is Action.ACCEPT), (flow, expected)


def _packets(rig: Rig, zone: str) -> socket.socket:
    """What arrives at a host, and what it sends, as frames."""
    opened = rig.spaces[zone].socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    opened.bind(("port", 3))
    opened.settimeout(BOUND)
    return opened


def _frame(kind: int, number: int) -> bytes:
    return b"\xff" * 6 + b"\x52\x57\x00\x00\x03\x01" + kind.to_bytes(2, "big") + number.to_bytes(46, "big")


def test_heartbeats_and_questions_for_neighbours_always_pass(rig):
    """Of what is not IP, nothing else does where the policy drops."""
    with closing(_packets(rig, "network")) as sender, closing(_packets(rig, "machine")) as receiver:
        load(rig, CLOSED)
        for kind in (0x88B6, 0x88B5, 0x0806):
            sender.send(_frame(kind, 7))
        came: set[int] = set()
        while not came >= {0x88B5, 0x0806}:
            came.add(int.from_bytes(receiver.recv(2000)[12:14], "big"))
        assert 0x88B6 not in came
        load(rig, {})
        sender.send(_frame(0x88B6, 8))
        while _frame(0x88B6, 8) not in receiver.recv(2000):
            pass


def test_neighbours_of_ipv6_are_found_through_closed_rules(rig):
    load(rig, {**CLOSED, "rules": ["accept network -> machine tcp port 80"]})
    for name in BRIDGED_HOSTS:
        rig.spaces[name].run("ip", "-6", "neighbour", "flush", "dev", "port")
    with rig.connect("network", CLIENT6, 22001, SERVER6, 80) as client:
        assert wait_connected(client)


def test_what_was_there_before_the_firewall_lives_on_where_the_rules_allow_it(rig):
    rig.load("add table bridge weft\ndelete table bridge weft\n")
    with rig.spaces["machine"].socket(socket.AF_INET, socket.SOCK_STREAM) as server:
        server.bind((SERVER, 7001))
        server.listen()
        client = rig.connect("network", CLIENT, 22002, SERVER, 7001)
        assert wait_connected(client)
        served = server.accept()[0]
    client.settimeout(BOUND)
    values = {**CLOSED, "rules": ["accept network -> machine tcp port 7001"]}
    load(rig, values, takeover=True)
    for text in (b"news", b"more"):
        served.send(text)
        assert client.recv(8) == text
        rig.fw.run("nft", "flush", "chain", "bridge", "weft", "takeover")
        load(rig, {**values, "log": []})
    load(rig, CLOSED)
    before = rig.counters()
    served.send(b"late")
    assert rig.wait_counted(before) == {("filter", "policies[0]")}
    client.close()
    served.close()


def test_who_is_refused_is_told_when_he_tries_again(rig):
    """TCP does so by itself; of UDP it is the next datagram."""
    load(rig, {"policies": ["network -> machine reject"]})
    for source, destination in ((CLIENT, SERVER), (CLIENT6, SERVER6)):
        with rig.connect("network", source, next(SPORTS) + 23000, destination, 80) as client:
            with selectors.DefaultSelector() as selector:
                selector.register(client, selectors.EVENT_WRITE)
                assert selector.select(BOUND)
            assert client.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == errno.ECONNREFUSED
        family = socket.AF_INET6 if ":" in source else socket.AF_INET
        with rig.spaces["network"].socket(family, socket.SOCK_DGRAM) as client:
            client.settimeout(BOUND)
            client.connect((destination, 53))
            client.send(b"?")
            client.send(b"?")
            with pytest.raises(OSError) as told:
                client.recv(8)
            assert not isinstance(told.value, TimeoutError)


def test_fragments_are_judged_whole(rig):
    load(rig, {**CLOSED, "rules": ["accept network -> machine udp port 53"]})
    rig.send("network", CLIENT, 22003, SERVER, 53, b"x" * 4000)
    assert rig.listeners.has_come(socket.IPPROTO_UDP, 22003, 53)
    assert rig.counters()[("filter", "rules[0]")] == 1
