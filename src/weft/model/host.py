"""What a host has, and who has it. Memory in bytes."""

from pydantic import BaseModel, Field

from weft.model.room import RoomResources


class MachineShare(BaseModel):
    """What one machine has of its host. None: nobody could say."""

    room: str
    name: str
    promised: int = Field(description="its minimum")
    granted: int = Field(description="what the host keeps for it now")
    lent: int = Field(description="of that, what is above its minimum and can be asked back")
    used: int | None = Field(description="what its guest cannot give up")
    cost: int | None = Field(description="what its control group holds of the host's memory, its QEMU's own included")
    gave: int = Field(description="what it gave back when the host was short, and has not got again")
    cpus_promised: int
    cpus_granted: int
    idle: bool = Field(description="it has hardly used a processor since the last look")


class RoomShare(BaseModel):
    """What the machines of one room have, all together."""

    name: str
    resources: RoomResources
    machines: int = Field(description="that run")
    promised: int = Field(description="its guarantee, or the minima of its machines if they are more")
    granted: int
    used: int = Field(description="as far as guests say")
    cost: int
    lends: int = Field(description="of what it is promised, what machines of other rooms have now")
    borrows: int = Field(description="what its machines have of other rooms' promises")
    gave: int
    cpus_promised: float
    cpus_granted: int


class LoanView(BaseModel):
    """What is promised to one room and had by the machines of another."""

    lender: str
    borrower: str
    memory: int


class HostView(BaseModel):
    """The host as its ledger has it."""

    memory: int = Field(description="what it has, or the part of it that is counted with")
    reserve: int = Field(description="kept for the host itself")
    available: int = Field(description="what it could give to programs now")
    capacity: int = Field(description="what may be promised and granted")
    promised: int
    granted: int
    used: int = Field(description="by guests, as far as they say")
    cost: int = Field(description="held by all machines, their QEMUs' own included")
    free: int = Field(description="what could still be granted")
    memory_overcommit: float
    cpus: int
    cpu_overcommit: float | None
    cpus_promised: float
    cpus_granted: int
    tight: bool = Field(description="it is short of memory, or was a moment ago")
    rooms: list[RoomShare]
    machines: list[MachineShare]
    loans: list[LoanView]
