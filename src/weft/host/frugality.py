"""What QEMU asks of the kernel that makes it larger, and is not to have: a filter of system calls for its walls.

The calls are answered as if they had been made. Why that is right: docs/decisions/0033-memory.md.
"""

from weft.host.seccomp import Rule

_MADVISE, _HUGE_PAGES = 28, 14
_FALLOCATE, _PUNCH_HOLE = 285, 2


def plan_frugality(accel: str, *, borrowed: bool, disks: bool) -> list[Rule]:
    """The rules for a QEMU. `borrowed`: its memory is sealed, and it keeps to itself what it writes there."""
    rules = []
    if accel == "tcg":
        # The buffer for translated code would be filled by 2 MB at a time, most of which is never used.
        rules.append(Rule(_MADVISE, 0, argument=2, value=_HUGE_PAGES))
    if borrowed and not disks:
        # Pages that the guest gives back are punched out of the file first, which the seal forbids, and only then
        # let go of. Disks are punched by the same call, and must be.
        rules.append(Rule(_FALLOCATE, 0, argument=1, bits=_PUNCH_HOLE))
    return rules
