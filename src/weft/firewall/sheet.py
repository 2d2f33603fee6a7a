"""All lines of the rules, read: the sheet that is checked, compiled for nft, and judged by. Pure."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from weft.firewall.addresses import BOTH, Absent, Book, read_book
from weft.firewall.rule_lines import ICMP, ICMPV6, Match, Policy, Rule, parse_policy, parse_rule
from weft.firewall.translation_lines import Forward, Management, Snat, parse_forward, parse_management, parse_snat
from weft.model.place import Place
from weft.model.setting_lines import Values, find_twice, list_items, parse_items

Parsed = TypeVar("Parsed")

LOGGED = ("drops", "rejects", "connections")
"""What `log` may name."""
NONE = "none"
"""For `masquerade`: no zone, where an empty list means the default."""


@dataclass(frozen=True, slots=True)
class Sheet:
    """What the settings say, each line by its item. `masquerade` and `uplink` None: as the place has it."""

    book: Book = field(default_factory=Book)
    rules: Mapping[str, Rule] = field(default_factory=dict)
    policies: Mapping[str, Policy] = field(default_factory=dict)
    forwards: Mapping[str, Forward] = field(default_factory=dict)
    snats: Mapping[str, Snat] = field(default_factory=dict)
    management: Mapping[str, Management] = field(default_factory=dict)
    masquerade: tuple[str, ...] | None = None
    uplink: tuple[str, ...] | None = None
    log: frozenset[str] = frozenset({"drops"})
    reflection: bool = True


def read_sheet(values: Values, place: Place | None, problems: list[str] | None = None) -> Sheet:
    """The lines that can be read; what is wrong with a line by itself, or with the names of addresses, is told."""
    told: list[str] = [] if problems is None else problems
    book = read_book(values, place, told)
    return Sheet(
        book=book,
        rules=_read(values, "rules", parse_rule, lambda rule: _resolve_match(rule.match, book), told),
        policies=_read_policies(values, told),
        forwards=_read(values, "forwards", parse_forward, lambda forward: _resolve_forward(forward, book), told),
        snats=_read(values, "snat", parse_snat, lambda snat: _resolve_snat(snat, book), told),
        management=_read(values, "management", parse_management, lambda way: book.find_versions(way.source), told),
        masquerade=_read_names(values, "masquerade"),
        uplink=_read_names(values, "uplink"),
        log=_read_log(values, told),
        reflection=values.get("reflection") is not False,
    )


def find_versions(match: Match, book: Book) -> frozenset[int]:
    """The versions of IP that a flow that matches can have. Raises ValueError for names that stand for nothing."""
    own = {ICMP: frozenset({4}), ICMPV6: frozenset({6})}.get(match.protocol or 0, BOTH)
    return own & book.find_versions(match.source) & book.find_versions(match.destination)


def find_forward_versions(forward: Forward, book: Book) -> frozenset[int]:
    """The same for a forward."""
    return book.find_versions((forward.host,)) & book.find_versions(forward.source)


def _read(
    values: Values, name: str, parse: Callable[[str], Parsed], resolve: Callable[[Parsed], object], told: list[str]
) -> dict[str, Parsed]:
    """The items of a list, of which everything that they name is known. What is about nobody for now is left out."""
    kept: dict[str, Parsed] = {}
    for where, item in parse_items(values, name, parse, told).items():
        try:
            resolve(item)
        except Absent:
            continue
        except ValueError as err:
            told.append(f"{where}: {err}")
        else:
            kept[where] = item
    return kept


def _read_policies(values: Values, told: list[str]) -> dict[str, Policy]:
    policies = parse_items(values, "policies", parse_policy, told)
    told += find_twice({where: f"{line.origin} -> {line.target}" for where, line in policies.items()}, "the policy")
    return policies


def _read_names(values: Values, name: str) -> tuple[str, ...] | None:
    names = tuple(line for _, line in list_items(values, name))
    return tuple(word for word in names if word != NONE) if names else None


def _read_log(values: Values, told: list[str]) -> frozenset[str]:
    words = dict(list_items(values, "log")) if values.get("log") is not None else {"log": "drops"}
    for where, word in words.items():
        if word not in LOGGED:
            told.append(f"{where}: {word!r} is not one of {', '.join(LOGGED)}")
    return frozenset(words.values()) & frozenset(LOGGED)


def _resolve_match(match: Match, book: Book) -> None:
    if not find_versions(match, book):
        raise ValueError("it can never match: one side is IPv4 and the other IPv6, or an address does not exist")


def _resolve_forward(forward: Forward, book: Book) -> None:
    if not find_forward_versions(forward, book):
        raise ValueError("it can never match: one side is IPv4 and the other IPv6, or an address does not exist")


def _resolve_snat(snat: Snat, book: Book) -> None:
    versions = book.find_versions((snat.source,))
    if snat.address.version not in versions:
        raise ValueError(f"{snat.address} is IPv{snat.address.version}, and what it is for is not")
