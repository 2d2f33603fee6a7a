"""What the store remembers of a pool and of the copies in it."""

from weft.fabric.records.machine import Holding, MachineRecord
from weft.fabric.records.record import Record
from weft.model.pool import PoolSpec


class PoolRecord(Record):
    """A pool. Its name is its image's."""

    spec: PoolSpec
    created: float

    @property
    def name(self) -> str:
        return self.spec.image


class CopyRecord(Record):
    """A copy that a pool keeps: a machine that has yet to become one of the room's.

    `image`: whose pool's it is; `fits`: what it was made for, as a text; `macs`: by which its guest knows its NICs;
    `ready`: it holds, and can be taken.
    """

    machine: MachineRecord
    macs: tuple[str, ...] = ()
    image: str
    fits: str
    created: float
    ready: bool = False

    @property
    def name(self) -> str:
        return self.machine.name

    def lend_to(self, machine: MachineRecord) -> MachineRecord:
        """A machine that has yet to be put on record, with what the copy has: its processes, its slot, its group."""
        lent = ("slot", "uuid", "monitor", "qemu", "limits", "booted", "origin", "group")
        changes = {part: getattr(self.machine, part) for part in lent}
        held = Holding(copy_name=self.name, macs=self.macs)
        return machine.model_copy(update={"held": held, **changes})
