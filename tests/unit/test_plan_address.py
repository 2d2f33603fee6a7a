"""Subnets and addresses."""

from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.errors import Exists, Invalid, NoRoom
from weft.plan.address import (
    POOL,
    Addresses,
    AddressRange,
    check_subnet6,
    gateway_of,
    plan_addresses,
    plan_subnet,
)

TINY = AddressRange("tiny", IPv4Network("10.0.0.0/29"))
BOTH = AddressRange("lan", IPv4Network("10.0.0.0/26"), IPv6Network("fd00:1::/64"))
ANY = Addresses()


def owned(*addresses: str) -> dict[IPv4Address | IPv6Address, str]:
    return {(IPv6Address if ":" in text else IPv4Address)(text): "db" for text in addresses}


def test_networks_that_name_no_subnet_get_one_after_the_other() -> None:
    taken: list[IPv4Network] = []
    for _ in range(3):
        taken.append(plan_subnet(None, taken))
    assert [str(subnet) for subnet in taken] == ["10.87.0.0/24", "10.87.1.0/24", "10.87.2.0/24"]
    assert plan_subnet(None, [taken[0], taken[2]]) == taken[1]


def test_a_subnet_that_was_named_keeps_others_of_the_pool_away() -> None:
    assert plan_subnet(None, [IPv4Network("10.87.0.0/23")]) == IPv4Network("10.87.2.0/24")


def test_what_was_asked_for_is_given_unless_it_overlaps() -> None:
    wanted = IPv4Network("192.168.1.0/24")
    assert plan_subnet(wanted, [IPv4Network("192.168.2.0/24")]) == wanted
    for other in ("192.168.0.0/16", "192.168.1.0/24", "192.168.1.128/29"):
        with pytest.raises(Invalid, match=f"overlaps with {other}"):
            plan_subnet(wanted, [IPv4Network(other)])


def test_a_pool_can_be_used_up() -> None:
    with pytest.raises(NoRoom, match="no free subnet"):
        plan_subnet(None, [POOL])


def test_a_range_of_ipv6_is_its_networks_own_and_has_room_for_all_its_machines() -> None:
    check_subnet6(IPv6Network("fd00:1::/120"), IPv4Network("10.0.0.0/24"), [IPv6Network("fd00:2::/64")])
    with pytest.raises(Invalid, match="overlaps with fd00:1::/64"):
        check_subnet6(IPv6Network("fd00:1::/120"), IPv4Network("10.0.0.0/24"), [IPv6Network("fd00:1::/64")])
    with pytest.raises(Invalid, match=r"fewer addresses than 10\.0\.0\.0/16"):
        check_subnet6(IPv6Network("fd00:1::/120"), IPv4Network("10.0.0.0/16"), [])


def test_addresses_are_given_from_below_and_given_again() -> None:
    assert gateway_of(TINY.subnet) == IPv4Address("10.0.0.1")
    got = plan_addresses(TINY, ANY, owned("10.0.0.2", "10.0.0.4"))
    assert got == Addresses(IPv4Address("10.0.0.3"))


def test_an_address_of_ipv6_has_the_same_number() -> None:
    wanted = Addresses(IPv4Address("10.0.0.20"))
    assert str(plan_addresses(BOTH, wanted, {}).address6) == "fd00:1::14"
    # One whose number is not free is passed over, as long as it may be any.
    assert str(plan_addresses(BOTH, ANY, owned("fd00:1::2")).address) == "10.0.0.3"
    with pytest.raises(Exists, match=r"fd00:1::14 of network 'lan' is that of machine 'db'"):
        plan_addresses(BOTH, wanted, owned("fd00:1::14"))
    own = Addresses(IPv4Address("10.0.0.20"), IPv6Address("fd00:1::cafe"))
    assert plan_addresses(BOTH, own, owned("fd00:1::14")) == own


def test_a_subnet_can_be_full() -> None:
    hosts = list(TINY.subnet.hosts())
    assert plan_addresses(TINY, ANY, dict.fromkeys(hosts[:-1], "db")).address == hosts[-1]
    with pytest.raises(NoRoom, match=r"10\.0\.0\.0/29 has no free address"):
        plan_addresses(TINY, ANY, dict.fromkeys(hosts, "db"))


def test_a_gateway_has_the_first_address_whenever_it_comes() -> None:
    everybody = dict.fromkeys(BOTH.subnet.hosts(), "db")
    due = Addresses(IPv4Address("10.0.0.1"), IPv6Address("fd00:1::1"))
    assert plan_addresses(BOTH, ANY, {k: v for k, v in everybody.items() if k != due.address}, is_gateway=True) == due
    assert plan_addresses(BOTH, due, {}, is_gateway=True) == due
    with pytest.raises(Invalid, match=r"10\.0\.0\.7: the gateway of network 'lan' has 10\.0\.0\.1"):
        plan_addresses(BOTH, Addresses(IPv4Address("10.0.0.7")), {}, is_gateway=True)


@pytest.mark.parametrize(
    ("wanted", "error", "why"),
    [
        ("10.0.1.9", Invalid, r"outside 10\.0\.0\.0/26 of network 'lan'"),
        ("10.0.0.1", Invalid, r"is the gateway's of network 'lan'"),
        ("10.0.0.0", Invalid, r"stands for network 'lan' as a whole"),
        ("10.0.0.63", Invalid, r"stands for network 'lan' as a whole"),
        ("10.0.0.9", Exists, r"of network 'lan' is that of machine 'db'"),
        ("fd00:2::9", Invalid, r"outside fd00:1::/64 of network 'lan'"),
        ("fd00:1::1", Invalid, r"is the gateway's of network 'lan'"),
        ("fd00:1::", Invalid, r"stands for network 'lan' as a whole"),
        ("fd00:1::9", Exists, r"of network 'lan' is that of machine 'db'"),
    ],
)
def test_an_address_that_a_machine_cannot_have_is_refused(wanted: str, error: type[Exception], why: str) -> None:
    asked = Addresses(address6=IPv6Address(wanted)) if ":" in wanted else Addresses(IPv4Address(wanted))
    with pytest.raises(error, match=why):
        plan_addresses(BOTH, asked, owned("10.0.0.9", "fd00:1::9"))


def test_a_network_without_ipv6_gives_none() -> None:
    with pytest.raises(Invalid, match="network 'tiny' has no range of IPv6"):
        plan_addresses(TINY, Addresses(address6=IPv6Address("fd00:1::9")), {})


@given(st.sets(st.sampled_from([*BOTH.subnet.hosts(), *(BOTH.subnet6[n] for n in range(2, 62))]), max_size=60))  # type: ignore[index]
def test_addresses_are_free_and_fit_for_a_machine(taken: set[IPv4Address | IPv6Address]) -> None:
    try:
        got = plan_addresses(BOTH, ANY, dict.fromkeys(taken, "db"))
    except NoRoom:
        return
    assert got.address is not None and got.address6 is not None and not {got.address, got.address6} & taken
    assert got.address in set(BOTH.subnet.hosts()) - {gateway_of(BOTH.subnet)}
    assert int(got.address6) - int(BOTH.subnet6.network_address) == int(got.address) - int(  # type: ignore[union-attr]
        BOTH.subnet.network_address
    )
