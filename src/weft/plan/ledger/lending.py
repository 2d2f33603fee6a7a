"""Who has lent what to whom: guarantees that a room does not use are others' while they have no use for them."""

from dataclasses import dataclass

from weft.plan.ledger.accounts import Ledger
from weft.plan.ledger.shares import divide


@dataclass(frozen=True, slots=True)
class Loan:
    """Bytes of one room's guarantee that the machines of another have."""

    lender: str
    borrower: str
    memory: int


def find_loans(ledger: Ledger) -> list[Loan]:
    """What rooms have beyond their promises comes from what is promised to nobody first. The rest is others'.

    Memory has no owner's name on it: each lends in proportion to what it does not use, to each in proportion to what
    that has too much. A room borrows nothing of itself: it has no more than it is promised, or uses all of that.
    """
    idle = {room: max(0, ledger.promised_to(room) - ledger.granted_to(room)) for room in ledger.names}
    over = {room: max(0, ledger.granted_to(room) - ledger.promised_to(room)) for room in ledger.names}
    unpromised = max(0, ledger.host.capacity - ledger.promised)
    lent = min(max(0, sum(over.values()) - unpromised), sum(idle.values()))
    borrowed = divide(lent, list(over.values()))
    loans, left = [], dict(idle)
    for borrower, amount in zip(over, borrowed, strict=True):
        parts = divide(amount, list(left.values()))
        for lender, part in zip(left, parts, strict=True):
            if part:
                loans.append(Loan(lender, borrower, part))
                left[lender] -= part
    return loans
