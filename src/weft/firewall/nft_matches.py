"""Which flows an entry is about, as nft compares them: by conntrack's tuples. Pure."""

from collections.abc import Sequence

from weft.firewall.addresses import SetName, Target, dump_networks
from weft.firewall.layout import Entry, Layout
from weft.firewall.rule_lines import ICMP, ICMPV6, PROTOCOLS, Ports
from weft.firewall.sheet import find_versions

_NAMES = {number: name for name, number in PROTOCOLS.items() if name in ("tcp", "udp", "icmp", "sctp", "dccp")}
_ANSWERS = {8: 0, 13: 14, 15: 16, 17: 18, 128: 129}
"""The type of ICMP's answer by that of the question. Only a question begins a flow, so both may be let through."""


def find_variants(entry: Entry, layout: Layout) -> list[int | None]:
    """The versions of IP that need a line of their own; None alone: one line for all."""
    match = entry.match
    if not match.source and not match.destination and match.protocol not in (ICMP, ICMPV6):
        return [None]
    return [*sorted(find_versions(match, layout.sheet.book))]


def dump_match(entry: Entry, layout: Layout, version: int | None, *, turned: bool = False) -> list[str]:
    """The comparisons. `turned`: of a flow that conntrack has the wrong way round."""
    match, (client, server) = entry.match, ("reply", "original") if turned else ("original", "reply")
    words = [] if version is None else [_dump_version(version, layout)]
    words += dump_sources(f"ct {client}", match.source, layout, version)
    words += dump_sources(f"ct {server}", match.destination, layout, version)
    if match.protocol is not None:
        words.append(f"meta l4proto {_NAMES.get(match.protocol, match.protocol)}")
    words += _dump_ports(f"ct {client} proto-src", match.sports) + _dump_ports(f"ct {server} proto-src", match.ports)
    types = sorted({*match.types, *(_ANSWERS[kind] for kind in match.types), *entry.types})
    if types:
        words.append(f"{'icmp' if match.protocol == ICMP else 'icmpv6'} type {{ {', '.join(map(str, types))} }}")
    if entry.forward is not None:
        outer = ((entry.forward.first, entry.forward.last),)
        words += ["ct status dnat", *_dump_ports("ct original proto-dst", outer)]
    return words


def _dump_version(version: int, layout: Layout) -> str:
    """The version of a packet is that of its flow: nothing here translates between them."""
    if layout.is_bridge:
        return f"meta protocol {'ip' if version == 4 else 'ip6'}"
    return f"meta nfproto ipv{version}"


def dump_choice(choices: list[str]) -> str:
    """One of them, or one of several."""
    return choices[0] if len(choices) == 1 else f"{{ {', '.join(choices)} }}"


def dump_sources(side: str, targets: Sequence[Target], layout: Layout, version: int | None) -> list[str]:
    """That the source is one of these. `side` is of conntrack, like `ct original`; empty: of the packet."""
    if not targets:
        return []
    key = f"{side} {'ip' if version == 4 else 'ip6'} saddr".strip()
    if len(targets) == 1 and isinstance(targets[0], SetName):
        return [f"{key} @v{version}-{targets[0].name}"]
    networks = [net for net in layout.sheet.book.resolve(targets) if net.version == version]
    if any(net.prefixlen == 0 for net in networks):
        return []
    return [f"{key} {dump_choice(dump_networks(networks))}"]


def _dump_ports(key: str, ports: Ports) -> list[str]:
    ranges = [str(first) if first == last else f"{first}-{last}" for first, last in ports]
    return [f"{key} {dump_choice(ranges)}"] if ranges else []
