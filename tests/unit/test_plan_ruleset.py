"""The rules as text: what they must say, and what they must never say."""

from hypothesis import given
from hypothesis import strategies as st

from weft.plan.ruleset import RuledNetwork, plan_ruleset

LAN = RuledNetwork("g1", "10.0.0.0/24", "10.0.0.1")
DMZ = RuledNetwork("g2", "10.0.1.0/24", "10.0.1.1", uplink=True)


def test_what_has_taken_over_a_gateway_gets_as_far_as_its_machines() -> None:
    taken = RuledNetwork("g2", "10.0.1.0/24", "10.0.1.1", uplink=True, behind="169.254.88.2")
    text = plan_ruleset([taken])
    assert 'iifname "g2" oifname "uplink" ip saddr { 10.0.1.0/24, 169.254.88.2 } accept' in text
    assert 'iifname "g2" ip saddr { 10.0.1.0/24, 169.254.88.2 } ip daddr 10.0.1.1 udp dport 53 accept' in text


def test_the_whole_ruleset():
    assert plan_ruleset([LAN, DMZ]).splitlines() == [
        "add table inet weft",
        "delete table inet weft",
        "table inet weft {",
        "  set callers { type ifname . ipv4_addr . inet_service; }",
        "  chain input {",
        "    type filter hook input priority filter; policy drop;",
        '    iifname "n*" drop',
        "    ct state established,related accept",
        "    ct state invalid drop",
        '    iifname "lo" accept',
        '    iifname "g1" ip saddr 10.0.0.0/24 ip daddr 10.0.0.1 udp dport 53 accept',
        '    iifname "g1" ip saddr 10.0.0.0/24 ip daddr 10.0.0.1 tcp dport 53 accept',
        '    iifname "g1" ip saddr 10.0.0.0/24 ip daddr { 10.0.0.1, 169.254.87.1 } icmp type echo-request accept',
        '    iifname "g1" ip saddr 10.0.0.0/24 ip daddr 10.0.0.1 tcp dport { 567, 5356 } accept',
        '    iifname "g1" ip daddr { 10.0.0.1, 255.255.255.255 } meta l4proto { tcp, udp } '
        "iifname . ip saddr . th dport @callers accept",
        '    iifname "g2" ip saddr 10.0.1.0/24 ip daddr 10.0.1.1 udp dport 53 accept',
        '    iifname "g2" ip saddr 10.0.1.0/24 ip daddr 10.0.1.1 tcp dport 53 accept',
        '    iifname "g2" ip saddr 10.0.1.0/24 ip daddr { 10.0.1.1, 169.254.87.1 } icmp type echo-request accept',
        '    iifname "g2" ip saddr 10.0.1.0/24 ip daddr 10.0.1.1 tcp dport { 567, 5356 } accept',
        '    iifname "g2" ip daddr { 10.0.1.1, 255.255.255.255 } meta l4proto { tcp, udp } '
        "iifname . ip saddr . th dport @callers accept",
        "  }",
        "  chain forward {",
        "    type filter hook forward priority filter; policy drop;",
        '    iifname "n*" drop',
        "    ct state established,related accept",
        "    ct state invalid drop",
        '    iifname "g2" oifname "uplink" ip saddr 10.0.1.0/24 accept',
        "  }",
        "  chain prerouting {",
        "    type nat hook prerouting priority dstnat; policy accept;",
        '    iifname "g1" ip daddr 169.254.87.1 meta l4proto { tcp, udp } th dport 53 dnat ip to 10.0.0.1',
        '    iifname "g2" ip daddr 169.254.87.1 meta l4proto { tcp, udp } th dport 53 dnat ip to 10.0.1.1',
        "  }",
        "  chain postrouting {",
        "    type nat hook postrouting priority srcnat; policy accept;",
        '    oifname "uplink" masquerade',
        "  }",
        "}",
    ]


def test_without_an_uplink_nothing_is_forwarded_or_masqueraded():
    rules = plan_ruleset([LAN])
    assert "oifname" not in rules
    assert "masquerade" not in rules


@given(st.lists(st.booleans(), max_size=6))
def test_nothing_is_forwarded_but_out_of_the_uplink(uplinks: list[bool]):
    networks = [RuledNetwork(f"g{i}", f"10.{i}.0.0/24", f"10.{i}.0.1", up) for i, up in enumerate(uplinks)]
    forward = plan_ruleset(networks, "way-out").partition("chain forward")[2].partition("}")[0]
    accepted = [line.strip() for line in forward.splitlines() if "accept" in line and "iifname" in line]
    assert len(accepted) == sum(uplinks)
    assert all('oifname "way-out"' in line for line in accepted)


def test_a_silent_gateway_refuses_nothing():
    quiet = RuledNetwork("g1", "10.0.0.0/24", "10.0.0.1", silent=True)
    other = RuledNetwork("g2", "10.1.0.0/24", "10.1.0.1")
    rules = plan_ruleset([quiet, other])
    assert 'oifname "g1" tcp flags & rst == rst drop' in rules
    assert 'oifname "g1" icmp type destination-unreachable drop' in rules
    assert 'oifname "g2"' not in rules
    assert "hook output" not in plan_ruleset([other])
