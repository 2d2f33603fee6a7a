"""What the store remembers of a room."""

from weft.fabric.records.record import Record
from weft.model.room import RoomSpec


class RoomRecord(Record):
    """A room. `block`: of its user ids. `file` and `applied`: the fabric file it was last made to match, where that was
    and what it said, as JSON.
    """

    spec: RoomSpec
    block: int
    created: float
    file: str | None = None
    applied: str | None = None
    shadows: str | None = None
    """The room that it gets copies of frames from."""
    forking: bool = False
    """It is to be a copy of another room, and is not complete yet."""
    removing: bool = False

    @property
    def name(self) -> str:
        return self.spec.name
