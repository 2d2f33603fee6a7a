"""Names of links in the fabric's namespace.

15 bytes are all the kernel gives a link's name, so names are made of slots: small numbers that a machine or a network
keeps for its life. The owner's full name stands in the link's alias.
"""

VOID = "void0"
"""Frames sent here are gone: some kernels lack the tc action that drops."""


def bridge_name(network_slot: int) -> str:
    """The bridge of a network."""
    return f"n{network_slot}"


def gateway_name(network_slot: int) -> str:
    """The link that has the gateway's address, where the fabric is the gateway."""
    return f"g{network_slot}"


def gateway_far_name(network_slot: int) -> str:
    """The far end of the gateway's link: what a tap is to a machine."""
    return f"gt{network_slot}"


def gateway_patch_name(network_slot: int) -> str:
    """The end of a gateway's port that faces the chain."""
    return f"gp{network_slot}"


def gateway_bridge_side_name(network_slot: int) -> str:
    """The end of a gateway's port that stays in the network's bridge for ever."""
    return f"gb{network_slot}"


def relay_name(network_slot: int, block: int) -> str:
    """The link that copies of what a gateway sends leave a room by, for that with user ids of this block."""
    return f"s{network_slot}.{block}"


def relay_end_name(network_slot: int) -> str:
    """Where they come into the other room."""
    return f"s{network_slot}"


def patch_name(machine_slot: int, nic: int) -> str:
    """The end of a port that faces the chain; its filters lead to the first insert or to the tap."""
    return f"p{machine_slot}.{nic}"


def bridge_side_name(machine_slot: int, nic: int) -> str:
    """The end of a port that stays in the network's bridge for ever."""
    return f"b{machine_slot}.{nic}"


def spare_tap_name(machine_slot: int, nic: int) -> str:
    """A tap like that of one NIC of a machine, for a QEMU that never runs."""
    return f"q{machine_slot}.{nic}"


def held_tap_name(machine_slot: int, nic: int) -> str:
    """Where frames to one NIC of a machine wait while it stands still."""
    return f"h{machine_slot}.{nic}"


def tap_name(machine_slot: int, nic: int) -> str:
    """The tap of one NIC of a machine."""
    return f"t{machine_slot}.{nic}"
