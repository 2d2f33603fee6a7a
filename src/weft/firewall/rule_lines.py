"""Lines of `rules` and `policies`, read into what they say. Pure.

accept|drop|reject FROM -> TO [PROTOCOL] [from A[,A]] [to A[,A]] [sport P[,P]] [port P[,P|P-P]] [type T]
    [limit N/second|minute|hour [burst N]] [connections N] [until TIME] [hours H-H] [days D[,D|D-D]] [log] [name L]
"""

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from weft.firewall.addresses import Target, parse_targets
from weft.firewall.times import ALWAYS, Times, parse_days, parse_hours, parse_until
from weft.model.setting_lines import LABEL

ANY, SELF = "any", "self"
"""Not zones: every zone and the firewall, and the firewall itself."""

TCP, UDP, ICMP, ICMPV6 = 6, 17, 1, 58
PROTOCOLS = {
    "tcp": TCP,
    "udp": UDP,
    "icmp": ICMP,
    "icmpv6": ICMPV6,
    "igmp": 2,
    "ipip": 4,
    "dccp": 33,
    "gre": 47,
    "esp": 50,
    "ah": 51,
    "ospf": 89,
    "vrrp": 112,
    "sctp": 132,
    "udplite": 136,
}
PORTED = frozenset({TCP, UDP, 33, 132, 136})
"""Protocols with ports that the kernel knows flows of."""

TYPES = {
    ICMP: {"echo-request": 8, "timestamp-request": 13, "info-request": 15, "address-mask-request": 17},
    ICMPV6: {"echo-request": 128},
}
"""What begins a flow. Answers and errors belong to flows, so they need no rule."""

Ports = tuple[tuple[int, int], ...]
"""Ranges of ports, first and last."""


class Action(StrEnum):
    """What becomes of a flow: it passes, is silently lost, or its sender is told."""

    ACCEPT = "accept"
    DROP = "drop"
    REJECT = "reject"


@dataclass(frozen=True, slots=True)
class Match:
    """Which flows are meant, by their ends. What is empty or None matches everything."""

    protocol: int | None = None
    source: tuple[Target, ...] = ()
    destination: tuple[Target, ...] = ()
    sports: Ports = ()
    ports: Ports = ()
    types: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Rate:
    """How many flows may begin in a time, and how many of them at once after a pause: without a word all."""

    count: int
    per: str
    burst: int


@dataclass(frozen=True, slots=True)
class Rule:
    """A line of `rules`. With `rate` or `connections` accept is for what is within, drop and reject what is beyond."""

    action: Action
    origin: str
    target: str
    match: Match = Match()
    rate: Rate | None = None
    connections: int | None = None
    times: Times = ALWAYS
    log: bool = False
    name: str | None = None


@dataclass(frozen=True, slots=True)
class Policy:
    """A line of `policies`: what becomes of flows that no rule is about."""

    origin: str
    target: str
    action: Action


def parse_policy(line: str) -> Policy:
    """`lan -> wan accept`. Raises ValueError."""
    words = split_line(line)
    if len(words) != 4 or words[1] != "->":
        raise ValueError("it is FROM -> TO accept|drop|reject, like lan -> wan accept")
    return Policy(words[0], words[2], _parse_action(words[3]))


def parse_rule(line: str) -> Rule:
    """A line of `rules`. Raises ValueError."""
    words = split_line(line)
    if len(words) < 4 or words[2] != "->":
        raise ValueError("it is accept|drop|reject FROM -> TO …, like accept lan -> dmz tcp port 443")
    action, rest = _parse_action(words[0]), words[4:]
    protocol = None
    if rest and rest[0] not in _OPTIONS:
        protocol, rest = parse_protocol(rest[0]), rest[1:]
    found = _parse_options(rest, protocol)
    times = Times(found.pop("until", None), found.pop("hours", None), found.pop("days", frozenset()))
    match = Match(protocol, *(found.pop(word, ()) for word in ("from", "to", "sport", "port", "type")))
    _check_match(match)
    return Rule(action, words[1], words[3], match, _find_rate(found), times=times, **found)


def split_line(line: str) -> list[str]:
    """The words of a line; blanks around commas do not count."""
    return ",".join(part.strip() for part in line.replace("->", " -> ").split(",")).split()


def parse_protocol(word: str) -> int:
    """A protocol's number, by its name or as a number. Raises ValueError."""
    if word in PROTOCOLS:
        return PROTOCOLS[word]
    if word.isdecimal() and 0 < int(word) < 256:
        return int(word)
    raise ValueError(f"{word!r} is not understood; a protocol is {', '.join(PROTOCOLS)}, or a number to 255")


def parse_port(word: str) -> int:
    """A port. Raises ValueError."""
    if not word.isdecimal() or not 0 < int(word) < 65536:
        raise ValueError(f"{word!r} is no port, a number from 1 to 65535")
    return int(word)


def parse_ports(word: str) -> Ports:
    """`80`, `80,443`, `8000-8010`, in order and without overlaps. Raises ValueError."""
    ranges: list[tuple[int, int]] = []
    for part in word.split(","):
        first, dash, last = part.partition("-")
        begin = parse_port(first)
        end = parse_port(last) if dash else begin
        if end < begin:
            raise ValueError(f"ports {part}: {end} is before {begin}")
        ranges.append((begin, end))
    return _merge(sorted(ranges))


def _merge(ranges: list[tuple[int, int]]) -> Ports:
    merged = ranges[:1]
    for begin, end in ranges[1:]:
        if begin <= merged[-1][1] + 1:
            merged[-1] = (merged[-1][0], max(end, merged[-1][1]))
        else:
            merged.append((begin, end))
    return tuple(merged)


def _parse_action(word: str) -> Action:
    try:
        return Action(word)
    except ValueError:
        raise ValueError(f"{word!r} is not accept, drop or reject") from None


def _parse_types(word: str, protocol: int | None) -> tuple[int, ...]:
    known = TYPES.get(protocol or 0)
    if known is None:
        raise ValueError("type needs the protocol icmp or icmpv6")
    numbers = [known.get(part, int(part) if part.isdecimal() else -1) for part in word.split(",")]
    if any(number not in known.values() for number in numbers):
        choices = ", ".join(f"{name} ({number})" for name, number in known.items())
        raise ValueError(f"type {word}: what begins a flow is {choices}; answers and errors pass with it")
    return tuple(sorted(set(numbers)))


def _parse_count(word: str) -> int:
    if not word.isdecimal() or not 0 < int(word) < 1_000_000:
        raise ValueError(f"{word!r} is no number from 1 to 999999")
    return int(word)


def _parse_rate(word: str) -> Rate:
    count, slash, per = word.partition("/")
    if not slash or per not in ("second", "minute", "hour"):
        raise ValueError(f"limit {word!r} is not like 10/second, 10/minute or 10/hour")
    return Rate(_parse_count(count), per, _parse_count(count))


def _parse_label(word: str) -> str:
    if not LABEL.fullmatch(word):
        raise ValueError(f"name {word!r}: lower case letters, digits and hyphens, at most 63")
    return word


_OPTIONS: dict[str, Callable[[str], Any]] = {
    "from": parse_targets,
    "to": parse_targets,
    "sport": parse_ports,
    "port": parse_ports,
    "type": str,
    "limit": _parse_rate,
    "burst": _parse_count,
    "connections": _parse_count,
    "until": parse_until,
    "hours": parse_hours,
    "days": parse_days,
    "log": bool,
    "name": _parse_label,
}


def _parse_options(words: list[str], protocol: int | None) -> dict[str, Any]:
    found: dict[str, Any] = {}
    rest = iter(words)
    for word in rest:
        if word not in _OPTIONS:
            raise ValueError(f"{word!r} is not understood; expected {', '.join(_OPTIONS)}")
        if word in found:
            raise ValueError(f"{word} is said twice")
        value = word if word == "log" else next(rest, None)
        if value is None:
            raise ValueError(f"{word} needs a value")
        found[word] = _parse_types(value, protocol) if word == "type" else _OPTIONS[word](value)
    return found


def _find_rate(found: dict[str, Any]) -> Rate | None:
    rate: Rate | None = found.pop("limit", None)
    burst = found.pop("burst", None)
    if burst is None:
        return rate
    if rate is None:
        raise ValueError("burst needs a limit")
    return Rate(rate.count, rate.per, burst)


def _check_match(match: Match) -> None:
    if (match.sports or match.ports) and match.protocol not in PORTED:
        raise ValueError("ports need the protocol tcp or udp before them")
