"""The firewall's rules, loaded by a real nft: real packets meet the answer that the judge gives."""

import os
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from ipaddress import ip_address
from itertools import count

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from tests.host.firewall_rig import HOSTS, PLACE, PORTS, Rig, wait_connected
from tests.unit.firewall_places import ROUTER
from tests.unit.test_firewall_rules import PLACE as UNIT_PLACE
from tests.unit.test_firewall_rules import VALUES

from weft.firewall.filtering import RULES, TAKEOVER, check, render
from weft.firewall.judge import Flow, Verdict, judge
from weft.firewall.rule_lines import Action
from weft.host.process import program

pytestmark = [pytest.mark.host, pytest.mark.skipif(os.geteuid() != 0, reason="namespaces of one's own need root")]

ZONES = ("wan", "lan", "dmz")
SPORTS = count(1)
"""Each flow has a source port or identity of its own, so that conntrack takes none for another."""


@pytest.fixture(scope="module")
def rig() -> Iterator[Rig]:
    with Rig() as opened:
        yield opened


@pytest.mark.parametrize(("values", "place"), [({}, ROUTER), (VALUES, UNIT_PLACE)])
def test_nft_takes_what_is_rendered(values, place):
    files = render(values, place)
    argv = [program("unshare"), "-rn", program("nft"), "-f", "-"]
    loaded = subprocess.run(argv, input=files[RULES] + files[TAKEOVER], capture_output=True, text=True, check=False)
    assert (loaded.returncode, loaded.stderr) == (0, "")


def _address(zone: str, last: int, version: int) -> str:
    number = ZONES.index(zone)
    return f"10.{number}.0.{last}" if version == 4 else f"fd00:{number}::{last}"


@dataclass(frozen=True)
class Probe:
    """A flow to be sent: from which zone, of which protocol, between which last parts of addresses."""

    origin: str
    target: str
    protocol: str
    version: int
    source: int
    destination: int
    dport: int
    low: bool

    @property
    def meets_the_firewall(self) -> bool:
        """Hosts of one zone do without it, and what it says to itself is not asked about."""
        if self.destination == 0:
            return self.origin != "self" and self.protocol != "47"
        return self.origin != self.target

    def flow(self, number: int) -> Flow:
        own = 2 if self.target == "wan" else 1
        begins = self.origin == "self"
        version, last = self.version, self.destination or own
        if self.protocol == "47":
            # Without ports a flow is its two addresses; nobody has this one, and what was sent there is known.
            version, last = (self.version if number < 150 else 6), 100 + number
        source = _address(self.target if begins else self.origin, own if begins else self.source, version)
        destination = _address(self.target, last, version)
        if self.protocol not in ("tcp", "udp"):
            return Flow(self.origin, self.protocol, source, None, destination, None)
        return Flow(
            self.origin, self.protocol, source, number + (20000 if self.low else 40000), destination, self.dport
        )


def _send(rig: Rig, flow: Flow, number: int) -> socket.socket | None:
    source, destination = str(flow.source), str(flow.destination)
    if flow.protocol == "tcp":
        return rig.connect(flow.zone_in, source, flow.sport or 0, destination, flow.dport or 0)
    if flow.protocol == "udp":
        rig.send(flow.zone_in, source, flow.sport or 0, destination, flow.dport or 0)
    elif flow.protocol == "icmp":
        rig.send_echo(flow.zone_in, source, number, destination)
    else:
        rig.send_raw(flow.zone_in, int(flow.protocol), source, destination, b"1234")
    return None


def observe(rig: Rig, flow: Flow, number: int, expected: Verdict) -> tuple[set[str], dict[str, set[str]], bool]:
    """Which entry counted it, which translations did, and whether it got through, where that can be seen."""
    before = rig.counters()
    client = _send(rig, flow, number)
    through = expected.action is Action.ACCEPT
    if client is not None:
        if through:
            through = wait_connected(client) and rig.listeners.has_come(6, flow.sport or 0, expected.dport or 0)
        client.close()
    elif flow.protocol == "udp" and through:
        through = rig.listeners.has_come(17, flow.sport or 0, expected.dport or 0)
    counted = rig.wait_counted(before) if expected.by != "itself" else set()
    nat = {kind: {name for where, name in counted if where == kind} for kind in ("prerouting", "postrouting")}
    return {name for where, name in counted if where == "filter"}, nat, through


HOST_NETS = [f"10.{n}.0.{last}" for n in range(3) for last in (*HOSTS, "0/24")] + [
    "fd00:1::/64",
    "fd00:2::9",
    "0.0.0.0/0",
]
ENDS = st.lists(st.sampled_from([*HOST_NETS, "@four", "@mixed", "@six"]), min_size=1, max_size=2).map(",".join)
SETS = ["four = 10.1.0.9, 10.2.0.0/29, 10.0.0.8/29", "six = fd00:1::9, fd00::/64", "mixed = @four, @six, 10.2.0.10"]
SIDES = st.sampled_from(["any", "self", *ZONES])
PORT_SETS = st.sampled_from(["53", "80,443", "1-100", "8000-9000,53"])


def _optional(word: str, values: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    return st.just("") | values.map(lambda value: f"{word} {value}")


PORTED = st.tuples(
    st.sampled_from(["tcp", "udp"]), _optional("sport", st.just("20000-39999")), _optional("port", PORT_SETS)
).map(" ".join)
PROTOCOLS = st.sampled_from(["", "icmp", "icmpv6", "icmp type echo-request", "47"]) | PORTED
TIMES = st.sampled_from(
    ["", "", "until 2020-01-01T00:00Z", "until 2099-01-01T00:00Z", "days sun-sat hours 00:00-23:59"]
)
RULES_LINES = st.builds(
    lambda action, origin, target, protocol, source, to, times: " ".join(
        f"{action} {origin} -> {target} {protocol} {source} {to} {times}".split()
    ),
    st.sampled_from(["accept", "drop", "reject"]),
    SIDES,
    SIDES,
    PROTOCOLS,
    _optional("from", ENDS),
    _optional("to", ENDS),
    TIMES,
).filter(lambda line: not check({"sets": SETS, "rules": [line]}, PLACE))
POLICIES = st.lists(
    st.tuples(SIDES, SIDES, st.sampled_from(["accept", "drop", "reject"])), max_size=4, unique_by=lambda line: line[:2]
).map(lambda lines: [f"{origin} -> {target} {action}" for origin, target, action in lines])
FORWARDS = st.lists(
    st.sampled_from(
        [
            "tcp 80 -> 10.2.0.9:8080",
            "udp 53 -> 10.1.0.10",
            "tcp 8000-9000 -> 10.2.0.10 from 10.0.0.9,10.1.0.0/24",
            "tcp 443 -> 10.1.0.9:8443 on dmz",
            "udp 80 -> [fd00:2::9]:443",
        ]
    ),
    unique=True,
    max_size=3,
)
SETTINGS = st.fixed_dictionaries(
    {
        "sets": st.just(SETS),
        "rules": st.lists(RULES_LINES, max_size=5),
        "policies": POLICIES,
        "forwards": FORWARDS,
        "reflection": st.booleans(),
        "snat": st.sampled_from([[], ["10.1.0.10 -> 10.0.0.2"]]),
        "masquerade": st.sampled_from([[], ["none"], ["dmz"]]),
        "uplink": st.sampled_from([[], [], ["wan", "dmz"]]),
    }
)
PROBES = st.builds(
    Probe,
    st.sampled_from(["self", *ZONES]),
    st.sampled_from(ZONES),
    st.sampled_from(["tcp", "tcp", "udp", "udp", "icmp", "47"]),
    st.sampled_from([4, 4, 6]),
    st.sampled_from(HOSTS),
    st.sampled_from([0, *HOSTS]),
    st.sampled_from(PORTS),
    st.booleans(),
).filter(lambda probe: probe.meets_the_firewall)


@settings(max_examples=40, deadline=None, phases=[Phase.generate], suppress_health_check=list(HealthCheck))
@given(SETTINGS, st.lists(PROBES, min_size=1, max_size=10))
def test_packets_meet_what_the_judge_says(rig, values, probes):
    """What counted a packet, and what translated it, is named by the judge; what it accepts arrives."""
    assert check(values, PLACE) == []
    rig.load(render(values, PLACE)[RULES])
    for probe in probes:
        number = next(SPORTS)
        flow = probe.flow(number)
        expected = judge(values, PLACE, flow, datetime.now(UTC))
        counted, nat, through = observe(rig, flow, number, expected)
        told = (flow, expected)
        assert counted == ({expected.by} - {"itself"}), told
        assert nat["prerouting"] == ({expected.forward} if expected.forward else set()), told
        accepted = expected.action is Action.ACCEPT
        # A reset is asked there, too, and to no effect.
        assert not accepted or nat["postrouting"] == ({expected.source_by} if expected.source_by else set()), told
        assert through == accepted, told
        assert expected.destination is not None
        assert ip_address(flow.destination).version == expected.destination.version
