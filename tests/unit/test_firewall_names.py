"""Leases, names and router advertisements of the firewall: what is refused, and what the server is told."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.firewall_places import BRIDGE, NEIGHBOURS, ROUTER

from weft.firewall.names import CONF, HOSTS, LEASES, SERVERS, check, render, services

RANGE = "lan 10.1.0.100-10.1.0.200 12h"
LEASE = "52:57:00:00:00:09 10.1.0.9 printer"


@pytest.mark.parametrize(
    ("values", "problem"),
    [
        ({"dhcp": ["lan"]}, "dhcp[0]: it is ZONE FIRST-LAST [TIME], like lan 10.1.0.100-10.1.0.200 12h"),
        ({"dhcp": ["lan 10.1.0.9"]}, "dhcp[0]: '10.1.0.9' is no range like 10.1.0.100-10.1.0.200"),
        ({"dhcp": ["lan 10.1.0.9-10.1.0.4"]}, "dhcp[0]: 10.1.0.9 is behind 10.1.0.4"),
        ({"dhcp": ["lan static soon"]}, "dhcp[0]: 'soon' is no lease time like 30m, 12h, 7d or infinite"),
        ({"dhcp": ["", "attic 10.1.0.9-10.1.0.10"]}, "dhcp[1]: there is no zone 'attic'"),
        ({"dhcp": ["lan 10.2.0.9-10.2.0.10"]}, "dhcp[0]: 10.2.0.9-10.2.0.10 is not within 10.1.0.0/24, zone lan"),
        ({"dhcp": ["lan 10.1.0.1-10.1.0.10"]}, "dhcp[0]: the firewall's own address 10.1.0.1 is in it"),
        ({"dhcp": ["lan 10.1.0.200-10.1.0.255"]}, "dhcp[0]: everybody's address 10.1.0.255 is in it"),
        ({"dhcp": [RANGE, "lan 10.1.0.150-10.1.0.220"]}, "dhcp[1]: 10.1.0.150-10.1.0.220 overlaps with dhcp[0]"),
        (
            {"dhcp": ["wan 10.0.0.9-10.0.0.10"]},
            "dhcp[0]: wan leads to the outside, whose addresses are not this one's to give",
        ),
        ({"leases": [LEASE]}, "leases[0]: 10.1.0.9 is in no zone with dhcp"),
        ({"dhcp": [RANGE], "leases": ["10.1.0.9 x"]}, "leases[0]: '10.1.0.9' is no hardware address"),
        (
            {"dhcp": [RANGE], "leases": [LEASE, "52:57:00:00:00:0a 10.1.0.9"]},
            "leases[1]: address 10.1.0.9 is that of leases[0]",
        ),
        ({"ra": ["dmz"]}, "ra[0]: zone dmz has no IPv6 addresses"),
        ({"ra": ["attic"]}, "ra[0]: there is no zone 'attic'"),
        ({"dns.zones": ["attic"]}, "dns.zones[0]: there is no zone 'attic'"),
        ({"dns.forward": ["quad nine"]}, "dns.forward[0]: 'nine' does not appear to be an IPv4 or IPv6 address"),
        ({"dns.forward": ["9.9.9.9 port 70000"]}, "dns.forward[0]: '70000' is no port"),
        ({"dns.hosts": ["10.1.0.9"]}, "dns.hosts[0]: it is ADDRESS NAME…, like 10.1.0.9 printer"),
        ({"dns.block": ["ads..example"]}, "dns.block[0]: 'ads..example' is no name"),
        ({"dns.domain": "no domain"}, "dns.domain: 'no domain' is no name"),
    ],
)
def test_what_is_refused_is_named(values, problem):
    assert check(values, ROUTER) == [problem]


def test_without_a_place_lines_are_checked_for_themselves():
    assert check({"dhcp": ["attic 1.2.3.4-1.2.3.9"], "ra": ["attic"]}, None) == []
    assert check({"dhcp": ["attic"], "dns.hosts": ["x"]}, None) != []


def test_addresses_of_the_rooms_machines_are_given_to_nobody_else():
    place = ROUTER.model_copy(update={"neighbours": NEIGHBOURS})
    values = {"dhcp": [RANGE]}
    assert check(values, place) == []
    assert render(values, place)[LEASES] == "52:57:00:00:00:07,10.1.0.120\n"
    assert render({"dhcp": ["dmz static"]}, place)[LEASES] == ""


def test_a_fixed_lease_comes_before_what_a_machine_has():
    place = ROUTER.model_copy(update={"neighbours": NEIGHBOURS})
    another = render({"dhcp": [RANGE], "leases": ["52:57:00:00:00:07 10.1.0.9"]}, place)[LEASES]
    assert another.splitlines() == ["52:57:00:00:00:07,10.1.0.9", "id:weft-web,10.1.0.120"]
    taken = render({"dhcp": [RANGE], "leases": ["52:57:00:00:00:09 10.1.0.120"]}, place)[LEASES]
    assert taken.splitlines() == ["52:57:00:00:00:09,10.1.0.120"]


def test_a_bridge_has_no_addresses_to_give():
    values = {"dhcp": [RANGE], "ra": ["lan"], "dns.zones": ["lan"]}
    assert [problem.partition(":")[0] for problem in check(values, BRIDGE)] == ["dhcp", "ra", "dns.zones"]
    assert set(render({}, BRIDGE).values()) == {""}


def test_names_are_answered_everywhere_but_outside():
    conf = render({}, ROUTER)[CONF].splitlines()
    assert "interface=eth1" in conf
    assert "interface=eth2" in conf
    assert "interface=eth0" not in conf
    assert render({}, ROUTER)[SERVERS] == "server=10.0.0.1\n"
    assert {(s.zone, s.protocol, s.ports) for s in services({}, ROUTER)} == {
        (zone, protocol, (53,)) for zone in ("lan", "dmz") for protocol in ("udp", "tcp")
    }


def test_leases_are_rendered_for_a_server_that_runs():
    values = {"dhcp": [RANGE, "dmz static 1h"], "leases": [LEASE, "52:57:00:00:00:0A 10.2.0.9"]}
    files = render(values, ROUTER)
    assert check(values, ROUTER) == []
    assert "dhcp-range=set:lan,10.1.0.100,10.1.0.200,255.255.255.0,12h" in files[CONF]
    assert "dhcp-range=set:dmz,10.2.0.0,static,255.255.255.0,1h" in files[CONF]
    assert files[LEASES] == "52:57:00:00:00:09,10.1.0.9,printer\n52:57:00:00:00:0a,10.2.0.9\n"
    assert files[HOSTS] == "10.1.0.9 printer printer.lan\n"


def test_a_zone_that_gets_no_answers_is_told_who_gives_them():
    values = {"dhcp": ["dmz 10.2.0.10-10.2.0.20"], "dns.zones": ["lan"]}
    assert "dhcp-option=tag:dmz,option:dns-server,10.0.0.1" in render(values, ROUTER)[CONF]
    assert "port=0" not in render(values, ROUTER)[CONF]


def test_the_rooms_names_do_not_go_to_a_server_outside():
    values = {"dns.forward": ["9.9.9.9", "corp.example 10.3.0.53 port 5353"], "dns.block": ["Ads.Example"]}
    assert render(values, ROUTER)[SERVERS].splitlines() == [
        "server=/corp.example/10.3.0.53#5353",
        "server=9.9.9.9#53",
        "server=//wan/lan/dmz/10.0.0.1",
        "rev-server=10.0.0.0/24,10.0.0.1",
        "rev-server=10.1.0.0/24,10.0.0.1",
        "rev-server=fd00:1::/64,10.0.0.1",
        "rev-server=10.2.0.0/24,10.0.0.1",
        "server=/ads.example/",
    ]


def test_prefixes_are_advertised():
    values = {"ra": ["lan"]}
    assert check(values, ROUTER) == []
    conf = render(values, ROUTER)[CONF]
    assert "enable-ra\ndhcp-range=fd00:1::,ra-stateless,64\n" in conf
    assert ("lan", "icmpv6", (133,)) in {(s.zone, s.protocol, s.ports) for s in services(values, ROUTER)}


@given(st.dictionaries(st.sampled_from(["dhcp", "leases", "dns.hosts", "dns.forward", "ra"]), st.lists(st.text())))
def test_nonsense_is_a_problem_and_no_crash(values):
    for place in (None, ROUTER, BRIDGE):
        check(values, place)
