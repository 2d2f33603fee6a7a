"""Subnets and addresses."""

from ipaddress import IPv4Address, IPv4Network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.model.errors import Invalid, NoRoom
from weft.plan.address import POOL, gateway_of, plan_address, plan_subnet

TINY = IPv4Network("10.0.0.0/29")


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


def test_addresses_are_given_from_below_and_given_again() -> None:
    taken = [IPv4Address("10.0.0.2"), IPv4Address("10.0.0.4")]
    assert gateway_of(TINY) == IPv4Address("10.0.0.1")
    assert plan_address(TINY, taken) == IPv4Address("10.0.0.3")


def test_a_subnet_can_be_full() -> None:
    hosts = list(TINY.hosts())
    assert plan_address(TINY, hosts[:-1]) == hosts[-1]
    with pytest.raises(NoRoom, match=r"10\.0\.0\.0/29 has no free address"):
        plan_address(TINY, hosts)


@given(st.sets(st.sampled_from(list(IPv4Network("10.0.0.0/26").hosts())), max_size=60))
def test_an_address_is_free_and_fit_for_a_machine(taken: set[IPv4Address]) -> None:
    subnet = IPv4Network("10.0.0.0/26")
    address = plan_address(subnet, taken)
    assert address in subnet and address not in taken
    assert address not in (subnet.network_address, gateway_of(subnet), subnet.broadcast_address)
