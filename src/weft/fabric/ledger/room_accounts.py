"""What a room's machines reserve and release: the ledger as `scaling` knows it."""

from weft.fabric.ledger.host_ledger import HostLedger
from weft.fabric.records.machine import MachineRecord
from weft.model.elastic import Resource


class RoomAccounts:
    """The accounts of one room's machines."""

    def __init__(self, ledger: HostLedger, room: str) -> None:
        self._ledger = ledger
        self._room = room

    async def reserve(self, machine: MachineRecord, resource: Resource, size: int) -> None:
        """Before a machine's record says that it was granted `size`, which is more than now. Raises NoRoom."""
        await self._ledger.reserve((self._room, machine.name), resource, size)

    async def release(self, machine: MachineRecord, resource: Resource, size: int) -> None:
        """Its record says already that it has no more than `size`, and that is what counts."""
        self._ledger.release((self._room, machine.name), resource)
