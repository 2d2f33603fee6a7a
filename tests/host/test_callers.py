"""The set of callers in a real kernel: loaded with the rules, and changed beside them."""

import json
from ipaddress import IPv4Address

import pytest

from weft.host.namespace import Namespace
from weft.host.nft import list_set, load_ruleset
from weft.host.nft_elements import change_elements
from weft.model.errors import Internal
from weft.plan.callers import SET, Caller, GatewayPort, plan_caller_changes
from weft.plan.ruleset import TABLE, RuledNetwork, plan_ruleset

pytestmark = pytest.mark.host

LAN = RuledNetwork("g1", "10.0.0.0/24", "10.0.0.1")
FIRST, SECOND = (Caller("g1", IPv4Address(f"10.0.0.{host}"), GatewayPort.TREE) for host in (2, 3))


async def listed(namespace: Namespace) -> list[list[object]]:
    found = json.loads(await list_set(namespace, TABLE, SET))
    elements = next(entry["set"].get("elem", []) for entry in found["nftables"] if "set" in entry)
    return sorted(element["concat"] for element in elements)


async def test_callers_come_and_go_beside_the_rules(namespace: Namespace):
    await load_ruleset(namespace, plan_ruleset([LAN], callers=[FIRST]))
    assert await listed(namespace) == [["g1", "10.0.0.2", 5640]]
    await change_elements(namespace, TABLE, plan_caller_changes({FIRST}, {SECOND}))
    assert await listed(namespace) == [["g1", "10.0.0.3", 5640]]
    with pytest.raises(Internal):
        await change_elements(namespace, TABLE, plan_caller_changes({FIRST}, set()))
    await load_ruleset(namespace, plan_ruleset([LAN]))
    assert await listed(namespace) == []
