"""What firewalls decide: asked for packets that begin something, remembered for the answers."""

from collections.abc import Callable
from dataclasses import dataclass, field

from weft.model.trace import Passage, Way
from weft.plan.tracing.room import Packet


@dataclass(frozen=True, slots=True)
class Judged:
    """What a firewall does with a packet, and the packet as it is sent on. `rule` is the name of what decided."""

    passage: Passage
    packet: Packet
    rule: str | None = None
    why: str = ""


Judge = Callable[[str, int | None, Packet], Judged]
"""(firewall, the NIC the packet comes in by, packet). None: it is the firewall's own."""


@dataclass(frozen=True, slots=True)
class Question:
    """A packet at a firewall that it judged, on the way there."""

    firewall: str
    before: Packet
    after: Packet


@dataclass(slots=True)
class Memory:
    """What firewalls have let through, as their connection tracking knows it."""

    questions: list[Question] = field(default_factory=list)

    def pass_on(self, judge: Judge, firewall: str, nic: int | None, packet: Packet, way: Way) -> Judged:
        """What a firewall does: on the way back it knows the answers to what it let through."""
        if way is Way.BACK:
            return self._take_answer(firewall, packet)
        judged = judge(firewall, nic, packet)
        if judged.passage is not Passage.STOPS:
            self.questions.append(Question(firewall, packet, judged.packet))
        return judged

    def _take_answer(self, firewall: str, packet: Packet) -> Judged:
        for question in self.questions:
            if question.firewall == firewall and question.after.answer() == packet:
                return Judged(Passage.PASSES, question.before.answer(), why="an answer to what it let through")
        why = "the question came by another way, so this may be invalid to it"
        return Judged(Passage.UNKNOWN, packet, why=why)
