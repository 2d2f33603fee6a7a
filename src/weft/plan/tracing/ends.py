"""The two ends of a trace, as they are written."""

import re
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address
from typing import Literal

from weft.model.errors import Invalid
from weft.model.names import GATEWAY, parse_name
from weft.model.network import find_address

Protocol = Literal["tcp", "udp", "icmp"]
Address = IPv4Address | IPv6Address

OUTSIDE = "outside"
"""What is beyond the host, wherever that is."""
_HINT = "write it like web, web:80, web:53/udp, shop:web:80, 10.0.0.2:80, [fd00::2]:80, network:lan or outside"
_ARROW = "->"


@dataclass(frozen=True, slots=True)
class End:
    """One end. Without machine, network and address it is the outside; `port` is then one of the host."""

    room: str | None = None
    machine: str | None = None
    network: str | None = None
    address: Address | None = None
    port: int | None = None
    protocol: Protocol | None = None

    @property
    def is_outside(self) -> bool:
        return self.machine is None and self.network is None and self.address is None


def parse_end(text: str) -> End:
    """`[ROOM:]MACHINE`, `[ROOM:]network:NAME`, `outside`, an address or a port of the host, and what port of it.

    Raises Invalid.
    """
    if text in (_ARROW, "-", ""):
        raise Invalid(
            f"{text!r} is no machine", hint=f"a shell takes '>' for itself: leave the arrow out, or '{_ARROW}'"
        )
    body, slash, protocol = text.partition("/")
    if slash and protocol not in ("tcp", "udp", "icmp"):
        raise Invalid(f"{text!r}: {protocol!r} is none of tcp, udp, icmp", hint=_HINT)
    end = _parse_place(body, text)
    if protocol == "icmp" and end.port is not None:
        raise Invalid(f"{text!r}: icmp has no ports")
    return replace(end, protocol=_choose_protocol(protocol, end.port))


def _choose_protocol(written: str, port: int | None) -> Protocol | None:
    if written == "udp":
        return "udp"
    if written == "icmp":
        return "icmp"
    return "tcp" if written or port is not None else None


def _parse_place(body: str, text: str) -> End:
    if bracketed := re.fullmatch(r"\[([0-9a-fA-F:.]+)\](?::(\d+))?", body):
        return End(address=_parse_address(bracketed[1], text), port=_parse_number(bracketed[2], text))
    if body.count(":") > 1 and (address := find_address(body)):
        return End(address=address)
    if body.isdecimal():
        return End(port=_parse_number(body, text))
    *parts, last = body.split(":")
    if parts and last.isdecimal():
        return replace(_parse_names(parts, text), port=_parse_number(last, text))
    return _parse_names([*parts, last], text)


def _parse_names(parts: list[str], text: str) -> End:
    match parts:
        case [room, kind, name] if kind == GATEWAY:
            return End(room=parse_name(room, "room"), network=parse_name(name, "network"))
        case [kind, name] if kind == GATEWAY:
            return End(network=parse_name(name, "network"))
        case [room, name]:
            return replace(_parse_name(name), room=parse_name(room, "room"))
        case [name]:
            return _parse_name(name)
    raise Invalid(f"{text!r} is no place", hint=_HINT)


def _parse_name(name: str) -> End:
    if name == OUTSIDE:
        return End()
    if address := find_address(name):
        return End(address=address)
    return End(machine=parse_name(name, "machine"))


def _parse_address(text: str, whole: str) -> Address:
    if address := find_address(text):
        return address
    raise Invalid(f"{whole!r}: {text!r} is no address", hint=_HINT)


def _parse_number(text: str | None, whole: str) -> int | None:
    if text is None:
        return None
    if not 0 < int(text) < 65536:
        raise Invalid(f"{whole!r}: ports are 1 to 65535")
    return int(text)
