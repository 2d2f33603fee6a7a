"""Who may call what is served at a network's gateway beside names: elements of a set that the ruleset looks into.

A caller is known by the link it comes through and its address there, to which its port is held.
"""

import struct
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address

from weft.model.elements import ElementChanges, SetElement

SET = "callers"
NOBODY = IPv4Address(0)
"""The address of who has none yet."""
EVERYBODY = IPv4Address("255.255.255.255")
"""Whom it asks."""
_NAME_BYTES = 16


class GatewayPort(IntEnum):
    """The ports of a gateway at which not everybody is heard; TCP or UDP, as what is served there is."""

    DHCP = 67
    """What is told to who boots from the network, or brings a system of its own. It is asked before there is an
    address, too."""
    TFTP = 69
    HTTP = 80
    """What who boots from the network loads."""
    ROOT = 564
    """The root of a machine that has no disk: 9P's own number."""
    TREE = 5640
    """The fabric as files."""

    def addresses(self, own: IPv4Address) -> tuple[IPv4Address, ...]:
        """The addresses from which one asks whose own is `own`."""
        return (NOBODY, own) if self is GatewayPort.DHCP else (own,)


@dataclass(frozen=True, slots=True, order=True)
class Caller:
    """Somebody behind the link of a gateway, and where it is heard."""

    link: str
    address: IPv4Address
    port: GatewayPort

    @property
    def text(self) -> str:
        """As nft reads it."""
        return f'"{self.link}" . {self.address} . {self.port:d}'

    def pack(self) -> SetElement:
        """As the kernel has it: each field of the key fills whole words."""
        link, port = self.link.encode().ljust(_NAME_BYTES, b"\0"), struct.pack("!HH", self.port, 0)
        return SetElement(SET, link + self.address.packed + port)


def plan_caller_set(callers: Iterable[Caller]) -> str:
    """The set as it stands in the ruleset."""
    listed = ", ".join(caller.text for caller in sorted(callers))
    elements = f" elements = {{ {listed} }};" if listed else ""
    return f"set {SET} {{ type ifname . ipv4_addr . inet_service;{elements} }}"


def plan_caller_rule(link: str, gateway: str) -> str:
    """What lets callers in from one network, to the address of its own gateway or to whoever is there."""
    here = f'iifname "{link}" ip daddr {{ {gateway}, {EVERYBODY} }}'
    return f"{here} meta l4proto {{ tcp, udp }} iifname . ip saddr . th dport @{SET} accept"


def plan_caller_changes(before: Collection[Caller], after: Collection[Caller]) -> ElementChanges:
    """What leads from one set to the other."""
    gone, come = set(before) - set(after), set(after) - set(before)
    return ElementChanges(
        tuple(caller.pack() for caller in sorted(gone)), tuple(caller.pack() for caller in sorted(come))
    )
