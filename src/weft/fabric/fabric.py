"""A whole fabric: its rooms, and what they have in common."""

from dataclasses import dataclass

from weft.fabric.forks.rooms import RoomForks
from weft.fabric.images import Images
from weft.fabric.ledger.host import Host
from weft.fabric.reconciling.reconciler import Reconciler
from weft.fabric.room import Room
from weft.fabric.rooms import Rooms
from weft.fabric.shared import Shared


@dataclass(frozen=True, slots=True)
class Fabric:
    """One folder, one daemon, many rooms."""

    shared: Shared
    rooms: Rooms
    images: Images
    reconciler: Reconciler
    host: Host

    @property
    def room_forks(self) -> RoomForks:
        """Copies of whole rooms."""
        return RoomForks(self.rooms)

    @property
    def default(self) -> Room:
        """The room of everybody who names none."""
        return self.rooms.default

    def room(self, name: str) -> Room:
        """A room that is open. Raises NotFound, WrongState while it is being removed, Unavailable when it is broken."""
        return self.rooms.get(name)
