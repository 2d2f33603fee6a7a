"""What the rules say of a flow: the same in Python as `nft_text` has nft do. Pure.

It is for checks, and for people who ask why something does not get through. Addresses are changed first, then the
entries between the two sides are asked, and the policy last.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from ipaddress import ip_address

from weft.firewall.addresses import Target
from weft.firewall.layout import Address, Entry, Layout, lay_out
from weft.firewall.rule_lines import ICMP, ICMPV6, SELF, TYPES, Action, Ports, parse_protocol
from weft.firewall.translation_lines import Forward
from weft.model.place import Place
from weft.model.setting_lines import Values

NEIGHBOURS = "neighbours"
"""Who lets IPv6 find neighbours and routers: no line, always."""
INVALID, NOWHERE = "invalid", "no zone"
"""As in nft's comments: what can begin no flow, and what leads to or comes from no zone."""

_ND_TYPES = (*range(130, 138), 143)
_ECHO = {ICMP: 8, ICMPV6: 128}


@dataclass(frozen=True, slots=True)
class Flow:
    """The first packet of a flow. `zone_in`: where it comes from, `self` if the firewall begins it.

    `protocol` is a name or a number; `icmp` between addresses of IPv6 is taken as `icmpv6`. `type` is that of ICMP, an
    echo request if it is None.
    """

    zone_in: str
    protocol: str | int
    source: Address | str
    sport: int | None
    destination: Address | str
    dport: int | None
    type: int | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What becomes of it. `by` is named as in nft's comments: `rules[3] ssh`, `policies[0]`, `policy lan -> wan`.

    `destination` and `dport` are those after translation by the line `forward`; `zone_out` is where that is.
    `source_by` gives it another source: `snat[0]`, `masquerade` or `reflection`. `note`: what the answer depends on.
    """

    action: Action
    by: str
    note: str = ""
    zone_out: str | None = None
    destination: Address | None = None
    dport: int | None = None
    forward: str | None = None
    source_by: str | None = None


@dataclass(frozen=True, slots=True)
class _Packet:
    """A flow in numbers. `outer` is the port before translation, None where nothing is translated."""

    origin: str
    protocol: int
    source: Address
    sport: int | None
    destination: Address
    dport: int | None
    kind: int | None
    outer: int | None = None


def judge(values: Values, place: Place, flow: Flow, now: datetime | None = None) -> Verdict:
    """What becomes of this flow. Settings and place have passed `check`.

    Without `now` what counts at times only is taken for the worse: it refuses, and does not accept. Limits are not
    known to be reached.
    """
    return judge_at(lay_out(values, place), flow, now)


def judge_at(layout: Layout, flow: Flow, now: datetime | None = None) -> Verdict:
    """The same for rules that are laid out already."""
    packet = _read_flow(flow)
    where, packet = _translate(layout, packet)
    target = _find_target(layout, packet)
    verdict = _ask(layout, packet, target, now)
    source_by = _find_source_by(layout, packet, target) if target is not None else None
    return replace(
        verdict,
        zone_out=target,
        destination=packet.destination,
        dport=packet.dport,
        forward=where,
        source_by=source_by,
    )


def _read_flow(flow: Flow) -> _Packet:
    source, destination = ip_address(flow.source), ip_address(flow.destination)
    protocol = flow.protocol if isinstance(flow.protocol, int) else parse_protocol(flow.protocol)
    if protocol == ICMP and destination.version == 6:
        protocol = ICMPV6
    kind = _ECHO.get(protocol) if flow.type is None else flow.type
    return _Packet(flow.zone_in, protocol, source, flow.sport, destination, flow.dport, kind)


def _translate(layout: Layout, packet: _Packet) -> tuple[str | None, _Packet]:
    """The line that leads it elsewhere, and what it is then."""
    if layout.is_bridge or packet.origin == SELF:
        return None, packet
    for where, forward in layout.sheet.forwards.items():
        if _enters(layout, forward, packet):
            dport = forward.port if forward.port is not None else packet.dport
            return where, replace(packet, destination=layout.find_host(forward), dport=dport, outer=packet.dport)
    return None, packet


def _enters(layout: Layout, forward: Forward, packet: _Packet) -> bool:
    entrances = layout.list_entrances(forward)
    own = layout.list_own()
    if packet.origin in layout.list_reflecting(forward):
        own = layout.list_own(*entrances) if entrances else []
    elif packet.origin not in entrances:
        return False
    return (
        packet.protocol == forward.protocol
        and packet.dport is not None
        and forward.first <= packet.dport <= forward.last
        and packet.destination in own
        and packet.destination.version == layout.find_host(forward).version
        and _is_among(layout, forward.source, packet.source)
    )


def _find_target(layout: Layout, packet: _Packet) -> str | None:
    if layout.is_bridge:
        return next((zone.name for zone in layout.zones if zone.name != packet.origin), None)
    return layout.find_side(packet.destination)


def _ask(layout: Layout, packet: _Packet, target: str | None, now: datetime | None) -> Verdict:
    if packet.protocol == ICMPV6 and packet.kind in _ND_TYPES and (layout.is_bridge or SELF in (packet.origin, target)):
        return Verdict(Action.ACCEPT, NEIGHBOURS)
    if packet.protocol in TYPES and packet.kind not in TYPES[packet.protocol].values():
        return Verdict(Action.DROP, INVALID)
    if (packet.origin, target) == (SELF, SELF):
        return Verdict(Action.ACCEPT, "itself")
    if target is None or (packet.origin, target) not in layout.list_pairs():
        return Verdict(Action.DROP, NOWHERE)
    notes: list[str] = []
    for entry in layout.list_entries(packet.origin, target):
        if _matches(layout, entry, packet) and _counts(entry, now, notes):
            return Verdict(entry.action, entry.by, "; ".join(notes))
    action, by = layout.find_policy(packet.origin, target)
    return Verdict(action, by, "; ".join(notes))


def _matches(layout: Layout, entry: Entry, packet: _Packet) -> bool:
    match = entry.match
    types = {*match.types, *entry.types}
    return (
        match.protocol in (None, packet.protocol)
        and _is_among(layout, match.source, packet.source)
        and _is_among(layout, match.destination, packet.destination)
        and _is_within(match.sports, packet.sport)
        and _is_within(match.ports, packet.dport)
        and (not types or packet.kind in types)
        and (entry.forward is None or _is_within(((entry.forward.first, entry.forward.last),), packet.outer))
    )


def _counts(entry: Entry, now: datetime | None, notes: list[str]) -> bool:
    """Whether an entry that matches does so now, and within its limits."""
    accepts = entry.action is Action.ACCEPT
    if not entry.times.always:
        notes.append(f"{entry.by} counts at times only")
        if not (entry.times.covers(now) if now is not None else not accepts):
            return False
    if entry.limited:
        notes.append(
            f"{entry.by} accepts up to its limit" if accepts else f"{entry.by} is for what is beyond its limit"
        )
        return accepts
    return True


def _find_source_by(layout: Layout, packet: _Packet, target: str) -> str | None:
    """What gives it another source on its way out."""
    if layout.is_bridge or SELF in (packet.origin, target):
        return None
    if packet.outer is not None and packet.origin == target and target in layout.inner and layout.sheet.reflection:
        return "reflection"
    if target not in layout.uplinks:
        return None
    for where, snat in layout.sheet.snats.items():
        if snat.address.version == packet.source.version and _is_among(layout, (snat.source,), packet.source):
            return where
    masked = packet.origin in layout.masqueraded and packet.origin not in layout.uplinks and packet.source.version == 4
    return "masquerade" if masked else None


def _is_among(layout: Layout, targets: Sequence[Target], address: Address) -> bool:
    networks = layout.sheet.book.resolve(targets)
    return not targets or any(net.version == address.version and address in net for net in networks)


def _is_within(ranges: Ports, port: int | None) -> bool:
    return not ranges or (port is not None and any(first <= port <= last for first, last in ranges))
