"""What the store remembers of an insert."""

from fractions import Fraction

from weft.fabric.records.record import Record
from weft.model.insert import InsertSpec, InsertState
from weft.model.names import PortName, parse_port


class InsertRecord(Record):
    """An insert. `rank` orders those of one port from the network side; it is a fraction, so nobody else moves. An
    `ephemeral` one lives as long as the request that made it; a `parked` one's machine was there before it. One that
    replaced another `stands_for` the name that a fabric file has for both.
    """

    spec: InsertSpec
    rank: Fraction
    created: float
    state: InsertState = InsertState.STARTING
    reason: str = ""
    expires: float | None = None
    ephemeral: bool = False
    parked: bool = False
    keep: bool = False
    until: float | None = None
    """While it drains: when that is over at the latest."""
    stands_for: str = ""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def port(self) -> PortName:
        return parse_port(self.spec.before)

    @property
    def carries(self) -> bool:
        """Whether the chain leads through it: a blocked insert stays in the way, that is its policy, and one that
        drains has flows that need it."""
        return self.state in (InsertState.ACTIVE, InsertState.BLOCKED) or self.until is not None
