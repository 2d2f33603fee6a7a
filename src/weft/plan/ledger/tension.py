"""When machines are asked to give memory back, and when they get it again."""

from dataclasses import dataclass

from weft.plan.ledger.accounts import HostAccount

PLENTY = 2
"""There is plenty when so many times the reserve are left: between the two nothing happens, so nothing flaps."""
CALM = 30.0
"""Seconds that it has to be so before anybody gets memory again."""
STALLED = 20.0
"""Percent of the time in which something waits for memory (PSI, `some avg10`) that make a host tight before its
reserve is touched. With plenty left it is a group that waits, within a limit of its own."""


@dataclass(frozen=True, slots=True)
class Tension:
    """How the host stands, from one look to the next. `since`: when it was last short, or first looked at."""

    tight: bool = False
    since: float | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """What is to be done: `shortage` bytes are to be found, or `plenty` can be given away; 0: neither."""

    tension: Tension
    shortage: int = 0
    plenty: int = 0


def judge(before: Tension, host: HostAccount, stalled: float | None, now: float) -> Verdict:
    """What a look at the host says. `stalled`: percent; None where the kernel does not count that."""
    most = max(host.reserve * PLENTY, 1)
    is_stalled = stalled is not None and stalled >= STALLED and host.available < most
    if host.available < host.reserve or is_stalled:
        shortage = max(most - host.available, host.reserve // 2 if is_stalled else 0)
        return Verdict(Tension(True, now), shortage=shortage)
    since = now if before.since is None else before.since
    if host.available < most:
        return Verdict(Tension(before.tight, now if before.tight else since))
    if now - since < CALM:
        return Verdict(Tension(before.tight, since))
    return Verdict(Tension(False, since), plenty=host.available - most)
