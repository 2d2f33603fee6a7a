"""A whole trace: the way there, the way back, and what a real packet has to say about it."""

from collections.abc import Sequence
from dataclasses import dataclass

from weft.model.trace import Outcome, Passage, ProbeView, Way
from weft.plan.tracing.begin import Begin
from weft.plan.tracing.ends import Protocol
from weft.plan.tracing.judging import Judge, Memory
from weft.plan.tracing.room import Packet, TracedRoom
from weft.plan.tracing.walk import Hop, Stand, Walk

_WORKED = (Outcome.CONNECTED, Outcome.ANSWERED)
_FAILURES = {
    Outcome.REFUSED: "it was refused: nobody listens there",
    Outcome.SILENT: "no answer came",
    Outcome.UNREACHABLE: "it was turned back",
}
_BACK = ", on the way back"


@dataclass(frozen=True, slots=True)
class Conclusion:
    """Whether it gets through, what decided, and where plan and packet are not of one mind."""

    verdict: Passage
    why: str
    disagreements: tuple[str, ...] = ()


def walk_both_ways(room: TracedRoom, judge: Judge, begin: Begin) -> list[Hop]:
    """All hops to the destination, and those of the answer when the packet got there."""
    memory = Memory()
    there = Walk(room, judge, memory, Way.THERE, begin.packet, begin.stand).go()
    hops = [*begin.hops, *there.hops]
    if there.is_stopped:
        return hops
    stand = Stand(there.stand.machine, network=there.stand.network)
    back = Walk(room, judge, memory, Way.BACK, there.packet.answer(), stand).go()
    return [*hops, *back.hops, *_check_answer(begin.packet, back)]


def _check_answer(asked: Packet, back: Walk) -> list[Hop]:
    """Nobody takes an answer from somebody else than who was asked."""
    if back.is_stopped or back.packet == asked.answer():
        return []
    why = f"it asked {asked.destination}, and the answer is from {back.packet.source}"
    return [Hop(Way.BACK, back.hops[-1].at, Passage.STOPS, why)]


def conclude(hops: Sequence[Hop], protocol: Protocol, probe: ProbeView | None) -> Conclusion:
    """What comes of it. A real packet knows best, but silence says little where nobody has to answer."""
    verdict, why = judge_hops(hops)
    if probe is None:
        return Conclusion(verdict, why)
    if probe.outcome in _WORKED:
        against = (f"it should stop at {why}; yet there was an answer",) if verdict is Passage.STOPS else ()
        return Conclusion(Passage.PASSES, f"{probe.outcome} in {probe.milliseconds:.1f} ms", against)
    if probe.outcome is Outcome.SILENT and protocol == "udp":
        return Conclusion(verdict, f"{why}; no answer came, which UDP does not promise")
    return _explain_failure(verdict, why, probe)


def judge_hops(hops: Sequence[Hop]) -> tuple[Passage, str]:
    """The first hop that stops it, or else the first that nobody knows of."""
    for verdict in (Passage.STOPS, Passage.UNKNOWN):
        for hop in hops:
            if hop.verdict is verdict:
                return verdict, f"{hop.at}{_BACK if hop.way is Way.BACK else ''}: {hop.why}"
    return Passage.PASSES, "nothing stands in its way"


def _explain_failure(verdict: Passage, why: str, probe: ProbeView) -> Conclusion:
    said = _FAILURES[probe.outcome] + (f": {probe.detail}" if probe.detail else "")
    if verdict is Passage.STOPS:
        return Conclusion(verdict, why)
    if verdict is Passage.UNKNOWN:
        return Conclusion(Passage.STOPS, f"{said}; what is not known: {why}")
    against = () if probe.outcome is Outcome.REFUSED else (f"nothing should stand in its way; yet {said}",)
    return Conclusion(Passage.STOPS, said, against)
