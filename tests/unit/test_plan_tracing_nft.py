"""What `nft monitor` says of a packet, as it was captured, and as it could be."""

from ipaddress import ip_address
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.trace import Passage, Way
from weft.plan.tracing.ends import Protocol
from weft.plan.tracing.nft import Sighting, Step, has_begun, is_over, parse_trace, plan_trace_table
from weft.plan.tracing.observed import list_watched, observe
from weft.plan.tracing.room import Packet
from weft.plan.tracing.walk import GuestPassage, Hop

CAPTURED = (Path(__file__).parent / "golden/nft-monitor.txt").read_text()
"""Of nft 1.0.6: connections to 80, 81 and 82, a datagram, a connection to 8080 that is translated, an echo request."""
TRACED = parse_trace(CAPTURED)


def told(sighting: Sighting) -> list[str]:
    return [str(step) for step in sighting.steps if step.is_worth_telling]


def test_every_packet_is_found() -> None:
    assert len(TRACED) == 6
    assert all(sighting.header.startswith('iif "va" ether saddr 46:') for sighting in TRACED)


def test_what_was_accepted_is_named() -> None:
    web, forwarded = TRACED[0], TRACED[4]
    assert (web.end, web.names) == (None, ["rules[0] web for the office", "masquerade"])
    assert told(web) == ["lan-dmz: rules[0] web for the office accept", "post: masquerade accept"]
    assert forwarded.names == ["forwards[0]", *web.names]


def test_what_was_stopped_is_named() -> None:
    rejected, dropped, policy = TRACED[1], TRACED[3], TRACED[2]
    assert told(rejected) == ["lan-dmz: rules[1] reject"]
    assert told(dropped) == ["lan-dmz: policy lan -> dmz drop"]
    assert policy.end == Step("forward", None, "policy", "drop")
    assert [step.verdict for step in policy.steps] == ["accept", "jump lan-dmz", "goto other", "return", "drop"]


def test_beginning_and_end_are_known() -> None:
    lines = CAPTURED.splitlines(keepends=True)
    begun = [has_begun("".join(lines[:n]), "inet") for n in range(len(lines))]
    over = [is_over("".join(lines[:n]), "inet") for n in range(len(lines))]
    assert lines[begun.index(True) - 1].startswith("# new generation 3")
    assert lines[over.index(True) - 1] == "delete table inet weft-trace\n"
    assert not has_begun(CAPTURED, "bridge")
    assert not is_over("", "inet")


@pytest.mark.parametrize(
    ("packet", "match"),
    [
        (("tcp", "10.0.0.2", "10.0.0.3", 4000, 80), "ip daddr 10.0.0.3 tcp sport 4000 tcp dport 80"),
        (("udp", "fd00::2", "fd00::3", None, 53), "ip6 daddr fd00::3 udp dport 53"),
        (("icmp", "10.0.0.2", "10.0.0.3", None, None), "ip daddr 10.0.0.3 icmp type echo-request"),
        (("icmp", "fd00::2", "fd00::3", None, None), "ip6 daddr fd00::3 icmpv6 type echo-request"),
    ],
)
def test_the_table_names_the_packet(packet: tuple[str, str, str, int | None, int | None], match: str) -> None:
    protocol, source, destination, sport, dport = packet
    kind, source_address, address = cast(Protocol, protocol), ip_address(source), ip_address(destination)
    text = plan_trace_table(Packet(kind, source_address, address, sport, dport), "bridge")
    assert text.startswith("add table bridge weft-trace\ndelete table bridge weft-trace\ntable bridge weft-trace {")
    assert text.count(f"saddr @from {match} meta nftrace set 1") == 2
    assert f"elements = {{ {source} timeout 60s }}" in text


@given(st.text())
def test_nonsense_is_nothing(text: str) -> None:
    assert parse_trace(text) == []


@given(st.lists(st.sampled_from(CAPTURED.splitlines())), st.data())
def test_lines_in_any_order_and_cut_anywhere(lines: list[str], data: st.DataObject) -> None:
    text = "\n".join(lines)
    for sighting in parse_trace(text[: data.draw(st.integers(0, len(text)))]):
        assert all(str(step) for step in sighting.steps)


@given(st.integers(1, 1000))
def test_a_firewall_that_talks_without_end_is_cut_short(count: int) -> None:
    step = "trace id 1 inet t c rule tcp dport 1 (verdict continue)\n"
    (sighting,) = parse_trace('trace id 1 inet t c packet: iif "a"\n' + step * count)
    assert len(sighting.steps) == min(count, 200)


# Held against what should have been.

PASSAGE = GuestPassage("fw", "inet", Packet("tcp", ip_address("10.9.0.2"), ip_address("10.8.0.2"), 1, 80))
UNKNOWN_ROUTER = GuestPassage("router", "inet", PASSAGE.packet, is_judged=False)
RULE = "rules[0] web for the office"
WEB, REJECTED = TRACED[0], TRACED[1]


def hop(verdict: Passage, rule: str | None = None, passage: GuestPassage = PASSAGE) -> Hop:
    return Hop(Way.THERE, "machine x", verdict, "so it is", rule, passage)


@pytest.mark.parametrize(
    ("planned", "sighting", "verdict", "disagreement"),
    [
        (hop(Passage.PASSES, RULE), WEB, Passage.PASSES, None),
        (hop(Passage.STOPS, "rules[1]"), REJECTED, Passage.STOPS, None),
        (hop(Passage.PASSES, RULE), REJECTED, Passage.PASSES, "by rules[0] web for the office; yet it stopped"),
        (hop(Passage.STOPS, "rules[1]"), WEB, Passage.STOPS, "should stop it by rules[1]; yet it let it pass"),
        (hop(Passage.PASSES, "rules[9]"), WEB, Passage.PASSES, "should go by rules[9]; it went by rules[0] web for"),
        (hop(Passage.STOPS, "rules[9]"), REJECTED, Passage.STOPS, "should go by rules[9]; it went by rules[1]"),
        (hop(Passage.PASSES, RULE), None, Passage.PASSES, "machine x has not seen the packet"),
        (hop(Passage.UNKNOWN), WEB, Passage.PASSES, None),
        (hop(Passage.UNKNOWN, None, UNKNOWN_ROUTER), WEB, Passage.PASSES, None),
        (hop(Passage.UNKNOWN, None, UNKNOWN_ROUTER), REJECTED, Passage.STOPS, None),
        (hop(Passage.UNKNOWN, None, UNKNOWN_ROUTER), None, Passage.UNKNOWN, None),
        (hop(Passage.PASSES, None, UNKNOWN_ROUTER), REJECTED, Passage.STOPS, None),
    ],
)  # fmt: skip
def test_what_was_seen_is_held_against_what_should_be(
    planned: Hop, sighting: Sighting | None, verdict: Passage, disagreement: str | None
) -> None:
    assert planned.passage is not None
    (found,), disagreements = observe([planned], {planned.passage: sighting})
    assert found.hop.verdict is verdict
    assert found.seen == (told(sighting) if sighting else [])
    assert len(disagreements) == (disagreement is not None)
    assert (disagreement or "") in "".join(disagreements)


def test_nothing_lies_behind_what_was_seen_to_stop() -> None:
    behind = Hop(Way.THERE, "machine y", Passage.PASSES, "")
    observed, _ = observe([hop(Passage.UNKNOWN, None, UNKNOWN_ROUTER), behind], {UNKNOWN_ROUTER: REJECTED})
    assert [(one.hop.at, one.hop.rule) for one in observed] == [("machine x", "rules[1]")]


def test_who_could_not_be_asked_says_nothing() -> None:
    back = Hop(Way.BACK, "machine x", Passage.PASSES, "", None, PASSAGE)
    planned = [hop(Passage.PASSES, RULE), back]
    assert list_watched(planned) == [PASSAGE]
    observed, disagreements = observe(planned, {})
    assert ([one.hop for one in observed], disagreements) == (planned, [])
    assert observe([back], {PASSAGE: REJECTED})[1] == []
