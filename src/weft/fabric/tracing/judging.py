"""What a room's firewalls decide, by the settings in force."""

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import ip_interface

from weft.fabric.room import Room
from weft.firewall import wireguard
from weft.firewall.judge import Flow, Verdict, judge_at
from weft.firewall.layout import Layout, lay_out
from weft.firewall.rule_lines import SELF, Action
from weft.model.errors import WeftError
from weft.model.place import Place
from weft.model.trace import Passage
from weft.plan.tracing.ends import Address
from weft.plan.tracing.judging import Judge, Judged
from weft.plan.tracing.room import Packet, TracedRoom


async def find_judge(room: Room, scene: TracedRoom) -> Judge:
    """Answers for all firewalls of a room, as of now."""
    now = datetime.fromtimestamp(room.site.clock(), UTC)
    names = [machine.name for machine in scene.machines.values() if machine.filters]
    layouts = {name: await _read(room, name) for name in names}
    return lambda firewall, nic, packet: judge_packet(layouts[firewall], nic, packet, now)


async def _read(room: Room, name: str) -> Layout | str:
    """A firewall's rules, laid out; or why they cannot be read."""
    try:
        values, place = await room.configs.in_force(name)
    except WeftError as err:
        return f"its settings cannot be read: {err}"
    return lay_out(values, wireguard.add_zone(values, place))


def judge_packet(layout: Layout | str, nic: int | None, packet: Packet, now: datetime) -> Judged:
    """What becomes of a packet that comes in by a NIC (None: its own), and what it is behind the firewall."""
    if isinstance(layout, str):
        return Judged(Passage.UNKNOWN, packet, why=layout)
    zone = SELF if nic is None else _find_zone(layout.place, nic)
    if zone is None:
        return Judged(Passage.UNKNOWN, packet, why=f"its NIC {nic} is in no zone")
    flow = Flow(zone, packet.protocol, packet.source, packet.sport, packet.destination, packet.dport)
    verdict = judge_at(layout, flow, now)
    if verdict.action is not Action.ACCEPT:
        return Judged(Passage.STOPS, packet, verdict.by, explain(zone, verdict))
    after = replace(
        packet,
        source=_find_source(layout, packet, verdict),
        destination=verdict.destination or packet.destination,
        dport=verdict.dport,
    )
    return Judged(Passage.PASSES, after, verdict.by, explain(zone, verdict))


def explain(zone: str, verdict: Verdict) -> str:
    """In words: `lan -> dmz: accept`."""
    said = f"{zone} -> {verdict.zone_out or 'nowhere'}: {verdict.action}"
    notes = [*([f"by {verdict.forward}"] if verdict.forward else []), *([verdict.note] if verdict.note else [])]
    return ", ".join([said, *notes])


def _find_source(layout: Layout, packet: Packet, verdict: Verdict) -> Address:
    """What gives it another source: a line of `snat`, or the firewall's own address where it leaves."""
    if verdict.source_by is None:
        return packet.source
    if snat := layout.sheet.snats.get(verdict.source_by):
        return snat.address
    return _find_own(layout.place, verdict.zone_out, packet) or packet.source


def _find_own(place: Place, zone: str | None, packet: Packet) -> Address | None:
    """The firewall's own address on the side that a packet leaves by."""
    found = place.find_zone(zone) if zone is not None else None
    own = [ip_interface(address).ip for address in found.addresses] if found else []
    return next((address for address in own if address.version == packet.version), None)


def _find_zone(place: Place, nic: int) -> str | None:
    return next((zone.name for zone in place.zones if zone.nic == f"eth{nic}"), None)
