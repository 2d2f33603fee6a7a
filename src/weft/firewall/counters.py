"""The firewall's rules with their counters, from the JSON of `nft -j list ruleset` and the settings' lines. Pure.

Rules of the table `weft` have the name of what they came of as their comment; one line may have become several of them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from weft.model.firewall import RuleView
from weft.model.setting_lines import Values, list_items

TABLE = "weft"
LISTS = ("forwards", "rules", "policies")
"""The settings whose lines become rules, in the order in which they count."""
_TRANSLATIONS = ("dnat", "snat", "masquerade")
_ITEM = re.compile(r"([a-z]+\[\d+\])(?:\s.*)?")


@dataclass(slots=True)
class Count:
    """Packets and bytes of all rules of one name."""

    packets: int = 0
    bytes: int = 0


def parse_counters(text: str) -> dict[str, Count]:
    """What has been counted, by the rules' names, in their order. Raises ValueError when it is no ruleset.

    A forward is counted where its packets are let through, not once more where they are translated.
    """
    try:
        items = [item for item in json.loads(text)["nftables"] if isinstance(item, dict)]
    except (KeyError, TypeError, RecursionError) as err:
        raise ValueError("this is no ruleset") from err
    named = dict(_find_named(items))
    judged: dict[str, Count] = {}
    translated: dict[str, Count] = {}
    for name, parts in _find_commented(items):
        counts = translated if any(word in part for part in parts for word in _TRANSLATIONS) else judged
        _add(counts, name, next((part["counter"] for part in parts if "counter" in part), None), named)
    return judged | {name: count for name, count in translated.items() if name not in judged}


def _add(counts: dict[str, Count], name: str, counter: Any, named: Mapping[str, Any]) -> None:
    found = named.get(counter) if isinstance(counter, str) else counter
    if isinstance(found, Mapping):
        count = counts.setdefault(name, Count())
        count.packets += _number(found.get("packets"))
        count.bytes += _number(found.get("bytes"))


def list_rules(values: Values, counts: Mapping[str, Count]) -> list[RuleView]:
    """Each line of the settings in its order, and then what is there besides: policies that no line says, services."""
    lines = {where: line for name in LISTS for where, line in list_items(values, name)}
    views = [_view(where, line, counts.get(where)) for where, line in lines.items()]
    return views + [_view(name, "", count) for name, count in counts.items() if name not in lines]


def _view(name: str, text: str, count: Count | None) -> RuleView:
    packets, size = (count.packets, count.bytes) if count else (None, None)
    return RuleView(rule=name, text=text, packets=packets, bytes=size)


def _find_commented(items: list[dict[str, Any]]) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """What each rule came of, and its expressions."""
    for item in items:
        rule = item.get("rule")
        if not isinstance(rule, dict) or rule.get("table") != TABLE or not isinstance(rule.get("comment"), str):
            continue
        expressions = rule.get("expr")
        parts = [part for part in expressions if isinstance(part, dict)] if isinstance(expressions, list) else []
        line = _ITEM.fullmatch(rule["comment"])
        yield line[1] if line else rule["comment"], parts


def _find_named(items: list[dict[str, Any]]) -> Iterator[tuple[str, Any]]:
    for item in items:
        counter = item.get("counter")
        if isinstance(counter, dict) and counter.get("table") == TABLE and isinstance(counter.get("name"), str):
            yield counter["name"], counter


def _number(value: Any) -> int:
    return value if isinstance(value, int) else 0
