"""Traces of any room on paper end, and say why they do."""

import random
from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.test_plan_tracing import machine, network

from weft.model.insert import InsertState, Mode
from weft.model.machine import State
from weft.model.names import PortName
from weft.model.trace import Passage
from weft.plan.tracing.begin import plan_begin
from weft.plan.tracing.ends import Address, parse_end
from weft.plan.tracing.judging import Judge, Judged
from weft.plan.tracing.room import Packet, TracedInsert, TracedMachine, TracedPort, TracedRoom
from weft.plan.tracing.trace import walk_both_ways
from weft.plan.tracing.walk import MOST_HOPS, Hop

NAMES = ("a", "b", "c", "d")
INSERTS = st.builds(
    TracedInsert, st.sampled_from("xyz"), st.sampled_from(Mode), st.sampled_from(InsertState), filters=st.booleans()
)
STATES = st.sampled_from([State.RUNNING] * 4 + [State.STOPPED])


@st.composite
def rooms(draw: st.DrawFn) -> TracedRoom:
    """Networks whose gateways may be machines, which may be on any of them, with chains of inserts here and there."""
    gateways = draw(st.lists(st.sampled_from([None, *NAMES]), min_size=1, max_size=4))
    networks = {
        name: network(name, number, gateway, uplink=draw(st.booleans()))
        for number, (name, gateway) in enumerate(zip(NAMES, gateways, strict=False), start=1)
    }
    machines: dict[str, TracedMachine] = {}
    for number, name in enumerate(NAMES, start=2):
        on = draw(st.lists(st.sampled_from(sorted(networks)), max_size=3, unique=True))
        last = {net: 1 if networks[net].gateway == name else number for net in on}
        where = [(net, f"{NAMES.index(net) + 1}.0.{last[net]}") for net in on]
        made = machine(name, *where, filters=draw(st.booleans()), pinned=draw(st.booleans()))
        machines[name] = replace(made, state=draw(STATES))
    places = [*(PortName(name) for name in machines), *(PortName("", network=name) for name in networks)]
    return TracedRoom(
        machines, networks, {at: TracedPort(at, tuple(draw(st.lists(INSERTS, max_size=2)))) for at in places}
    )


def make_judge(room: TracedRoom, mood: random.Random) -> Judge:
    """Firewalls that decide and translate as it comes."""

    def judge(firewall: str, nic: int | None, packet: Packet) -> Judged:
        nics = [nic for one in room.machines.values() for nic in one.nics]
        known = [address for nic in nics if (address := nic.address_of(packet.version))]

        def choose(old: Address) -> Address:
            return mood.choice([old, *known])

        passage = mood.choice([Passage.PASSES, Passage.PASSES, Passage.STOPS, Passage.UNKNOWN])
        after = replace(packet, source=choose(packet.source), destination=choose(packet.destination))
        return Judged(passage, after)

    return judge


@given(
    room=rooms(),
    source=st.sampled_from(NAMES),
    target=st.sampled_from([*NAMES, "10.1.0.1", "192.0.2.1"]),
    ipv6=st.booleans(),
    seed=st.integers(0, 99),
)
def test_traces_of_any_room_end_and_say_why(room: TracedRoom, source: str, target: str, ipv6: bool, seed: int) -> None:
    begin = plan_begin(room, parse_end(source), parse_end(f"{target}:80"), ipv6=ipv6 and "." not in target)
    judge = make_judge(room, random.Random(seed))
    hops = [begin] if isinstance(begin, Hop) else walk_both_ways(room, judge, begin)
    assert 0 < len(hops) < 3 * MOST_HOPS
    assert all(hop.at and hop.why for hop in hops if hop.verdict is not Passage.PASSES and not hop.passage)
    assert all(hop.verdict is not Passage.STOPS for hop in hops[:-1])
