"""What machines used until now, step by step."""

from pydantic import BaseModel, ConfigDict, Field

from weft.model.elastic import Resource


class HistoryPoint(BaseModel):
    """A step of time. Shares and rates are means over it, amounts and pressure the highest in it; pressure is the share
    of the last ten seconds, in percent, in which something in the guest had to wait. None: nobody could say.
    """

    model_config = ConfigDict(frozen=True)

    time: float = Field(description="when it begins, seconds since the epoch")
    seconds: float = Field(description="how long it is")
    cpu: float | None = Field(default=None, description="processors of the host that it kept busy: 0.5 is half of one")
    cpus: int | None = Field(default=None, description="processors that it was granted")
    memory_granted: int | None = Field(default=None, description="bytes that it was granted")
    memory_total: int | None = Field(default=None, description="bytes the guest had for itself")
    memory_used: int | None = Field(default=None, description="bytes of these that it could not give up")
    resident: int | None = Field(default=None, description="bytes of host memory its QEMU held, shared or not")
    cpu_pressure: float | None = None
    memory_pressure: float | None = None
    io_pressure: float | None = None
    received: float | None = Field(default=None, description="bytes a second, by all NICs")
    sent: float | None = Field(default=None, description="bytes a second, by all NICs")
    read: float | None = Field(default=None, description="bytes a second from the host's disks")
    written: float | None = Field(default=None, description="bytes a second to the host's disks")


class SizeChange(BaseModel):
    """A machine was granted more or less than in the step before; `time` is when the step began."""

    model_config = ConfigDict(frozen=True)

    time: float
    resource: Resource
    before: int
    after: int


class HistoryEvent(BaseModel):
    """Something that happened to the machine: its starts, ends, and requests for another size."""

    time: float
    kind: str
    text: str


class HistoryView(BaseModel):
    """What a machine used between two times, oldest first; nothing for times at which it did not run."""

    name: str
    since: float
    until: float
    points: list[HistoryPoint]
    changes: list[SizeChange]
    events: list[HistoryEvent] = Field(description="those that the daemon remembers, which are those of its own life")
