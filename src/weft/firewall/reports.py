"""What programs in the firewall print, read: leases, the tunnel's state, the kernel's log, open connections. Pure.

A guest is not trusted: what does not look as it should is passed over.
"""

import re
from collections.abc import Iterator, Mapping
from ipaddress import ip_address
from typing import NamedTuple

from weft.model.firewall import ConnectionView, LeaseView, LogView, PeerView
from weft.model.network import find_address
from weft.model.place import Place

_ATOM = re.compile(r"([A-Za-z]+)=(\S*)")
_STAMPED = re.compile(r"(?:<\d+>\[ *(\d+\.\d+)\] |\d+,\d+,(\d+),[^;]*;)(.*)")
_LOGGED = re.compile(r"weft:([a-z]+):(.*?) *IN=(\S*) OUT=(\S*)(.*)")


def parse_leases(text: str, fixed: frozenset[str]) -> list[LeaseView]:
    """dnsmasq's file of leases, by address. `fixed` are the hardware addresses of those that have theirs for ever."""
    leases = []
    for line in text.splitlines():
        match line.split():
            case [expires, mac, address, name, _id] if expires.isdecimal() and find_address(address):
                until, known = float(expires) or None, None if name == "*" else name
                leases.append(LeaseView(address=address, mac=mac, name=known, expires=until, fixed=mac in fixed))
    return sorted(leases, key=lambda lease: (":" in lease.address, ip_address(lease.address).packed))


def parse_peers(text: str, known: Mapping[str, PeerView]) -> list[PeerView]:
    """`wg show NIC dump` on what is set, by public key: what is seen of each peer. The first line is the tunnel's."""
    seen = dict(known)
    for line in text.splitlines()[1:]:
        match line.split("\t"):
            case [key, _psk, endpoint, _networks, handshake, received, sent, _keepalive] if key in seen:
                if not all(number.isdecimal() for number in (handshake, received, sent)):
                    continue
                found: dict[str, object] = {
                    "handshake": float(handshake) or None,
                    "received": int(received),
                    "sent": int(sent),
                }
                if endpoint != "(none)":
                    found["endpoint"] = endpoint
                seen[key] = seen[key].model_copy(update=found)
    return list(seen.values())


def parse_log_line(line: str, boot: float, place: Place) -> LogView | None:
    """A line of the kernel's log, as `dmesg -r` and /dev/kmsg give it; None when it is not of our rules.

    `boot` is when the guest's clock of the log began.
    """
    stamped = _STAMPED.match(line)
    logged = _LOGGED.match(stamped[3]) if stamped else None
    if stamped is None or logged is None:
        return None
    seconds = float(stamped[1]) if stamped[1] else int(stamped[2]) / 1e6
    zones = {zone.nic: zone.name for zone in place.zones}
    # An ICMP error has the packet that it is about in brackets; that one's addresses are not its own.
    # Of LEN there are two, the packet's and then UDP's.
    found = dict(reversed(_ATOM.findall(logged[5].partition("[")[0])))
    return LogView(
        time=boot + seconds,
        action=logged[1],
        rule=logged[2].rstrip(": "),
        zone_in=zones.get(logged[3], logged[3] or None),
        zone_out=zones.get(logged[4], logged[4] or None),
        protocol=found["PROTO"].lower() if found.get("PROTO") else None,
        source=found.get("SRC"),
        sport=_number(found.get("SPT")),
        destination=found.get("DST"),
        dport=_number(found.get("DPT")),
        length=_number(found.get("LEN")),
    )


def parse_uptime(text: str) -> float:
    """Seconds since the guest began, from /proc/uptime; 0 of what is something else."""
    first = text.partition(" ")[0]
    return float(first) if re.fullmatch(r"\d{1,12}\.\d{1,6}", first) else 0.0


class _Way(NamedTuple):
    """One direction of a connection, as conntrack writes it."""

    source: str
    destination: str
    sport: int | None
    dport: int | None
    packets: int | None
    bytes: int | None


def parse_connections(text: str) -> list[ConnectionView]:
    """`conntrack -L`: a connection on each line, its direction as it began and then that of its answers."""
    return [view for line in text.splitlines() if (view := _parse_connection(line)) is not None]


def _parse_connection(line: str) -> ConnectionView | None:
    words = line.split()
    ways = list(_split_ways(words))
    if len(ways) != 2 or len(words) < 3 or not words[2].isdecimal():
        return None
    there, back = ways
    state = words[3] if "=" not in words[3] and not words[3].startswith("[") else None
    return ConnectionView(
        protocol=words[0],
        state=state,
        source=there.source,
        sport=there.sport,
        destination=there.destination,
        dport=there.dport,
        translated_source=_translated((there.source, there.sport), (back.destination, back.dport)),
        translated_destination=_translated((there.destination, there.dport), (back.source, back.sport)),
        answered="[UNREPLIED]" not in words,
        packets=_sum(there.packets, back.packets),
        bytes=_sum(there.bytes, back.bytes),
        timeout=int(words[2]),
    )


def _split_ways(words: list[str]) -> Iterator[_Way]:
    starts = [at for at, word in enumerate(words) if word.startswith("src=")]
    for start, end in zip(starts, [*starts[1:], len(words)], strict=False):
        found = dict(word.split("=", 1) for word in words[start:end] if "=" in word)
        if find_address(found["src"]) and find_address(found.get("dst", "")):
            numbers = (_number(found.get(key)) for key in ("sport", "dport", "packets", "bytes"))
            yield _Way(found["src"], found["dst"], *numbers)


def _translated(before: tuple[str, int | None], after: tuple[str, int | None]) -> str | None:
    if before == after:
        return None
    address, port = after
    return address if port is None else f"[{address}]:{port}" if ":" in address else f"{address}:{port}"


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and text.isascii() and text.isdecimal() else None
