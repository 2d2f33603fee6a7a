"""The order of a chain: which inserts can stay where they are, and where new ones go. Pure."""

from bisect import bisect_left
from collections.abc import Mapping, Sequence

from weft.model.fabric_file import InsertFile


def want_order(inserts: Mapping[str, InsertFile]) -> list[str]:
    """The order that the inserts of one port are to have: that of the file, but for those that name their place."""
    order: list[str] = []
    for name, insert in inserts.items():
        order.insert(len(order) if insert.at is None else insert.at, name)
    return order


def find_steady(present: Sequence[str], wanted: Sequence[str]) -> set[str]:
    """As many as possible of those that are in both, such that they are in the same order in both."""
    places = [(wanted.index(name), name) for name in present if name in wanted]
    tails: list[int] = []
    chains: list[list[str]] = []
    for place, name in places:
        length = bisect_left(tails, place)
        chain = [*(chains[length - 1] if length else ()), name]
        tails[length:] = [place]
        chains[length:] = [chain]
    return set(chains[-1]) if chains else set()


def find_spot(chain: Sequence[str], before: str | None, after: str | None, old: str | None, at: int | None) -> int:
    """Where in a chain a new one goes: behind `before`, the one that is to be ahead of it, and ahead of `after`.

    Where `old` is, whose place it takes, if that is between them.
    """
    low = chain.index(before) + 1 if before is not None else 0
    high = chain.index(after) if after is not None else len(chain)
    if old is not None and low <= chain.index(old) <= high:
        return chain.index(old)
    if before is None and after is None:
        return high if at is None else min(at, high)
    return low if before is not None else high
