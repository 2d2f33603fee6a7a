"""Pins: the table as text, what each port may send by it, and when somebody is told. `WEFT_GOLDEN=write` writes the
table anew; what a kernel makes of it is in tests/host/test_pins.py."""

import json
import os
import re
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from weft.model.elements import ElementChanges, SetElement
from weft.plan.forgeries import QUIET, Ledger, describe
from weft.plan.pin_elements import Mac, Stand
from weft.plan.pin_table import SETS, Forgery, plan_table
from weft.plan.pins import (
    LINK_LOCAL,
    PinnedPort,
    find_own_addresses,
    parse_forged,
    plan_elements,
    plan_pin_changes,
    plan_pins,
)

GOLDEN = Path(__file__).parent / "golden" / "pins.nft"
MAC, OTHER = "52:57:00:00:00:01", "52:57:00:00:00:02"
LAN6 = IPv6Network("fd00::/64")
WEB = PinnedPort("b1.0", MAC, (IPv4Address("10.0.0.2"), IPv6Address("fd00::2"), *find_own_addresses(MAC, LAN6)))
FW = PinnedPort("b2.0", OTHER, (IPv4Address("10.0.0.1"),), Stand.ROUTER, (IPv4Network("10.0.0.0/24"), LAN6, LINK_LOCAL))
WAN = PinnedPort("b2.1", OTHER, (IPv4Address("10.1.0.2"),), Stand.MACHINE, (IPv4Network("10.0.0.0/24"), LAN6))
FREE = PinnedPort("b3.0", "52:57:00:00:00:03", stand=Stand.FREE)

macs = st.integers(0, (1 << 46) - 1).map(lambda number: (number << 2 | 2).to_bytes(6, "big")[::-1].hex(":"))
ports = st.builds(
    PinnedPort,
    link=st.integers(1, 9).map(lambda slot: f"b{slot}.0"),
    mac=macs,
    addresses=st.lists(st.ip_addresses(), max_size=4, unique=True).map(tuple),
    stand=st.sampled_from(Stand),
    ranges=st.just((IPv4Network("10.0.0.0/24"), LAN6)),
)
worlds = st.lists(ports, max_size=6).map(lambda all_: {port.link: port for port in all_})


def read_elements(world: dict[str, PinnedPort]) -> set[SetElement]:
    """The elements of the whole table, as the kernel would have them."""
    return set(plan_pin_changes({}, world).come)


def carry_out(changes: ElementChanges, before: set[SetElement]) -> set[SetElement]:
    """The elements that a kernel would have after some changes; it refuses one that is there, or that is not."""
    gone, come = set(changes.gone), set(changes.come)
    assert (len(gone), len(come)) == (len(changes.gone), len(changes.come))
    assert gone <= before and not come & (before - gone)
    return before - gone | come


def test_the_whole_table() -> None:
    text = plan_pins([WEB, FW, WAN, FREE])
    if os.environ.get("WEFT_GOLDEN") == "write":
        GOLDEN.write_text(text)
    assert text == GOLDEN.read_text()


def test_every_chain_and_set_that_is_named_is_there() -> None:
    table = plan_table()
    chains = set(re.findall(r"chain (\w+) \{", table))
    assert set(re.findall(r"(?:goto|jump) (\w+)", table)) <= chains
    assert {Stand.MACHINE, Stand.ROUTER} <= chains
    assert set(re.findall(r"@([a-z]\w+)\b(?!,)", table)) == set(re.findall(r"(?:set|map) (\w+) \{", SETS))
    for port in (WEB, FW, WAN, FREE):
        assert set(plan_elements(port)) <= set(re.findall(r"(?:set|map) (\w+) \{", SETS))


def test_what_a_host_calls_itself() -> None:
    local, made = find_own_addresses("52:57:00:00:00:01", LAN6)
    assert (str(local), str(made)) == ("fe80::5057:ff:fe00:1", "fd00::5057:ff:fe00:1")
    assert find_own_addresses(MAC, IPv6Network("fd00::/80")) == find_own_addresses(MAC, None) == (local,)


@given(worlds, worlds)
def test_changes_lead_from_what_is_there_to_what_is_wanted(before: dict[str, PinnedPort], after: dict[str, PinnedPort]):
    assert carry_out(plan_pin_changes(before, after), read_elements(before)) == read_elements(after)
    assert not plan_pin_changes(after, after)


@given(worlds)
def test_nobody_may_use_what_is_another_ports(world: dict[str, PinnedPort]) -> None:
    for port in world.values():
        for name, elements in plan_elements(port).items():
            assert all(element.link == port.link for element in elements), name
            assert all(element.text.startswith(f'"{port.link}" ') for element in elements), name
            assert all(element.pack(name).key.startswith(port.link.encode() + b"\0") for element in elements), name
        if port.stand is not Stand.FREE:
            assert [element.value for element in plan_elements(port)["stations"]] == [Mac(port.mac)]


def test_a_machine_that_comes_is_told_of_alone() -> None:
    changes = plan_pin_changes({"b2.0": FW}, {"b2.0": FW, "b1.0": WEB})
    assert not changes.gone and all(element.key.startswith(b"b1.0\0") for element in changes.come)


def test_counters_as_nft_lists_them() -> None:
    element = {"elem": {"val": {"concat": ["b1.0", 2]}, "counter": {"packets": 3, "bytes": 180}}}
    silent = {"elem": {"val": {"concat": ["b2.0", 1]}, "counter": {"packets": 0, "bytes": 0}}}
    listed = {"nftables": [{"metainfo": {"version": "1"}}, {"set": {"name": "forged", "elem": [element, silent]}}]}
    assert parse_forged(json.dumps(listed)) == {"b1.0": {Forgery.ARP: 3}}
    assert parse_forged(json.dumps({"nftables": [{"set": {"name": "forged"}}]})) == parse_forged("") == {}


def test_a_port_is_told_of_at_once_and_then_not_for_a_while() -> None:
    ledger = Ledger()
    one, more = {"b1.0": {Forgery.MAC: 1}}, {"b1.0": {Forgery.MAC: 4, Forgery.ARP: 2}}
    assert ledger.take({}, 100.0) == {}
    assert ledger.take(one, 110.0) == one
    assert ledger.take(more, 120.0) == {}
    assert ledger.take({**more, "b2.0": {Forgery.FRAME: 1}}, 130.0) == {"b2.0": {Forgery.FRAME: 1}}
    news = ledger.take(more, 110.0 + QUIET)
    assert news == {"b1.0": {Forgery.MAC: 3, Forgery.ARP: 2}}
    assert describe(news["b1.0"]) == "5 frames that were not its own (3 mac, 2 arp)"
    assert ledger.take(more, 1000.0) == {}


def test_counters_that_begin_anew_are_told_of_from_nothing() -> None:
    ledger = Ledger()
    ledger.take({"b1.0": {Forgery.MAC: 9}}, 0.0)
    assert ledger.take({"b1.0": {Forgery.MAC: 2}}, QUIET) == {"b1.0": {Forgery.MAC: 2}}
    assert describe({Forgery.ADDRESS: 1}) == "1 frame that was not its own (1 address)"
