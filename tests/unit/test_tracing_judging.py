"""Firewalls in traces: their settings in force, asked for the packet of a trace, and the packet behind them."""

from datetime import UTC, datetime
from ipaddress import ip_address
from typing import Any

import pytest
from tests.unit.firewall_places import BRIDGE, NEIGHBOURS, ROUTER

from weft.fabric.tracing.judging import judge_packet
from weft.firewall.layout import Layout, lay_out
from weft.firewall.model import FirewallModel
from weft.model.place import Place
from weft.model.trace import Passage
from weft.plan.tracing.judging import Judged
from weft.plan.tracing.room import Packet

NOW = datetime(2026, 11, 29, 12, tzinfo=UTC)
WAN, LAN, DMZ = 0, 1, 2
PLACE = ROUTER.model_copy(update={"neighbours": NEIGHBOURS})
SETTINGS = {
    "rules": ["accept lan -> dmz tcp port 80 name web", "reject lan -> dmz tcp port 81", "accept wan -> lan icmp"],
    "forwards": ["tcp 8080 -> web:80"],
    "snat": ["10.2.0.9 -> 10.0.0.77"],
}


def ask(
    nic: int | None, source: str, destination: str, dport: int | None = 80, place: Place = PLACE, **settings: Any
) -> Judged:
    values = settings or SETTINGS
    assert not FirewallModel().check(values, place)
    return judge_packet(lay_out(values, place), nic, packet(source, destination, dport), NOW)


def packet(source: str, destination: str, dport: int | None) -> Packet:
    ports = (50000, dport) if dport else (None, None)
    return Packet("tcp" if dport else "icmp", ip_address(source), ip_address(destination), *ports)


def test_rules_and_policies_by_their_names() -> None:
    found = ask(LAN, "10.1.0.2", "10.2.0.2")
    assert (found.passage, found.rule, found.why) == (Passage.PASSES, "rules[0] web", "lan -> dmz: accept")
    assert found.packet == packet("10.1.0.2", "10.2.0.2", 80)
    found = ask(LAN, "10.1.0.2", "10.2.0.2", 81)
    assert (found.passage, found.rule, found.why) == (Passage.STOPS, "rules[1]", "lan -> dmz: reject")
    found = ask(LAN, "10.1.0.2", "10.2.0.2", 82)
    assert (found.passage, found.rule, found.why) == (Passage.STOPS, "policy lan -> dmz", "lan -> dmz: drop")
    assert ask(WAN, "192.0.2.1", "10.1.0.2", None).rule == "rules[2]"
    assert ask(None, "10.1.0.1", "10.1.0.2").passage is Passage.PASSES


@pytest.mark.parametrize(
    ("nic", "source", "destination", "dport", "after"),
    [
        (LAN, "10.1.0.2", "192.0.2.1", 80, ("10.0.0.2", "192.0.2.1", 80)),
        (DMZ, "10.2.0.9", "192.0.2.1", 80, ("10.0.0.77", "192.0.2.1", 80)),
        (WAN, "192.0.2.1", "10.0.0.2", 8080, ("192.0.2.1", "10.1.0.120", 80)),
        (LAN, "10.1.0.2", "10.0.0.2", 8080, ("10.1.0.1", "10.1.0.120", 80)),
    ],
    ids=["masquerade", "snat", "forward", "reflection"],
)
def test_what_is_translated(nic: int, source: str, destination: str, dport: int, after: tuple[str, str, int]) -> None:
    found = ask(nic, source, destination, dport)
    assert (found.passage, found.packet) == (Passage.PASSES, packet(*after))


def test_what_is_dropped_is_not_translated() -> None:
    found = ask(WAN, "192.0.2.1", "10.0.0.2", 8081)
    assert (found.passage, found.packet) == (Passage.STOPS, packet("192.0.2.1", "10.0.0.2", 8081))


def test_a_bridge() -> None:
    found = ask(0, "10.1.0.2", "10.1.0.3", 22, BRIDGE, rules=["drop network -> machine tcp port 22"])
    assert (found.passage, found.rule) == (Passage.STOPS, "rules[0]")
    assert ask(1, "10.1.0.3", "10.1.0.2", 22, BRIDGE, rules=[""]).rule == "policy machine -> network"


def test_what_counts_at_times() -> None:
    lines = ["accept lan -> dmz until 2026-11-29T12:01Z", "drop any -> any"]
    assert ask(LAN, "10.1.0.2", "10.2.0.2", rules=lines).rule == "rules[0]"


GONE = "its settings cannot be read: gone"


@pytest.mark.parametrize(("layout", "why"), [(GONE, GONE), (lay_out({}, PLACE), "its NIC 7 is in no zone")])
def test_what_cannot_be_judged(layout: Layout | str, why: str) -> None:
    found = judge_packet(layout, 7, packet("10.1.0.2", "10.2.0.2", 80), NOW)
    assert (found.passage, found.why, found.rule) == (Passage.UNKNOWN, why, None)
