"""Names of machines, networks, images and inserts, and how a port is named."""

import re
from typing import NamedTuple

from weft.model.errors import Invalid

DEFAULT_ROOM = "default"
"""Where everything is that names no room. It is always there."""
DEFAULT_NETWORK = "default"
"""What a machine gets that names no network; made when the first one needs it."""
DEFAULT_KERNEL = "default"
"""What a machine boots that names no kernel."""
PLAN9, BARE = "plan9", "foreign"
"""Images that need not be there: a Plan 9 kernel without a root of ours, and anything that brings its own kernel."""
_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


GATEWAY = "network"
"""What stands before the colon when a port is a network's gateway. No machine's: a NIC is a number."""


ROOM_MARK = "room"
"""What stands before the colon where a room is meant and a machine could be."""


class PortName(NamedTuple):
    """Where chains are made: one NIC of one machine, or the gateway of a network, which the fabric is."""

    machine: str
    nic: int = 0
    network: str | None = None

    def __str__(self) -> str:
        return f"{self.machine}:{self.nic}" if self.network is None else f"{GATEWAY}:{self.network}"


def parse_name(text: str, what: str = "name") -> str:
    """A DNS label: lower case letters, digits and inner hyphens, at most 63. Raises Invalid otherwise."""
    if not _NAME.fullmatch(text):
        raise Invalid(
            f"{what} {text!r} is not a valid name",
            hint="lower case letters, digits and hyphens, at most 63, starting and ending with a letter or digit",
        )
    return text


def parse_port(text: str) -> PortName:
    """`web` is NIC 0 of machine web, `web:1` its second; `network:lan` is network lan's gateway. Raises Invalid."""
    machine, colon, nic = text.partition(":")
    if machine == GATEWAY and colon and not nic.isdigit():
        return PortName("", network=parse_name(nic, "network"))
    if colon and not re.fullmatch(r"\d{1,2}", nic):
        raise Invalid(f"port {text!r}: the NIC must be a number", hint="write it like web or web:1")
    return PortName(parse_name(machine, "machine"), int(nic) if colon else 0)
