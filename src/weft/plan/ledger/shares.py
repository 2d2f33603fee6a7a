"""Dividing things up in proportion."""

from collections.abc import Mapping, Sequence

from weft.model.room import MAX_WEIGHT


def divide(amount: int, claims: Sequence[int]) -> list[int]:
    """`amount` in proportion to claims, none of which gets more than it claims; the parts add up to it, or to all that
    is claimed. What does not divide goes to the largest fractions, and among these to the first.
    """
    total = sum(claims)
    if amount >= total:
        return list(claims)
    parts = [amount * claim // total for claim in claims]
    fractions = sorted(range(len(claims)), key=lambda index: (-(amount * claims[index] % total), index))
    for index in fractions[: amount - sum(parts)]:
        parts[index] += 1
    return parts


def plan_weights(cpus: float, guarantees: Mapping[str, float], weights: Mapping[str, int]) -> dict[str, int]:
    """Weights by which each room gets what it is guaranteed of `cpus` processors when all of them want more.

    A room whose own weight comes to less is raised; the others share the rest by theirs. Guarantees that leave nothing
    for the others leave them the least there is.
    """
    raised: set[str] = set()
    while True:
        rest = cpus - sum(guarantees.get(name, 0.0) for name in raised)
        others = sum(weight for name, weight in weights.items() if name not in raised)
        each = rest / others if others and rest > 0 else 0.0
        short = {
            name
            for name, weight in weights.items()
            if name not in raised and guarantees.get(name, 0.0) > weight * each + 1e-9
        }
        if not short:
            break
        raised |= short
    unit = each or cpus / MAX_WEIGHT
    wanted = {name: guarantees[name] / unit if name in raised else float(weights[name]) for name in weights}
    scale = min(1.0, MAX_WEIGHT / max(wanted.values(), default=1.0))
    return {name: max(1, round(weight * scale)) for name, weight in wanted.items()}
