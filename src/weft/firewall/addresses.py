"""Addresses as the rules' lines write them: of their own, of a named set, or of a machine of the room. Pure."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Network, IPv6Network, collapse_addresses, ip_network

from weft.model.place import Place
from weft.model.setting_lines import LABEL, Values, list_items

Network = IPv4Network | IPv6Network
BOTH = frozenset({4, 6})
"""The versions of IP: what a line may match that names no address."""

_NUMERIC = re.compile(r"[0-9.]+(/.*)?|.*:.*|.*/.*")


@dataclass(frozen=True, slots=True)
class SetName:
    """The addresses of a set, written `@NAME`."""

    name: str


@dataclass(frozen=True, slots=True)
class MachineName:
    """The addresses of a machine of the room."""

    name: str


Target = IPv4Network | IPv6Network | SetName | MachineName


class Absent(ValueError):
    """A line that is about nobody for now: the machines that it names are not there."""


@dataclass(frozen=True, slots=True)
class Book:
    """What names stand for. Machines come and go, so one that is not there stands for no address.

    `machines` None: nobody knows yet, since there is no place.
    """

    sets: Mapping[str, tuple[Network, ...]] = field(default_factory=dict)
    machines: Mapping[str, tuple[Network, ...]] | None = None

    def resolve(self, targets: Iterable[Target]) -> tuple[Network, ...]:
        """The networks meant, as few as can be. Raises ValueError for a name that stands for nothing."""
        found = [network for target in targets for network in self._resolve(target)]
        four = collapse_addresses(net for net in found if isinstance(net, IPv4Network))
        six = collapse_addresses(net for net in found if isinstance(net, IPv6Network))
        return (*four, *six)

    def find_versions(self, targets: tuple[Target, ...]) -> frozenset[int]:
        """The versions of IP that these can match. Raises ValueError as `resolve` does, Absent when nobody is there."""
        resolved = self.resolve(targets)
        if self.machines is None and any(isinstance(target, MachineName) for target in targets):
            return BOTH
        if targets and not resolved:
            raise Absent("none of the machines that it names is there")
        return frozenset(net.version for net in resolved) if targets else BOTH

    def _resolve(self, target: Target) -> tuple[Network, ...]:
        if isinstance(target, SetName):
            if target.name not in self.sets:
                raise ValueError(f"there is no set {target.name!r}")
            return self.sets[target.name]
        if isinstance(target, MachineName):
            return (self.machines or {}).get(target.name, ())
        return (target,)


def parse_target(text: str) -> Target:
    """`10.1.0.9`, `10.1.0.0/24`, `fd00::/64`, `@SET`, or a machine's name. Raises ValueError."""
    if text.startswith("@"):
        return SetName(_parse_label(text[1:], "set"))
    if _NUMERIC.fullmatch(text):
        return ip_network(text)
    return MachineName(_parse_label(text, "address, network, @SET or machine"))


def parse_targets(text: str) -> tuple[Target, ...]:
    """Several of these, with commas. Raises ValueError."""
    parts = text.split(",")
    if not all(parts):
        raise ValueError(f"{text!r} has a comma with nothing beside it")
    return tuple(map(parse_target, parts))


def parse_set(line: str) -> tuple[str, tuple[Target, ...]]:
    """`office = 10.1.0.0/24, 10.2.0.9`. Raises ValueError."""
    name, equals, members = line.partition("=")
    if not equals or not members.strip():
        raise ValueError("it is NAME = ADDRESS, …, like office = 10.1.0.0/24, 10.2.0.9")
    return _parse_label(name.strip(), "set"), parse_targets(re.sub(r"\s*,\s*", ",", members.strip()))


def read_book(values: Values, place: Place | None, problems: list[str]) -> Book:
    """The sets and the machines. A set may have sets in it that stand before it."""
    book = Book({}, None if place is None else _find_machines(place))
    for where, line in list_items(values, "sets"):
        try:
            name, targets = parse_set(line)
            if name in book.sets:
                raise ValueError(f"set {name} is there already")
            book = Book({**book.sets, name: book.resolve(targets)}, book.machines)
        except ValueError as err:
            problems.append(f"{where}: {err}")
    return book


def dump_networks(networks: Iterable[Network]) -> list[str]:
    """As nft reads them: one address without its length."""
    return [str(net.network_address) if net.num_addresses == 1 else str(net) for net in networks]


def _find_machines(place: Place) -> dict[str, tuple[Network, ...]]:
    machines: dict[str, tuple[Network, ...]] = {}
    for neighbour in place.neighbours:
        machines[neighbour.name] = (*machines.get(neighbour.name, ()), ip_network(neighbour.address))
    return machines


def _parse_label(text: str, what: str) -> str:
    if not LABEL.fullmatch(text):
        raise ValueError(f"{text!r} is no {what}")
    return text
