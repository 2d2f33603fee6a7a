"""What guests said of the real packet, held against what they should have done."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from weft.model.trace import Passage, Way
from weft.plan.tracing.nft import Sighting
from weft.plan.tracing.walk import GuestPassage, Hop


@dataclass(frozen=True, slots=True)
class Observed:
    """A hop, and what its guest said: None when it said nothing, or was not asked."""

    hop: Hop
    sighting: Sighting | None = None

    @property
    def seen(self) -> list[str]:
        """In its words, a line for each thing that decided something."""
        return [str(step) for step in self.sighting.steps if step.is_worth_telling] if self.sighting else []


@dataclass(frozen=True, slots=True)
class Missed:
    """It listened, and the packet did not come."""


Sightings = Mapping[GuestPassage, Sighting | None]
"""What each guest saw; None: it listened in vain. Those that could not listen are left out."""


def list_watched(hops: Sequence[Hop]) -> list[GuestPassage]:
    """Whom to ask on the way there. The answer belongs to a flow that is known by then, and is not asked for."""
    return list(dict.fromkeys(hop.passage for hop in hops if hop.way is Way.THERE and hop.passage is not None))


def observe(hops: Sequence[Hop], sightings: Sightings) -> tuple[list[Observed], list[str]]:
    """The hops with what was said at each, and where that is not what should have been.

    Where nobody knew what a guest does, what it says decides.
    """
    observed: list[Observed] = []
    disagreements: list[str] = []
    for hop in hops:
        sighting = _find(hop, sightings)
        disagreements += _compare(hop, sighting)
        observed.append(Observed(_decide(hop, sighting), sighting if isinstance(sighting, Sighting) else None))
        if observed[-1].hop.verdict is Passage.STOPS:
            break
    return observed, disagreements


def _find(hop: Hop, sightings: Sightings) -> Sighting | Missed | None:
    """What the guest of a hop saw; None: nobody asked it."""
    if hop.passage is None or hop.way is Way.BACK or hop.passage not in sightings:
        return None
    return sightings[hop.passage] or Missed()


def _compare(hop: Hop, sighting: Sighting | Missed | None) -> list[str]:
    if sighting is None or hop.passage is None or not hop.passage.is_judged:
        return []
    if isinstance(sighting, Missed):
        return [f"{hop.at} has not seen the packet"]
    if hop.verdict is Passage.STOPS and sighting.end is None:
        return [f"{hop.at} should stop it{_by(hop.rule)}; yet it let it pass"]
    if hop.verdict is Passage.PASSES and sighting.end is not None:
        return [f"{hop.at} should let it pass{_by(hop.rule)}; yet it stopped it: {sighting.end}"]
    if hop.rule is not None and hop.rule not in sighting.names:
        return [f"{hop.at} should go{_by(hop.rule)}; it went by {', '.join(sighting.names) or 'none that has a name'}"]
    return []


def _decide(hop: Hop, sighting: Sighting | Missed | None) -> Hop:
    """A guest whose rules are not known has shown what it does."""
    if not isinstance(sighting, Sighting) or hop.passage is None:
        return hop
    if sighting.end is not None and not (hop.passage.is_judged and hop.verdict is not Passage.UNKNOWN):
        return replace(hop, verdict=Passage.STOPS, why=f"it stopped it: {sighting.end}", rule=sighting.end.name)
    if hop.verdict is Passage.UNKNOWN:
        return replace(hop, verdict=Passage.PASSES, why="it let it pass", rule=next(iter(sighting.names), None))
    return hop


def _by(rule: str | None) -> str:
    return f" by {rule}" if rule else ""
