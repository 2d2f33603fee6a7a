"""A port's filters as they are, against those that its chain wants."""

from collections.abc import Sequence

from weft.model.wiring import AddFilter, DeleteFilter, Filter, FilterChange, FilterKind
from weft.plan.splice import Appliance, Wiring, plan_bypass, plan_splice
from weft.plan.tracing.room import TracedPort


def find_differences(port: TracedPort) -> list[str]:
    """What is not as the chain says, a phrase each; nothing when nobody has looked."""
    if port.ends is None or port.seen is None:
        return []
    changes = [*plan_bypass(port.ends, port.seen), *plan_splice(port.ends, port.carrying, port.seen, port.ears)]
    return [_describe(change, port.seen) for change in changes]


def follow(port: TracedPort, *, inward: bool) -> str | None:
    """Where frames of one direction end that do not get to the other end; None: they do, or nobody has looked."""
    if port.ends is None or port.seen is None:
        return None
    begin, end = (port.ends.patch, port.ends.tap) if inward else (port.ends.tap, port.ends.patch)
    at, visited = begin, {begin}
    while (target := _find_target(port.seen.get(at, ()))) != end:
        across = _cross(port.carrying, target)
        if across is None or across in visited:
            return f"{at} leads {f'to {target}' if target else 'nowhere'}"
        visited.add(across)
        at = across
    return None


def _find_target(filters: Sequence[Filter]) -> str | None:
    """Where a frame goes: the redirect in the lowest slot ends its way here."""
    return next((one.target for one in sorted(filters) if one.kind is FilterKind.REDIRECT), None)


def _cross(appliances: Sequence[Appliance], side: str | None) -> str | None:
    """The other side of the appliance that a link belongs to: its guest carries frames across."""
    for one in appliances:
        if side == one.network_side:
            return one.machine_side
        if side == one.machine_side:
            return one.network_side
    return None


def _describe(change: FilterChange, seen: Wiring) -> str:
    if isinstance(change, AddFilter):
        return f"{change.link} does not {change.kind} to {change.target}"
    return f"{change.link} has a filter too many{_where_to(change, seen)}"


def _where_to(change: DeleteFilter, seen: Wiring) -> str:
    found = [one for one in seen.get(change.link, ()) if one.slot == change.slot]
    return f", {found[0].kind} to {found[0].target}" if found else ""
