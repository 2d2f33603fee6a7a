"""How the memory of an elastic machine is laid out, and which levers make a size of it. Pure; all sizes in bytes.

The guest's kernel keeps books about every page that it may be given, in memory that cannot be taken away again. A
machine that had its minimum alone at boot could not keep those of a large maximum, and would panic for want of them. So
it has more at boot, which its balloon holds while it is small (docs/decisions/0035-sizes.md).
"""

from dataclasses import dataclass

from weft.model.machine import Profile

BLOCK = 2 << 20
"""What sizes are multiples of."""
PIECE = 4 << 20
"""What Linux plugs and unplugs at a time: before version 6.2 the device's own 2 MiB are too small for it."""
DESCRIBED = 64
"""Linux has one byte of description for so many of memory: 64 for each page."""
LEAST_HEADROOM = 16 << 20
HEADROOM = 8
"""One part in so many of what a guest uses is left to it beside that, and `LEAST_HEADROOM` at least."""
ALARM = LEAST_HEADROOM // 2
"""A guest that shrinks and has less than this available gets some back."""
STRIDE = 32 << 20
"""What a shrink takes at once at least, if there is so much to be taken."""
REGION = 128 << 20
"""What Linux adds memory by: the last part of a region that is no multiple could not be used."""
BOOKS = 16
"""One part in so many of all memory there can be is for the kernel: 1.6 % describe pages, the rest is for what else
cannot be moved when there is more memory, like page tables."""


@dataclass(frozen=True, slots=True)
class MemoryLayout:
    """What QEMU is started with: memory at boot, and a region that more can come into; 0: there is none."""

    boot: int
    region: int = 0


@dataclass(frozen=True, slots=True)
class Levers:
    """What makes a size: how much of the region is plugged, and how much of all the balloon leaves to the guest's boot
    memory.
    """

    plugged: int
    left: int

    @property
    def size(self) -> int:
        """What they make."""
        return self.plugged + self.left


def lay_out(profile: Profile, minimum: int, maximum: int) -> MemoryLayout:
    """For a machine that may have between `minimum` and `maximum`. A microvm has no bus that memory could come by."""
    if maximum <= minimum:
        return MemoryLayout(minimum)
    if profile is Profile.MICROVM:
        return MemoryLayout(round_up(maximum))
    boot = min(round_up(minimum + maximum // BOOKS), round_up(maximum))
    return MemoryLayout(boot, round_up(maximum - boot, REGION))


def plan_levers(layout: MemoryLayout, size: int) -> Levers:
    """What makes `size` of this layout."""
    size = round_up(size)
    plugged = min(round_up(max(0, size - layout.boot), PIECE), layout.region)
    return Levers(plugged, min(size - plugged, layout.boot))


def find_floor(*, boot: int, total: int, now: int, available: int, ballooned: int) -> tuple[int, int]:
    """The least that a guest can be left with, and what of it is in use.

    By its kernel's word: `total` bytes after boot and `now` at present, of which `available`, page cache among them,
    can be had, and the balloon has `ballooned`. What describes memory that is plugged goes with it.
    """
    used = boot - total + now - available - ballooned - max(0, now - total) // DESCRIBED
    return round_up(used + find_headroom(used)), used


def find_headroom(used: int) -> int:
    """What a guest that uses so much is left with beside that."""
    return max(LEAST_HEADROOM, used // HEADROOM)


def plan_descent(now: int, goal: int) -> int:
    """The next size on the way down to `goal`: half of the way, so that programs that grow meanwhile find memory."""
    return max(goal, round_up(now - max(STRIDE, (now - goal) // 2)))


def plan_relief(now: int, before: int, available: int) -> int:
    """What a guest is to get that shrank from `before` and has so little available: what it lacks, and half of what it
    has lost, for it is at it; never more than it had.
    """
    return max(now, min(before, round_up(now + max(2 * LEAST_HEADROOM - available, (before - now) // 2))))


def round_up(size: int, step: int = BLOCK) -> int:
    """To the next multiple of `step`."""
    return -(-size // step) * step
