"""Names of links."""

from itertools import product

from weft.plan.linknames import VOID, bridge_name, bridge_side_name, patch_name, tap_name

LONGEST = 15
"""IFNAMSIZ less the end (linux/if.h)."""


def test_names_are_all_different_and_fit() -> None:
    ports = list(product((1, 11, 9999), (0, 1, 10, 63)))
    names = [VOID, *(bridge_name(slot) for slot in (1, 11, 9999))]
    names += [name(slot, nic) for name in (patch_name, bridge_side_name, tap_name) for slot, nic in ports]
    assert len(set(names)) == len(names)
    assert max(map(len, names)) <= LONGEST
