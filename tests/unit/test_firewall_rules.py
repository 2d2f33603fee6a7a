"""Lines of the firewall's rules: what is read, what is refused, and the text for nft."""

import os
import string
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.firewall_places import BRIDGE, NEIGHBOURS, ROUTER

from weft.firewall.filtering import RULES, TAKEOVER, check, render
from weft.firewall.rule_lines import parse_ports, parse_rule
from weft.firewall.times import Times, parse_days, parse_hours, parse_until
from weft.firewall.translation_lines import parse_forward
from weft.model.place import Stance

GOLDEN = Path(__file__).parent / "golden"
PLACE = ROUTER.model_copy(update={"neighbours": NEIGHBOURS})
VALUES = {
    "sets": ["office = 10.1.0.0/25, 10.1.0.200, fd00:1::/96", "trusted = @office, web"],
    "rules": [
        "accept lan -> dmz tcp from @office port 80,443 name web",
        "drop any -> self tcp port 22 limit 10/minute burst 3 log",
        "accept lan -> self tcp port 22 connections 4",
        "reject lan -> wan udp to 9.9.9.9, 8.8.8.8 port 53 hours 22:00-06:00 days sat-sun until 2027-01-01T00:00Z",
        "accept lan -> dmz icmp type echo-request",
    ],
    "policies": ["dmz -> any reject"],
    "forwards": ["tcp 443 -> 10.2.0.9:8443", "udp 8000-8010 -> 10.2.0.9 on wan from 203.0.113.0/24"],
    "snat": ["web -> 10.0.0.7"],
    "dhcp": ["lan 10.1.0.130-10.1.0.150 12h"],
}
BRIDGED = {
    "rules": ["accept network -> machine tcp port 80", "reject any -> any udp to 10.0.0.1 port 53"],
    "policies": ["network -> machine drop"],
    "log": ["drops", "connections"],
}


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"rules": ["accept lan wan"]}, "rules[0]: it is accept|drop|reject FROM -> TO …"),
        ({"rules": ["", "allow lan -> wan"]}, "rules[1]: 'allow' is not accept, drop or reject"),
        ({"rules": ["accept lan -> wan tpc port 80"]}, "rules[0]: 'tpc' is not understood; a protocol is tcp, udp,"),
        ({"rules": ["accept lan -> wan tcp prot 80"]}, "rules[0]: 'prot' is not understood; expected from, to, sport"),
        ({"rules": ["accept lan -> wan tcp port"]}, "rules[0]: port needs a value"),
        ({"rules": ["accept lan -> wan tcp port 0"]}, "rules[0]: '0' is no port, a number from 1 to 65535"),
        ({"rules": ["accept lan -> wan tcp port 80-70"]}, "rules[0]: ports 80-70: 70 is before 80"),
        ({"rules": ["accept lan -> wan port 80"]}, "rules[0]: ports need the protocol tcp or udp before them"),
        ({"rules": ["accept lan -> wan icmp port 80"]}, "rules[0]: ports need the protocol"),
        ({"rules": ["accept lan -> wan log log"]}, "rules[0]: log is said twice"),
        ({"rules": ["accept lan -> wan from 10.1.0.7/24"]}, "rules[0]: 10.1.0.7/24 has host bits set"),
        ({"rules": ["accept lan -> wan from 10.1.0"]}, "rules[0]: '10.1.0' does not appear to be an IPv4 or IPv6"),
        ({"rules": ["accept lan -> wan from 10.1.0.1,"]}, "rules[0]: '10.1.0.1,' has a comma with nothing beside it"),
        ({"rules": ["accept lan -> wan from @attic"]}, "rules[0]: there is no set 'attic'"),
        ({"rules": ["accept lan -> wan from 10.1.0.1 to fd00::1"]}, "rules[0]: it can never match: one side is IPv4"),
        ({"rules": ["accept lan -> wan icmp from fd00::1"]}, "rules[0]: it can never match: one side is IPv4"),
        ({"rules": ["accept lan -> attic"]}, "rules[0]: there is no zone 'attic'; there are wan, lan, dmz"),
        ({"rules": ["accept lan -> wan tcp type 8"]}, "rules[0]: type needs the protocol icmp or icmpv6"),
        ({"rules": ["accept lan -> wan icmp type echo-reply"]}, "rules[0]: type echo-reply: what begins a flow is"),
        ({"rules": ["accept lan -> wan limit 10/day"]}, "rules[0]: limit '10/day' is not like 10/second"),
        ({"rules": ["accept lan -> wan burst 10"]}, "rules[0]: burst needs a limit"),
        ({"rules": ["accept lan -> wan connections none"]}, "rules[0]: 'none' is no number from 1"),
        ({"rules": ["accept lan -> wan until 2026-12-24T18:00"]}, "rules[0]: until 2026-12-24T18:00 needs its zone"),
        ({"rules": ["accept lan -> wan until tomorrow"]}, "rules[0]: until 'tomorrow' is no time like"),
        ({"rules": ["accept lan -> wan until 0001-01-01T00:00+09:00"]}, "rules[0]: until '0001-01-01T00:00+09:00' is"),
        ({"rules": ["accept lan -> wan hours 8-18"]}, "rules[0]: hours '8-18' are not like 08:00-18:00"),
        ({"rules": ["accept lan -> wan hours 08:00-08:00"]}, "rules[0]: hours 08:00-08:00: from 00:00 to 24:00"),
        ({"rules": ["accept lan -> wan days mon-xyz"]}, "rules[0]: days 'mon-xyz' is not like mon"),
        ({"rules": ['accept lan -> wan name a"b']}, "rules[0]: name 'a\"b': lower case letters"),
        ({"policies": ["lan -> wan"]}, "policies[0]: it is FROM -> TO accept|drop|reject"),
        (
            {"policies": ["lan -> wan accept", "lan->wan drop"]},
            "policies[1]: the policy lan -> wan is that of policies[0]",
        ),
        ({"policies": ["lan -> attic drop"]}, "policies[0]: there is no zone 'attic'"),
        ({"sets": ["office"]}, "sets[0]: it is NAME = ADDRESS, …"),
        ({"sets": ["Office = 10.0.0.1"]}, "sets[0]: 'Office' is no set"),
        ({"sets": ["a = 10.0.0.1", "a = 10.0.0.2"]}, "sets[1]: set a is there already"),
        ({"sets": ["a = @b", "b = 10.0.0.2"]}, "sets[0]: there is no set 'b'"),
        ({"forwards": ["tcp 80 10.2.0.9"]}, "forwards[0]: it is tcp|udp PORT[-PORT] -> HOST[:PORT]"),
        ({"forwards": ["icmp 80 -> 10.2.0.9"]}, "forwards[0]: 'icmp' is not tcp or udp"),
        ({"forwards": ["tcp 80-90 -> 10.2.0.9:80"]}, "forwards[0]: a range keeps its ports"),
        ({"forwards": ["tcp 80 -> 10.2.0.0/24"]}, "forwards[0]: '10.2.0.0/24' is not one machine"),
        ({"forwards": ["tcp 80 -> @office"]}, "forwards[0]: '@office' is not one machine"),
        ({"forwards": ["tcp 80 -> 10.2.0.9 at wan"]}, "forwards[0]: 'at' is not understood; expected on, from"),
        ({"forwards": ["tcp 80 -> 10.2.0.9 on attic"]}, "forwards[0]: there is no zone 'attic'"),
        ({"forwards": ["tcp 80 -> 10.2.0.9 from fd00::1"]}, "forwards[0]: it can never match"),
        ({"forwards": ["tcp 1-90 -> 10.2.0.9", "tcp 80 -> 10.2.0.8"]}, "forwards[1]: forwards[0] has the port already"),
        ({"snat": ["10.1.0.0/24"]}, "snat[0]: it is SOURCE -> ADDRESS"),
        ({"snat": ["10.1.0.0/24 -> fd00::1"]}, "snat[0]: fd00::1 is IPv6, and what it is for is not"),
        ({"masquerade": ["attic"]}, "masquerade: there is no zone 'attic'"),
        ({"uplink": ["attic"]}, "uplink: there is no zone 'attic'"),
        ({"management": ["lan 22"]}, "management[0]: it is ZONE tcp|udp PORT [from A]"),
        ({"log": ["drop"]}, "log[0]: 'drop' is not one of drops, rejects, connections"),
    ],
)
def test_what_is_refused_is_named(values, problem):
    problems = check(values, PLACE)
    assert len(problems) == 1
    assert problems[0].startswith(problem)


def test_everything_is_told_at_once():
    lines = ["accept lan -> attic", "nonsense", "accept lan -> wan from @ghost"]
    told = check({"rules": lines, "policies": ["x"], "log": ["y"]}, PLACE)
    assert sorted(line.partition(":")[0] for line in told) == [
        "log[0]",
        "policies[0]",
        "rules[0]",
        "rules[1]",
        "rules[2]",
    ]


def test_a_line_about_machines_that_are_not_there_matches_nobody_until_one_is():
    values = {
        "sets": ["pair = web, ghost", "ghosts = ghost"],
        "rules": [
            "accept lan -> wan from ghost name gone",
            "accept lan -> wan from web,ghost name half",
            "accept lan -> wan from @ghosts name haunted",
            "accept lan -> wan from @pair name set",
        ],
        "forwards": ["tcp 80 -> ghost"],
        "management": ["lan tcp 22 from ghost"],
    }
    assert check(values, PLACE) == []
    text = render(values, PLACE)[RULES]
    assert [label for label in ("gone", "half", "haunted", "set") if label in text] == ["half", "set"]
    assert "dport 80" not in text
    ghost = NEIGHBOURS[0].model_copy(update={"name": "ghost", "address": "10.1.0.9"})
    text = render(values, PLACE.model_copy(update={"neighbours": (*NEIGHBOURS, ghost)}))[RULES]
    assert all(label in text for label in ("gone", "half", "haunted", "set"))


def test_without_a_place_lines_are_checked_for_themselves():
    assert check({"rules": ["accept attic -> wan from ghost to fd00::1"]}, None) == []
    assert check({"rules": ["accept attic -> wan from 10.0.0.1 to fd00::1", "accept x -> y from @z"]}, None) != []


@pytest.mark.parametrize("name", ["forwards", "snat", "masquerade", "management"])
def test_a_bridge_has_no_addresses(name):
    line = {"forwards": "tcp 80 -> 10.2.0.9", "snat": "10.0.0.1 -> 10.0.0.2", "masquerade": "machine"}
    problems = check({name: [line.get(name, "machine tcp 22")]}, BRIDGE)
    assert problems == [f"{name}: a bridge has no address of its own"]
    assert check({"rules": ["drop any -> self"]}, BRIDGE) == ["rules[0]: a bridge has no address of its own"]


def test_good_lines_are_taken():
    assert check(VALUES, PLACE) == []
    assert check(BRIDGED, BRIDGE) == []


def test_a_rule_says_what_it_says():
    rule = parse_rule(
        "accept any->self tcp from 10.0.0.0/8 , web sport 1024-65535 port 22,20-21 limit 3/hour burst 9 log name ssh"
    )
    assert (rule.origin, rule.target, rule.match.protocol, rule.name, rule.log) == ("any", "self", 6, "ssh", True)
    assert rule.match.ports == ((20, 22),)
    assert rule.match.sports == ((1024, 65535),)
    assert rule.rate is not None
    assert (rule.rate.count, rule.rate.per, rule.rate.burst) == (3, "hour", 9)


def test_ports_are_put_together():
    assert parse_ports("8000-8010,80,8005-9000,81") == ((80, 81), (8000, 9000))


def test_a_forward_with_an_address_of_ipv6():
    forward = parse_forward("udp 53 -> [fd00:1::9]:5353")
    assert (str(forward.host), forward.port) == ("fd00:1::9/128", 5353)
    assert str(parse_forward("udp 53 -> fd00:1::9").host) == "fd00:1::9/128"


@pytest.mark.parametrize(
    ("hours", "covered", "uncovered"),
    [("08:00-18:00", ["08:00", "17:59"], ["07:59", "18:00"]), ("22:00-06:00", ["22:00", "00:00", "05:59"], ["06:00"])],
)
def test_hours(hours, covered, uncovered):
    times = Times(hours=parse_hours(hours))
    for clock in covered + uncovered:
        assert times.covers(datetime.fromisoformat(f"2026-12-24T{clock}Z")) is (clock in covered)


def test_days_and_an_end():
    assert parse_days("sat-mon,wed") == {6, 0, 1, 3}
    times = Times(parse_until("2026-12-24T18:00+01:00"), days=parse_days("thu"))
    assert times.covers(datetime(2026, 12, 24, 16, 59, tzinfo=UTC))
    assert not times.covers(datetime(2026, 12, 24, 17, 0, tzinfo=UTC))
    assert not times.covers(datetime(2026, 12, 23, 12, 0, tzinfo=UTC))


@pytest.mark.parametrize(("name", "values", "place"), [("router", VALUES, PLACE), ("bridge", BRIDGED, BRIDGE)])
def test_the_text_for_nft(name, values, place):
    """`WEFT_GOLDEN=write` writes it anew, to be read as a diff."""
    text = "".join(render(values, place)[file] for file in (RULES, TAKEOVER))
    golden = GOLDEN / f"firewall-{name}.nft"
    if os.environ.get("WEFT_GOLDEN") == "write":
        golden.write_text(text)
    assert text == golden.read_text()


def test_equal_rules_have_equal_generations():
    again = {**VALUES, "rules": [f" {line} " for line in VALUES["rules"]]}
    assert render(VALUES, PLACE) == render(again, PLACE)
    assert render(VALUES, PLACE) != render({**VALUES, "rules": VALUES["rules"][1:]}, PLACE)


def test_a_listener_filters_nothing():
    listener = BRIDGE.model_copy(update={"stance": Stance.LISTENER})
    assert render(BRIDGED, listener) == {RULES: "", TAKEOVER: ""}


WORDS = st.from_regex(
    r"(accept|drop|any|self|lan|wan|->|tcp|icmp|from|to|port|sport|type|limit|until|hours|days|log|name|80|10[.]0[.]0[.]1"
    r"|=|,|@a|fd00::1|1-5|3/second|2026-01-01T00:00Z|mon)",
    fullmatch=True,
)


@given(
    st.dictionaries(
        st.sampled_from(["rules", "policies", "sets", "forwards", "snat", "masquerade", "uplink", "management", "log"]),
        st.lists(st.text(string.printable, max_size=20) | st.lists(WORDS, max_size=9).map(" ".join), max_size=4),
    )
)
def test_nonsense_is_a_problem_and_no_crash(values):
    for place in (None, PLACE, BRIDGE):
        if not check(values, place) and place is not None:
            render(values, place)
