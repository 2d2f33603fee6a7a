"""What changes a machine's size: a lever for each resource; and who keeps account of what the host has given."""

from dataclasses import dataclass
from typing import Protocol

from weft.fabric.records.machine import MachineRecord
from weft.model.elastic import Resource, ScaleState


@dataclass(frozen=True, slots=True)
class Effective:
    """What a machine has, by QEMU's word and by its kernel's; None: it does not say."""

    qemu: int | None = None
    guest: int | None = None

    def most(self, unknown: int) -> int:
        """The larger of what both say; `unknown` when neither does."""
        return max((size for size in (self.qemu, self.guest) if size is not None), default=unknown)


@dataclass(frozen=True, slots=True)
class Floor:
    """The least that a machine can be left with now, and why not less, as the end of a sentence."""

    least: int
    why: str = ""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a move. `lost`: it will be so until the machine is started again."""

    state: ScaleState
    reason: str = ""
    lost: bool = False


APPLIED = Outcome(ScaleState.APPLIED)


class Lever(Protocol):
    """Changes one resource of machines that run and whose agent has answered. Sizes are processors, or bytes.

    Everything can be done again, and can be cancelled: whatever comes after looks at what there is.
    """

    async def prepare(self, machine: MachineRecord) -> MachineRecord:
        """Bring a machine that has just booted to what it was granted, and note what will be needed later.

        Raises what is in the way for good.
        """

    async def read(self, machine: MachineRecord) -> Effective:
        """What it has now."""

    async def find_floor(self, machine: MachineRecord) -> Floor:
        """The least that it can be left with."""

    async def move(self, machine: MachineRecord, size: int, seconds: float) -> Outcome:
        """Change it to `size`, which is not below its floor, within so much time."""


class Accounts(Protocol):
    """Who keeps account of what machines were given."""

    async def reserve(self, machine: MachineRecord, resource: Resource, size: int) -> None:
        """Before a machine's record says that it was granted `size`, which is more than now. Raises NoRoom."""

    async def release(self, machine: MachineRecord, resource: Resource, size: int) -> None:
        """When a machine is known to have no more than `size`."""


class Generous:
    """Accounts of somebody who never runs out."""

    async def reserve(self, machine: MachineRecord, resource: Resource, size: int) -> None:
        """There is enough."""

    async def release(self, machine: MachineRecord, resource: Resource, size: int) -> None:
        """Nobody has waited for it."""
