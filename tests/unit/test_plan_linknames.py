"""Names of links."""

from itertools import product

from weft.plan.linknames import (
    VOID,
    bridge_name,
    bridge_side_name,
    gateway_bridge_side_name,
    gateway_far_name,
    gateway_name,
    gateway_patch_name,
    patch_name,
    tap_name,
)

LONGEST = 15
"""IFNAMSIZ less the end (linux/if.h)."""


def test_names_are_all_different_and_fit() -> None:
    ports = list(product((1, 11, 9999), (0, 1, 10, 63)))
    of_network = (bridge_name, gateway_name, gateway_far_name, gateway_patch_name, gateway_bridge_side_name)
    names = [VOID, *(name(slot) for name in of_network for slot in (1, 11, 9999))]
    names += [name(slot, nic) for name in (patch_name, bridge_side_name, tap_name) for slot, nic in ports]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= LONGEST
