"""How frames are led: tc filters on links, as plain data.

A *link* is a network device in the fabric's namespace, by its name. What arrives on a link meets its filters in the
order of their *slots* (tc priorities, lowest first). A `redirect` ends the frame's way here and sends it out of the
target; a `mirror` sends a copy and lets the frame go on to the next slot.
"""

from dataclasses import dataclass
from enum import StrEnum


class FilterKind(StrEnum):
    REDIRECT = "redirect"
    MIRROR = "mirror"


@dataclass(frozen=True, slots=True, order=True)
class Filter:
    """One filter on a link: `target` is the link that frames, or copies of them, leave by."""

    slot: int
    kind: FilterKind
    target: str


@dataclass(frozen=True, slots=True)
class AddFilter:
    """Put a filter into a free slot of a link."""

    link: str
    slot: int
    kind: FilterKind
    target: str


@dataclass(frozen=True, slots=True)
class DeleteFilter:
    """Empty one slot of a link."""

    link: str
    slot: int


FilterChange = AddFilter | DeleteFilter

TRAP_SLOT = 1
"""Heartbeat frames that came through an appliance end here and never reach a machine or a network."""
COPY_SLOTS = range(100, 199)
"""Mirrors for inserts of mode `copy`."""
HOLD_SLOT = 199
"""Frames to a machine that stands still for a moment wait elsewhere: ahead of all paths, behind all copies."""
PATH_SLOTS = (200, 201)
"""The path through a chain. Two slots, so that a new target can be put above or below the old one before that goes."""
BYPASS_SLOT = 300
"""The permanent wire between a port and its machine: never removed while the port exists."""
