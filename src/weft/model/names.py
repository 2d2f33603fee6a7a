"""Names of machines, networks, images and inserts, and how a port is named."""

import re
from typing import NamedTuple

from weft.model.errors import Invalid

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")


class PortName(NamedTuple):
    """One NIC of one machine: where chains are made."""

    machine: str
    nic: int = 0

    def __str__(self) -> str:
        return f"{self.machine}:{self.nic}"


def parse_name(text: str, what: str = "name") -> str:
    """A DNS label: lower case letters, digits and inner hyphens, at most 63. Raises Invalid otherwise."""
    if not _NAME.fullmatch(text):
        raise Invalid(
            f"{what} {text!r} is not a valid name",
            hint="lower case letters, digits and hyphens, at most 63, starting and ending with a letter or digit",
        )
    return text


def parse_port(text: str) -> PortName:
    """`web` is NIC 0 of machine web, `web:1` its second. Raises Invalid."""
    machine, colon, nic = text.partition(":")
    if colon and not re.fullmatch(r"\d{1,2}", nic):
        raise Invalid(f"port {text!r}: the NIC must be a number", hint="write it like web or web:1")
    return PortName(parse_name(machine, "machine"), int(nic) if colon else 0)
