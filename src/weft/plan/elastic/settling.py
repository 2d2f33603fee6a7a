"""What comes of what a machine lacks, and of what it could do without. Pure; times are seconds on one clock."""

from collections.abc import Callable
from dataclasses import dataclass, replace

from weft.model.elastic import ElasticPolicy, Resource
from weft.model.units import dump_duration, dump_size
from weft.plan.elastic.past import Past
from weft.plan.elastic.samples import SMOOTHING

WORTH = 0.75
"""A shrink leaves no more than this share, unless it leads to the minimum: less is not worth the risk."""
AGAIN = 0.75
"""How much more comfortable a machine has to be for shrinking once more, soon after it has shrunk."""


@dataclass(frozen=True, slots=True)
class Extent:
    """What a machine may have of a resource, and has now. `books`: the share of it that its kernel needs to keep
    account of it, and has back when it is smaller.
    """

    minimum: int
    maximum: int
    now: int
    books: float = 0.0

    def clamp(self, size: int) -> int:
        """Within the range."""
        return max(self.minimum, min(size, self.maximum))


@dataclass(frozen=True, slots=True)
class Decision:
    """The size that it is to get, None: it stays as it is; why; and what another decision waits for.

    `hidden`: it grows for a want that its use does not show; `asked`: its guest has asked for it.
    """

    target: int | None
    why: str
    waits_for: str = ""
    hidden: bool = False
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Need:
    """What a machine is short of: the size that would do."""

    size: int
    why: str
    hidden: bool = False
    asked: bool = False


@dataclass(frozen=True, slots=True)
class Comfort:
    """The least size at which it would have been comfortable for some time, None: that is not known; and why."""

    size: int | None
    why: str


FindComfort = Callable[[float], Comfort]
"""For the last so many seconds."""


def describe(resource: Resource, size: int) -> str:
    """A size in words: `1 CPU`, `512M`."""
    if resource is Resource.MEMORY:
        return dump_size(size)
    return "1 CPU" if size == 1 else f"{size} CPUs"


def find_asked(resource: Resource, extent: Extent, past: Past, now: float) -> Need | None:
    """What the guest has said that it needs, if that is more than it has."""
    asked = past.asked if now < past.asked_until else 0
    return Need(asked, f"it has asked for {describe(resource, asked)}", asked=True) if asked > extent.now else None


def plan_growth(resource: Resource, extent: Extent, past: Past, need: Need, now: float) -> Decision:
    """It is short of something."""
    enough = past.find_enough(now) if need.hidden else 0
    target = extent.clamp(max(need.size, enough, extent.now))
    if target <= extent.now:
        return Decision(None, need.why, f"nothing: {describe(resource, extent.now)} is all that it may have")
    if refusal := past.find_refusal(now, grow=True):
        return Decision(None, need.why, f"{_until(refusal.again, now)} to pass: {refusal.reason}")
    return Decision(target, need.why, hidden=need.hidden, asked=need.asked)


def plan_shrink(
    policy: ElasticPolicy,
    resource: Resource,
    extent: Extent,
    past: Past,
    find: FindComfort,
    short_when: str,
    now: float,
) -> Decision:
    """It has enough, and perhaps too much. Short spans are looked at first, since that is cheap and mostly all."""
    stay = Decision(None, "it has its minimum", short_when)
    if extent.now <= extent.minimum:
        return stay
    now_enough = find(min(SMOOTHING, policy.down_after))
    stay = replace(stay, why=now_enough.why)
    if now_enough.size is None or not _is_worth(extent.clamp(now_enough.size), extent):
        return stay
    if block := _find_block(policy, resource, extent, past, extent.clamp(now_enough.size), now):
        return replace(stay, waits_for=block)
    half, whole = find(policy.down_after / 2), find(policy.down_after)
    stay = replace(stay, why=whole.why)
    if half.size is None or whole.size is None:
        return stay
    lately, size = extent.clamp(half.size), extent.clamp(whole.size)
    bar = past.find_bar(now)
    target = max(size, extent.clamp(bar.size)) if bar else size
    if lately <= WORTH * size:
        calm = f"{dump_duration(policy.down_after)} as calm as the last {dump_duration(policy.down_after / 2)}"
        return replace(stay, waits_for=f"{calm}, then {describe(resource, lately)}")
    return replace(stay, target=target, waits_for="") if _is_worth(target, extent) else stay


def _find_block(policy: ElasticPolicy, resource: Resource, extent: Extent, past: Past, size: int, now: float) -> str:
    """What it waits for though less would do now."""
    bar = past.find_bar(now)
    target = max(size, extent.clamp(bar.size)) if bar else size
    if bar and not _is_worth(target, extent):
        return f"{_until(bar.until, now)} to pass: {bar.why}"
    words = describe(resource, target)
    if refusal := past.find_refusal(now, grow=False):
        return f"{_until(refusal.again, now)} to pass, then {words}: {refusal.reason}"
    due = past.changed + policy.down_after
    return f"{_until(due, now)} to pass since its last change, then {words}" if due > now else ""


def find_slack(policy: ElasticPolicy, past: Past, now: float) -> float:
    """What the comfort of a smaller size is multiplied by: one shrink soon after another is to be clearly right."""
    last = past.last
    again = last is not None and not last.grew and now - last.at < policy.remember
    return AGAIN if again else 1.0


def _is_worth(target: int, extent: Extent) -> bool:
    return target <= WORTH * extent.now or target == extent.minimum < extent.now


def _until(at: float, now: float) -> str:
    return dump_duration(max(round(at - now), 1))
