"""Which filters to change, in which order, so that a port's chain becomes what is wanted while traffic flows.

Every port has two ends: the *patch* side (towards the network) and the machine's *tap*. Two permanent redirects, in
the lowest slot, join them. An inline appliance has two links as well. Frames towards the machine follow, from the
patch side, the redirect of each link they come in by; frames from the machine do the same from its tap.

The rule behind the order: in each direction links are retargeted **from the end of the way back to its start**. When
a link is about to change, everything behind its new target is already final; what lies before it is still old, and an
old way that runs into a final link continues on the final way to its end. So after every single step each frame has
exactly one complete path, whatever the old and the new chain are, and no frame can go round in a circle. The test
simulates this for random chains.

Appliances that left keep their own redirects, so that frames still inside them find their way out; `plan_retire`
takes those away once they have drained.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from weft.model.wiring import (
    BYPASS_SLOT,
    COPY_SLOTS,
    PATH_SLOTS,
    AddFilter,
    DeleteFilter,
    Filter,
    FilterChange,
    FilterKind,
)
from weft.plan.linknames import VOID

Wiring = Mapping[str, Sequence[Filter]]
"""The filters seen on each link. A link that is missing has none."""


@dataclass(frozen=True, slots=True)
class Appliance:
    """The two links of an appliance; `inline` or a listener that only gets copies."""

    network_side: str
    machine_side: str
    inline: bool = True


@dataclass(frozen=True, slots=True)
class Ends:
    """The two links that a port joins."""

    patch: str
    tap: str


@dataclass(frozen=True, slots=True)
class Ears:
    """Links that get copies: of what reaches the machine, and of what reaches the network."""

    inward: tuple[str, ...] = ()
    outward: tuple[str, ...] = ()


DEAF = Ears()


def plan_bypass(ends: Ends, wiring: Wiring) -> list[FilterChange]:
    """The permanent redirects of a port, as far as they are missing, or lead to an end that was made anew since."""
    changes: list[FilterChange] = []
    for link, target in ((ends.tap, ends.patch), (ends.patch, ends.tap)):
        seen = [found for found in wiring.get(link, ()) if found.slot == BYPASS_SLOT]
        if seen != [Filter(BYPASS_SLOT, FilterKind.REDIRECT, target)]:
            changes += [DeleteFilter(link, BYPASS_SLOT)] if seen else []
            changes.append(AddFilter(link, BYPASS_SLOT, FilterKind.REDIRECT, target))
    return changes


def plan_void(tap: str, wiring: Wiring) -> list[FilterChange]:
    """What comes out of a tap is gone, as far as it is not so yet: nobody is to hear who is behind it."""
    seen = [found for found in wiring.get(tap, ()) if found.slot == BYPASS_SLOT]
    return [] if seen else [AddFilter(tap, BYPASS_SLOT, FilterKind.REDIRECT, VOID)]


def plan_splice(ends: Ends, chain: Sequence[Appliance], wiring: Wiring, ears: Ears = DEAF) -> list[FilterChange]:
    """The changes that lead frames through `chain`, which is ordered from the network side to the machine side.

    The port must have its permanent redirects. A second call with the resulting wiring returns nothing.
    """
    inline = [appliance for appliance in chain if appliance.inline]
    changes: list[FilterChange] = []
    for way in (_inward(ends, inline), _outward(ends, inline)):
        for link, target in reversed(way):
            is_bypass = {link, target} == {ends.patch, ends.tap}
            changes += _retarget(link, None if is_bypass else target, wiring.get(link, ()))
    return changes + _plan_copies(ends, chain, wiring, ears)


def plan_retire(appliance: Appliance, wiring: Wiring) -> list[FilterChange]:
    """Take away all redirects and mirrors of an appliance that is in no chain any more and has drained."""
    return [
        DeleteFilter(link, seen.slot)
        for link in (appliance.network_side, appliance.machine_side)
        for seen in wiring.get(link, ())
        if seen.slot in PATH_SLOTS or seen.slot in COPY_SLOTS
    ]


def _inward(ends: Ends, inline: Sequence[Appliance]) -> list[tuple[str, str]]:
    links = [ends.patch, *(side for a in inline for side in (a.network_side, a.machine_side)), ends.tap]
    return list(_pairs(links))


def _outward(ends: Ends, inline: Sequence[Appliance]) -> list[tuple[str, str]]:
    links = [ends.tap, *(side for a in reversed(inline) for side in (a.machine_side, a.network_side)), ends.patch]
    return list(_pairs(links))


def _pairs(links: Sequence[str]) -> Iterator[tuple[str, str]]:
    """(where frames come in, where they leave): inside an appliance it is the guest that carries them."""
    return zip(links[0::2], links[1::2], strict=True)


def _retarget(link: str, target: str | None, seen: Iterable[Filter]) -> Iterator[FilterChange]:
    """Lead `link` to `target` (None: to whatever the permanent redirect says), one safe step at a time."""
    path = sorted(f for f in seen if f.slot in PATH_SLOTS)
    for shadowed in path[1:]:
        yield DeleteFilter(link, shadowed.slot)
    current = path[0] if path else None
    if current and current.target == target:
        return
    if target is not None:
        first, second = PATH_SLOTS
        slot = second if current and current.slot == first else first
        yield AddFilter(link, slot, FilterKind.REDIRECT, target)
    if current:
        yield DeleteFilter(link, current.slot)


def _plan_copies(ends: Ends, chain: Sequence[Appliance], wiring: Wiring, ears: Ears) -> list[FilterChange]:
    """Mirrors for the listeners of a chain: new ones first, then those that nobody wants any more go."""
    wanted = [*_wanted_copies(ends, chain), *_wanted_by(ends, chain, ears)]
    changes: list[FilterChange] = []
    links = dict.fromkeys([*(link for link, _ in wanted), *_links_of(ends, chain)])
    for link in links:
        mirrors = {f.target: f.slot for f in wiring.get(link, ()) if f.slot in COPY_SLOTS}
        targets = [target for where, target in wanted if where == link]
        free = iter(slot for slot in COPY_SLOTS if slot not in mirrors.values())
        for target in targets:
            if target not in mirrors:
                changes.append(AddFilter(link, next(free), FilterKind.MIRROR, target))
        changes += [DeleteFilter(link, slot) for target, slot in mirrors.items() if target not in targets]
    return changes


def _wanted_by(ends: Ends, chain: Sequence[Appliance], ears: Ears) -> Iterator[tuple[str, str]]:
    """They listen where frames have come through the whole chain."""
    inline = [appliance for appliance in chain if appliance.inline]
    for way, targets in ((_inward(ends, inline), ears.inward), (_outward(ends, inline), ears.outward)):
        yield from ((way[-1][0], target) for target in targets)


def _links_of(ends: Ends, chain: Sequence[Appliance]) -> Iterator[str]:
    yield from (ends.patch, ends.tap)
    for appliance in chain:
        yield from (appliance.network_side, appliance.machine_side)


def _wanted_copies(ends: Ends, chain: Sequence[Appliance]) -> Iterator[tuple[str, str]]:
    """(link to listen at, link to copy to): a listener hears what crosses its own place in the chain.

    It hears both directions on its network side: on two NICs it might read an answer before the question.
    """
    for index, listener in enumerate(chain):
        if listener.inline:
            continue
        before = [a for a in chain[:index] if a.inline]
        behind = [a for a in chain[index + 1 :] if a.inline]
        yield (before[-1].machine_side if before else ends.patch), listener.network_side
        yield (behind[0].network_side if behind else ends.tap), listener.network_side
