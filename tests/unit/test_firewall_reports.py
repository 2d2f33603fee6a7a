"""What programs in a firewall print: samples of real ones, and anything else."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.firewall_places import ROUTER

from weft.firewall.clients import view_peers
from weft.firewall.counters import Count, list_rules, parse_counters
from weft.firewall.reports import parse_connections, parse_leases, parse_log_line, parse_peers, parse_uptime

KEY = "fDpswPKKm7Vais3e8tBJasW8t/uMlp8sCt/xQgFYvnY="
CONNECTIONS = """\
tcp      6 431999 ESTABLISHED src=10.1.0.2 dst=10.0.0.3 sport=40417 dport=80 packets=5 bytes=300 \
src=10.0.0.3 dst=10.0.0.2 sport=80 dport=61000 packets=4 bytes=900 [ASSURED] mark=7 use=1
udp      17 29 src=10.1.0.2 dst=10.1.0.1 sport=40417 dport=53 packets=2 bytes=106 [UNREPLIED] \
src=10.1.0.1 dst=10.1.0.2 sport=53 dport=40417 packets=0 bytes=0 mark=0 use=1
icmpv6   58 29 src=fd00:1::2 dst=fd00:1::1 type=128 code=0 id=99 src=fd00:1::1 dst=fd00:1::2 type=129 code=0 id=99 \
mark=0 use=1
tcp      6 100 SYN_SENT src=fd00:1::2 dst=fd00:9::1 sport=1 dport=443 \
src=fd00:2::7 dst=fd00:1::2 sport=8443 dport=1 use=1
conntrack v1.4.7 (conntrack-tools): 4 flow entries have been shown.
"""
DROPPED = (
    "<4>[  495.597985] weft:drop:rules[3] IN=eth1 OUT=eth0 MAC=52:57:be:48:da:6e:52:57:86:9a:3b:12:08:00 SRC=10.1.0.2 "
    "DST=10.0.0.3 LEN=60 TOS=0x00 PREC=0x00 TTL=64 ID=262 DF PROTO=TCP SPT=42306 DPT=9999 WINDOW=64240 RES=0x00 SYN "
)
ACCEPTED = (
    "4,179,496702840,-;weft:accept:policy lan -> self IN=eth1 OUT= MAC= SRC=10.1.0.2 DST=10.1.0.1 LEN=53 TOS=0x00 "
    "PREC=0x00 TTL=64 ID=43723 DF PROTO=UDP SPT=40417 DPT=53 LEN=33 "
)


def rule(comment: str | None, *parts: object, table: str = "weft") -> dict[str, object]:
    found = {"family": "inet", "table": table, "chain": "c", "handle": 1, "expr": list(parts)}
    return {"rule": found | ({"comment": comment} if comment else {})}


def counter(packets: int, size: int) -> dict[str, object]:
    return {"counter": {"packets": packets, "bytes": size}}


RULESET = json.dumps(
    {
        "nftables": [
            {"metainfo": {"version": "1.0.6"}},
            {"table": {"family": "inet", "name": "weft", "handle": 1}},
            {"counter": {"family": "inet", "name": "web", "table": "weft", "packets": 3, "bytes": 166}},
            rule(None, counter(9, 9)),
            rule("policy lan -> wan", {"match": {}}, counter(2, 106), {"accept": None}),
            rule("rules[0] web", {"counter": "web"}, {"accept": None}),
            rule("rules[1]", {"match": {}}, counter(1, 60), {"drop": None}),
            rule("rules[1]", {"match": {}}, counter(2, 40), {"drop": None}),
            rule("rules[2]", {"drop": None}),
            rule("forwards[0]", counter(4, 240), {"accept": None}),
            rule("forwards[0]", counter(4, 240), {"dnat": {}}),
            rule("masquerade", counter(5, 300), {"masquerade": None}),
            rule("rules[0]", counter(100, 100), table="another"),
        ]
    }
)


def test_rules_are_in_the_order_of_the_settings() -> None:
    values = {"rules": ["accept lan -> wan name web", "", "drop any -> any"], "policies": ["lan -> dmz drop"]}
    counts = parse_counters(RULESET)
    assert counts == {
        "policy lan -> wan": Count(2, 106),
        "rules[0]": Count(3, 166),
        "rules[1]": Count(3, 100),
        "forwards[0]": Count(4, 240),
        "masquerade": Count(5, 300),
    }
    assert [(view.rule, view.text, view.packets, view.bytes) for view in list_rules(values, counts)] == [
        ("rules[0]", "accept lan -> wan name web", 3, 166),
        ("rules[2]", "drop any -> any", None, None),
        ("policies[0]", "lan -> dmz drop", None, None),
        ("policy lan -> wan", "", 2, 106),
        ("rules[1]", "", 3, 100),
        ("forwards[0]", "", 4, 240),
        ("masquerade", "", 5, 300),
    ]


def test_a_tunnels_peers_are_those_that_are_set() -> None:
    known = view_peers({"wireguard.peers": [f"road {KEY} 10.99.0.2 endpoint vpn.example:1"]})
    dump = f"private\tpublic\t51820\toff\n{KEY}\t(none)\t10.0.0.3:51820\t10.99.0.2/32\t1796006363\t1700\t880\toff\n"
    (peer,) = parse_peers(dump, known)
    assert (peer.name, peer.endpoint, peer.handshake) == ("road", "10.0.0.3:51820", 1796006363)
    assert (peer.received, peer.sent, peer.networks) == (1700, 880, ["10.99.0.2/32"])
    (quiet,) = parse_peers(f"x\n{KEY}\t(none)\t(none)\t10.99.0.2/32\t0\t0\t0\toff\n", known)
    assert (quiet.endpoint, quiet.handshake) == ("vpn.example:1", None)
    assert parse_peers("x\nstranger\t(none)\t(none)\t(none)\t0\t0\t0\toff\n", known) == list(known.values())


def test_a_lease_says_whose_and_until_when() -> None:
    text = (
        "1796006363 52:57:00:00:00:bb 10.1.0.105 toaster 01:52:57:00:00:00:bb\n"
        "0 52:57:00:00:00:09 10.1.0.9 * *\nduid 00:01:00:01:32:9e:f5:85:26:c3:c3:45:bc:34\n"
    )
    first, second = parse_leases(text, frozenset({"52:57:00:00:00:09"}))
    assert (first.address, first.name, first.expires, first.fixed) == ("10.1.0.9", None, None, True)
    assert (second.address, second.name, second.expires, second.fixed) == ("10.1.0.105", "toaster", 1796006363, False)


def test_connections_have_both_ends_and_what_they_are_translated_to() -> None:
    tcp, udp, icmp, forward = parse_connections(CONNECTIONS)
    assert (tcp.protocol, tcp.state, tcp.timeout, tcp.answered) == ("tcp", "ESTABLISHED", 431999, True)
    assert (tcp.source, tcp.sport, tcp.destination, tcp.dport) == ("10.1.0.2", 40417, "10.0.0.3", 80)
    assert (tcp.translated_source, tcp.translated_destination) == ("10.0.0.2:61000", None)
    assert (tcp.packets, tcp.bytes) == (9, 1200)
    assert (udp.state, udp.answered, udp.translated_source) == (None, False, None)
    assert (icmp.sport, icmp.dport, icmp.packets, icmp.translated_source) == (None, None, None, None)
    assert (forward.state, forward.translated_destination) == ("SYN_SENT", "[fd00:2::7]:8443")


def test_lines_of_the_log_have_times_zones_and_the_rule() -> None:
    dropped, accepted = (parse_log_line(line, 1000.0, ROUTER) for line in (DROPPED, ACCEPTED))
    assert dropped is not None and accepted is not None
    assert (dropped.action, dropped.rule, dropped.zone_in, dropped.zone_out) == ("drop", "rules[3]", "lan", "wan")
    assert (dropped.protocol, dropped.sport, dropped.dport) == ("tcp", 42306, 9999)
    assert [round(view.time, 3) for view in (dropped, accepted)] == [1495.598, 1496.703]
    assert (accepted.action, accepted.rule, accepted.zone_out) == ("accept", "policy lan -> self", None)
    assert (accepted.length, accepted.source) == (53, "10.1.0.2")


@pytest.mark.parametrize(
    "line", ["", "<6>[    0.1] weft: no rule", "weft:drop:x IN= OUT=", "4,1,x,-;weft:drop:x IN= OUT="]
)
def test_what_else_is_in_the_log_is_passed_over(line: str) -> None:
    assert parse_log_line(line, 0.0, ROUTER) is None


def test_uptime() -> None:
    assert parse_uptime("58.37 48.81\n") == 58.37
    assert [parse_uptime(text) for text in ("", "nan 1", "1e400 2")] == [0.0] * 3


@given(st.text(st.sampled_from(list('abc=[]:. 0129\n\t"{},srcdst'))), st.text())
def test_nonsense_is_no_crash(one: str, other: str) -> None:
    for text in (one, other, CONNECTIONS.replace("10.", one or "x"), ACCEPTED.replace("=", other)):
        parse_connections(text)
        parse_leases(text, frozenset())
        parse_peers(text, {})
        parse_uptime(text)
        for line in text.splitlines():
            parse_log_line(line, 0.0, ROUTER)


_KEYS = st.sampled_from(["rule", "counter", "expr", "comment", "table", "name", "packets", "bytes", "x"])
_JSON = st.recursive(st.none() | st.integers() | st.text(), lambda sub: st.lists(sub) | st.dictionaries(_KEYS, sub))


@given(_JSON)
def test_what_is_no_ruleset_is_said_or_empty(value: object) -> None:
    for text in (json.dumps({"nftables": value}), json.dumps(value)):
        try:
            parse_counters(text)
        except ValueError as err:
            assert str(err) == "this is no ruleset"
