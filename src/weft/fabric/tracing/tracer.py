"""Traces from one place of a fabric to another: planned, tried with a real packet, and held against each other."""

import asyncio
import secrets
from collections.abc import Mapping
from contextlib import AsyncExitStack

from weft.fabric.fabric import Fabric
from weft.fabric.room import Room
from weft.fabric.tracing.guests import look_at_guests
from weft.fabric.tracing.judging import find_judge
from weft.fabric.tracing.probing import probe_gateway, probe_machine
from weft.fabric.tracing.scene import find_scene
from weft.fabric.tracing.watching import Watch, open_watch
from weft.guest.binary import find_init
from weft.model.errors import WeftError
from weft.model.trace import HopView, Passage, ProbeView, TraceRequest, TraceView, Way
from weft.plan.tracing.begin import Begin, plan_begin
from weft.plan.tracing.ends import End, parse_end
from weft.plan.tracing.guests import list_machines
from weft.plan.tracing.nft import Sighting
from weft.plan.tracing.observed import Observed, list_watched, observe
from weft.plan.tracing.trace import Conclusion, conclude, walk_both_ways
from weft.plan.tracing.walk import GuestPassage, Hop

PORTS = range(49152, 65536)
"""Source ports for packets that nobody else sends (RFC 6335)."""


async def trace(fabric: Fabric, room: str, request: TraceRequest) -> TraceView:
    """What lies between two places, of `room` where they name none. Raises NotFound, Invalid."""
    source, destination = parse_end(request.source), parse_end(request.destination)
    here = source.room or (_find_publisher(fabric, destination) if source.is_outside else None) or room
    there = destination.room or here
    _check(fabric.room(here), source)
    _check(fabric.room(there), destination)
    if here != there:
        hop = Hop(Way.THERE, f"room {here}", Passage.STOPS, f"nothing crosses between rooms, and this would to {there}")
        return _view(request, None, [Observed(hop)], conclude([hop], "tcp", None))
    return await _Tracer(fabric.room(there), request, source, destination).trace()


def _check(room: Room, end: End) -> None:
    """Raises NotFound for what is not there."""
    if end.machine is not None:
        room.site.shelves.machines.get(end.machine)
    if end.network is not None:
        room.site.shelves.networks.get(end.network)


def _find_publisher(fabric: Fabric, destination: End) -> str | None:
    """The room of the machine that a port of the host leads to: those are common to all rooms."""
    if destination.room is not None or not destination.is_outside:
        return destination.room
    for room in fabric.rooms:
        ports = [port.host_port for machine in room.site.shelves.machines for port in machine.published]
        if destination.port in ports:
            return room.site.room
    return None


class _Tracer:
    """One trace within a room."""

    def __init__(self, room: Room, request: TraceRequest, source: End, destination: End) -> None:
        self._room = room
        self._request = request
        self._ends = source, destination
        self._sport = secrets.choice(PORTS)

    async def trace(self) -> TraceView:
        scene = await find_scene(self._room.site, self._room.ports)
        begin = plan_begin(scene, *self._ends, ipv6=self._request.ipv6, sport=self._sport)
        if isinstance(begin, Hop):
            return _view(self._request, None, [Observed(begin)], conclude([begin], "tcp", None))
        hops = walk_both_ways(scene, await find_judge(self._room, scene), begin)
        changes = await look_at_guests(self._room.runs, scene, list_machines(hops))
        probe, why, watched = await self._try(begin, hops)
        observed, disagreements = observe(hops, watched)
        conclusion = conclude([one.hop for one in observed], begin.packet.protocol, probe)
        view = _view(self._request, begin, observed, conclusion)
        return view.model_copy(
            update={"probe": probe, "unprobed": why, "disagreements": [*changes, *disagreements, *view.disagreements]}
        )

    async def _try(
        self, begin: Begin, hops: list[Hop]
    ) -> tuple[ProbeView | None, str, Mapping[GuestPassage, Sighting | None]]:
        """A real packet, what came of it or why there was none, and what guests on its way said."""
        if not self._request.probe:
            return None, "none was asked for", {}
        if not begin.has_target:
            return None, "the outside has no address of its own: name one", {}
        try:
            async with AsyncExitStack() as stack:
                passages = list_watched(hops)
                watches = await asyncio.gather(*(self._watch(stack, passage) for passage in passages))
                probe = await self._send(begin)
        except WeftError as err:
            return None, str(err), {}
        told = zip(passages, watches, strict=True)
        return probe, "", {passage: watch.find() for passage, watch in told if watch and watch.works}

    async def _watch(self, stack: AsyncExitStack, passage: GuestPassage) -> Watch | None:
        """None when the guest cannot be asked."""
        try:
            agent = self._room.runs.agent(passage.machine)
        except WeftError:
            return None
        return await stack.enter_async_context(open_watch(agent, passage.family, passage.packet))

    async def _send(self, begin: Begin) -> ProbeView:
        seconds, name = self._request.timeout, begin.stand.machine
        if name is None:
            return await probe_gateway(self._room.site.namespace, find_init(), begin.packet, seconds, self._sport)
        return await probe_machine(self._room.runs, name, begin.packet, seconds, self._sport)


def _view(request: TraceRequest, begin: Begin | None, observed: list[Observed], conclusion: Conclusion) -> TraceView:
    return TraceView(
        source=request.source,
        destination=request.destination,
        packet=str(begin.packet) if begin else "",
        verdict=conclusion.verdict,
        why=conclusion.why,
        hops=[_view_hop(one) for one in observed],
        disagreements=list(conclusion.disagreements),
    )


def _view_hop(one: Observed) -> HopView:
    hop = one.hop
    return HopView(way=hop.way, at=hop.at, verdict=hop.verdict, why=hop.why, rule=hop.rule, seen=one.seen)
