"""What the rules say of a flow, and settings that would close the way in."""

from datetime import UTC, datetime

import pytest
from tests.unit.firewall_places import BRIDGE, ROUTER

from weft.firewall.filtering import check
from weft.firewall.judge import Flow, judge
from weft.firewall.rule_lines import Action

IN_LAN, IN_DMZ, OUTSIDE, OWN = "10.1.0.9", "10.2.0.9", "203.0.113.7", "10.0.0.2"


def tcp(zone, source, destination, port, sport=40000):
    return Flow(zone, "tcp", source, sport, destination, port)


@pytest.mark.parametrize(
    ("values", "flow", "action", "by"),
    [
        ({}, tcp("lan", IN_LAN, OUTSIDE, 443), "accept", "policy lan -> wan"),
        ({}, tcp("lan", IN_LAN, IN_DMZ, 443), "drop", "policy lan -> dmz"),
        ({}, tcp("self", "10.1.0.1", IN_LAN, 443), "accept", "policy self -> lan"),
        ({}, Flow("lan", "udp", IN_LAN, 4000, "10.1.0.1", 53), "accept", "dns.zones"),
        ({}, Flow("lan", "icmp", "fd00:1::9", None, "fd00:1::1", None, 135), "accept", "neighbours"),
        ({}, Flow("lan", "icmp", IN_LAN, None, OUTSIDE, None, 0), "drop", "invalid"),
        ({}, tcp("attic", IN_LAN, OUTSIDE, 443), "drop", "no zone"),
        ({"uplink": ["dmz"]}, tcp("lan", IN_LAN, IN_DMZ, 443), "accept", "policy lan -> dmz"),
        (
            {"policies": ["any -> any drop", "lan -> any reject"]},
            tcp("lan", IN_LAN, OUTSIDE, 1),
            "reject",
            "policies[1]",
        ),
        (
            {"policies": ["any -> wan drop", "lan -> any reject"]},
            tcp("lan", IN_LAN, OUTSIDE, 1),
            "reject",
            "policies[1]",
        ),
        (
            {"policies": ["lan -> any reject", "lan -> wan drop"]},
            tcp("lan", IN_LAN, OUTSIDE, 1),
            "drop",
            "policies[1]",
        ),
        (
            {"rules": ["drop any -> any udp", "reject lan -> any tcp port 400-500 name noweb"]},
            tcp("lan", IN_LAN, OUTSIDE, 443),
            "reject",
            "rules[1] noweb",
        ),
        ({"rules": ["drop any -> self"]}, Flow("lan", "udp", IN_LAN, 4000, "10.1.0.1", 53), "drop", "rules[0]"),
    ],
)
def test_who_decides(values, flow, action, by):
    assert check(values, ROUTER) == []
    verdict = judge(values, ROUTER, flow)
    assert (verdict.action, verdict.by) == (action, by)


def test_translation_comes_first():
    values = {"forwards": ["tcp 443 -> 10.2.0.9:8443"], "rules": ["drop any -> dmz tcp from 203.0.113.7 port 8443"]}
    inside, outside = (
        judge(values, ROUTER, tcp("lan", IN_LAN, OWN, 443)),
        judge(values, ROUTER, tcp("wan", OUTSIDE, OWN, 443)),
    )
    assert (inside.by, inside.forward, str(inside.destination), inside.dport) == (
        "forwards[0]",
        "forwards[0]",
        IN_DMZ,
        8443,
    )
    assert (outside.by, outside.forward, outside.zone_out) == ("rules[0]", "forwards[0]", "dmz")
    assert judge(values, ROUTER, tcp("dmz", "10.2.0.10", OWN, 443)).source_by == "reflection"
    assert judge(values, ROUTER, tcp("lan", IN_LAN, OUTSIDE, 443)).source_by == "masquerade"
    assert judge({**values, "reflection": False}, ROUTER, tcp("lan", IN_LAN, OWN, 443)).zone_out == "self"


def test_a_bridge_without_settings_lets_all_pass():
    verdict = judge({}, BRIDGE, tcp("network", IN_LAN, IN_DMZ, 1))
    assert (verdict.action, verdict.zone_out) == (Action.ACCEPT, "machine")


def test_what_depends_on_the_time_or_a_limit_is_noted():
    values = {"rules": ["accept lan -> dmz tcp until 2026-12-24T18:00Z", "accept lan -> dmz tcp limit 3/minute"]}
    flow = tcp("lan", IN_LAN, IN_DMZ, 80)
    unknown = judge(values, ROUTER, flow)
    assert (unknown.by, unknown.note) == ("rules[1]", "rules[0] counts at times only; rules[1] accepts up to its limit")
    assert judge(values, ROUTER, flow, datetime(2026, 12, 24, tzinfo=UTC)).by == "rules[0]"
    assert judge(values, ROUTER, flow, datetime(2026, 12, 25, tzinfo=UTC)).by == "rules[1]"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({}, "from 10.1.0.0 would be cut off by policy lan -> self"),
        ({"rules": ["accept lan -> self tcp port 22"]}, None),
        (
            {"rules": ["drop lan -> any from 10.1.0.77 name bad", "accept lan -> self tcp port 22"]},
            "from 10.1.0.77 would be cut off by rules[0] bad",
        ),
        (
            {"rules": ["accept lan -> self tcp from 10.1.0.0/25 port 22"]},
            "from 10.1.0.128 would be cut off by policy lan -> self",
        ),
        (
            {"rules": ["drop lan -> self tcp sport 5000-6000 port 22", "accept lan -> self tcp port 22"]},
            "from 10.1.0.0 would be cut off by rules[0]",
        ),
        (
            {"rules": ["accept lan -> self tcp port 22 hours 08:00-18:00"]},
            "from 10.1.0.0 would be cut off by policy lan -> self (rules[0] counts at times only)",
        ),
        ({"rules": ["accept lan -> self tcp port 22 limit 10/minute"]}, None),
        (
            {"policies": ["lan -> self accept"], "forwards": ["tcp 22 -> 10.2.0.9 on lan"]},
            "would be led elsewhere by forwards[0]",
        ),
    ],
)
def test_the_way_in_stays_open(values, problem):
    told = [] if problem is None else [f"management[0]: lan tcp 22 {problem}"]
    assert check({**values, "management": ["lan tcp 22"]}, ROUTER) == told


def test_the_way_in_may_be_one_machines():
    values = {"rules": ["accept lan -> self tcp from 10.1.0.9 port 22"], "management": ["lan tcp 22 from 10.1.0.9"]}
    assert check(values, ROUTER) == []
    assert check({"management": ["wan udp 51820"]}, ROUTER) == [
        "management[0]: wan udp 51820 from 0.0.0.0 would be cut off by policy wan -> self"
    ]
