"""The rules as nft reads them. Pure.

A flow is judged by what conntrack knows of it, not by the packet at hand: who began it (`ct original saddr`), and who
answers (`ct reply saddr`, which is where it goes after translation). So a packet of either direction gets the same
answer, and a ruleset that comes later judges flows that are open. Each accepted flow is marked with the *generation*,
a number made of the ruleset's text: packets of flows with the present one pass at once, others are judged anew.

Flows that were there before the firewall have no known beginning. While `takeover` is filled they are marked as TAKEN,
and judged in both directions, then and ever after.
"""

from collections.abc import Iterable
from hashlib import sha256

from weft.firewall.layout import Entry, Layout, name_chain
from weft.firewall.nft_hooks import (
    GENERATION_BITS,
    MARK_HERE,
    TAKEN,
    dump_chain,
    dump_hooks,
    dump_refused,
    remember_refused,
)
from weft.firewall.nft_matches import dump_match, find_variants
from weft.firewall.nft_nat import dump_nat
from weft.firewall.rule_lines import SELF, TCP, UDP, Action, Rate
from weft.firewall.times import dump_times

LOG_LIMIT = "limit rate 10/second burst 20 packets"
Lines = list[str]


def family(layout: Layout) -> str:
    """nft's family of the table."""
    return "bridge" if layout.is_bridge else "inet"


def dump_ruleset(layout: Layout) -> str:
    """The whole table. It takes the place of the one before in one step: there is no packet that meets neither.

    Conntrack goes on through that: flows keep their entry, mark and translation, since the new table has hooked in
    before the old one leaves. Counters begin again at zero.
    """
    table = f"{family(layout)} weft"
    body = [*_dump_sets(layout), *_dump_maps(layout), *dump_chain("takeover", [])]
    body += dump_refused() if layout.is_bridge else []
    body += _dump_entries(layout) + _dump_pairs(layout)
    body += dump_hooks(layout) + ([] if layout.is_bridge else dump_nat(layout))
    text = "\n".join([f"add table {table}", f"delete table {table}", f"table {table} {{", *body, "}", ""])
    return text.replace(MARK_HERE, f"{find_generation(text):#06x}")


def find_generation(text: str) -> int:
    """A number for a ruleset, never 0, which is the mark of flows that nobody accepted."""
    return int.from_bytes(sha256(text.encode()).digest()[:4], "big") % GENERATION_BITS + 1


def dump_takeover(layout: Layout) -> str:
    """What fills `takeover`. The kernel cannot tell the flow of an answer to what it did not see, or of the end of a
    flow; these pass where some policy accepts, in one direction at least.
    """
    flows = f"ct mark set ct mark | {TAKEN:#x}"
    lines = [f"ct state new tcp flags & (syn | ack) != syn {flows}", f"ct state new meta l4proto udp {flows}"]
    if open_pairs := _list_open(layout):
        strays = f"ct state invalid meta iifname . meta oifname {{ {', '.join(open_pairs)} }}"
        lines += [
            f"{strays} tcp flags & (syn | ack) != syn accept",
            f"{strays} icmp type echo-reply accept",
            f"{strays} icmpv6 type echo-reply accept",
        ]
    table = f"{family(layout)} weft"
    return "\n".join([f"flush chain {table} takeover", f"table {table} {{", *dump_chain("takeover", lines), "}", ""])


def _list_open(layout: Layout) -> Lines:
    pairs = [pair for pair in layout.list_pairs() if SELF not in pair]
    accepted = {pair for pair in pairs if layout.find_policy(*pair)[0] is Action.ACCEPT}
    return [_nics(layout, *pair) for pair in pairs if pair in accepted or pair[::-1] in accepted]


def _dump_sets(layout: Layout) -> Lines:
    lines = []
    for name, networks in layout.sheet.book.sets.items():
        for version, kind in ((4, "ipv4_addr"), (6, "ipv6_addr")):
            if members := [str(net) for net in networks if net.version == version]:
                lines += [f"  set v{version}-{name} {{", f"    type {kind}", "    flags interval", "    auto-merge"]
                lines += [f"    elements = {{ {', '.join(members)} }}", "  }"]
    return lines


def _dump_maps(layout: Layout) -> Lines:
    """From NICs to the chain of what goes between them; `turned` has those for flows that may go the other way."""
    across = [pair for pair in layout.list_pairs() if SELF not in pair]
    lines = _map("forwarded", "ifname . ifname", [f"{_nics(layout, *p)} : goto {_pair_chain(*p)}" for p in across])
    lines += _map("turned", "ifname . ifname", [f"{_nics(layout, *p)} : goto {_turned_chain(*p)}" for p in across])
    if layout.is_bridge:
        # Frames that are not IP belong to no flow, so there is nothing to mark; a bridge refuses by dropping.
        passes = [(p, layout.find_policy(*p)[0] is Action.ACCEPT) for p in across]
        verdicts = [f"{_nics(layout, *p)} : {'accept' if passed else 'drop'}" for p, passed in passes]
        return lines + _map("unknown", "ifname . ifname", verdicts)
    for name, pair in (("entering", lambda zone: (zone, SELF)), ("leaving", lambda zone: (SELF, zone))):
        elements = [f'"{zone.nic}" : goto {_pair_chain(*pair(zone.name))}' for zone in layout.zones]
        lines += _map(name, "ifname", elements)
    return lines


def _dump_entries(layout: Layout) -> Lines:
    """A chain for each rule and policy, so that it has one counter and one limit wherever it is asked."""
    entries = {entry.chain: entry for pair in layout.list_pairs() for entry in layout.list_entries(*pair)}
    lines = []
    for name, entry in entries.items():
        lines += dump_chain(name, [*_dump_limits(entry), *_dump_verdict(layout, entry.action, entry.by, log=entry.log)])
    policies = {_policy_chain(layout, *pair): layout.find_policy(*pair) for pair in layout.list_pairs()}
    for name, (action, by) in policies.items():
        lines += dump_chain(name, _dump_verdict(layout, action, by))
    return lines


def _dump_limits(entry: Entry) -> Lines:
    """What leaves a flow to the next entry. A rate is for flows that begin; those that are open do not count again."""
    within = entry.action is Action.ACCEPT
    lines = [f"ct count {'over ' if within else ''}{entry.connections} return"] if entry.connections else []
    if entry.rate is not None:
        over = _dump_rate(entry.rate, over=within)
        lines += [f"ct state new {over} return"] if within else ["ct state != new return", f"{over} return"]
    return lines


def _dump_rate(rate: Rate, *, over: bool) -> str:
    return f"limit rate {'over ' if over else ''}{rate.count}/{rate.per} burst {rate.burst} packets"


def _dump_verdict(layout: Layout, action: Action, by: str, *, log: bool = False) -> Lines:
    kind = {Action.ACCEPT: "connections", Action.DROP: "drops", Action.REJECT: "rejects"}[action]
    lines = []
    if log or kind in layout.sheet.log:
        began = "ct state new " if action is Action.ACCEPT else ""
        lines.append(f'{began}{LOG_LIMIT} log prefix "weft:{action}:{by.split(" ")[0] if "[" in by else by} "')
    comment = f'comment "{by}"'
    if action is Action.ACCEPT:
        return [*lines, f"counter ct mark set ct mark & 0xffff0000 | {MARK_HERE} accept {comment}"]
    if action is Action.REJECT and layout.is_bridge:
        return [*lines, *remember_refused(), f"counter drop {comment}"]
    if action is Action.DROP:
        return [*lines, f"counter drop {comment}"]
    return [
        *lines,
        f"meta l4proto tcp counter reject with tcp reset {comment}",
        f"counter reject with icmpx admin-prohibited {comment}",
    ]


def _dump_pairs(layout: Layout) -> Lines:
    lines = []
    for pair in layout.list_pairs():
        asked = [line for entry in layout.list_entries(*pair) for line in _ask(layout, entry)]
        lines += dump_chain(_pair_chain(*pair), [*asked, f"goto {_policy_chain(layout, *pair)}"])
        if SELF not in pair:
            lines += dump_chain(_turned_chain(*pair), _dump_turned(layout, *pair))
    return lines


def _ask(layout: Layout, entry: Entry) -> Iterable[str]:
    """The lines that lead to an entry's chain: one, or one for each version of IP."""
    for version in find_variants(entry, layout):
        matches = [*dump_match(entry, layout, version), *dump_times(entry.times)]
        yield " ".join([*matches, f"{'jump' if entry.limited else 'goto'} {entry.chain}"])


def _dump_turned(layout: Layout, origin: str, target: str) -> Lines:
    """The same questions about flows whose first packet seen was an answer. Who is not accepted here comes back, and
    is judged the other way round. Translations are none of theirs.
    """
    lines = []
    for entry in layout.list_entries(origin, target):
        if entry.forward is not None or entry.match.protocol not in (None, TCP, UDP):
            continue
        verdict = "return" if entry.action is not Action.ACCEPT else f"goto {entry.chain}"
        if entry.limited:
            verdict = f"jump {entry.chain}" if entry.action is Action.ACCEPT else "continue"
        for version in find_variants(entry, layout):
            matches = [*dump_match(entry, layout, version, turned=True), *dump_times(entry.times)]
            lines.append(" ".join([*matches, verdict]))
    if layout.find_policy(origin, target)[0] is Action.ACCEPT:
        lines.append(f"goto {_policy_chain(layout, origin, target)}")
    return lines


def _map(name: str, kind: str, elements: Lines) -> Lines:
    head = [f"  map {name} {{", f"    type {kind} : verdict"]
    return [*head, *([f"    elements = {{ {', '.join(elements)} }}"] if elements else []), "  }"]


def _nics(layout: Layout, origin: str, target: str) -> str:
    nics = {zone.name: zone.nic for zone in layout.zones}
    return f'"{nics[origin]}" . "{nics[target]}"'


def _pair_chain(origin: str, target: str) -> str:
    return f"from_{origin}_to_{target}"


def _turned_chain(origin: str, target: str) -> str:
    return f"turned_{origin}_to_{target}"


def _policy_chain(layout: Layout, origin: str, target: str) -> str:
    by = layout.find_policy(origin, target)[1]
    return name_chain(by) if "[" in by else f"policy_{origin}_to_{target}"
