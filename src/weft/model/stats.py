"""What machines use now, and what runs in them."""

from pydantic import BaseModel, Field


class NicStats(BaseModel):
    """What one NIC has carried since its link was made, as the machine sees it: `received` and `sent` in bytes."""

    nic: int
    network: str | None
    received: int
    sent: int
    forged: int = Field(default=0, description="frames that it sent and that were not its own: dropped")


class StatsView(BaseModel):
    """What a machine that runs uses. None: nobody could say; the guest's own numbers come from its agent."""

    name: str
    time: float = Field(description="when it was asked, seconds since the epoch")
    cpus: int
    cpu_seconds: float | None = Field(description="processor time of the host since the machine's start")
    resident: int | None = Field(description="bytes of host memory its QEMU holds, shared or not")
    additional: int | None = Field(
        default=None,
        description="bytes of host memory it costs in addition: what it has for itself, and its share of what it has "
        "together with other machines; some seconds old",
    )
    memory_total: int | None = Field(description="bytes the guest has for itself")
    memory_used: int | None = Field(description="bytes of these that it cannot give up")
    processes: int | None = Field(description="in the guest, threads of its kernel included")
    read_bytes: int | None = Field(description="from the host's disks")
    written_bytes: int | None = Field(description="to the host's disks")
    nics: list[NicStats] = Field(default_factory=list)


class ProcessView(BaseModel):
    """A process in a machine."""

    pid: int
    parent: int
    uid: int
    state: str = Field(description="a letter, as in proc(5)")
    threads: int
    resident: int = Field(description="bytes")
    cpu_seconds: float
    started: float = Field(description="seconds since the machine's boot")
    command: str = Field(description="the program and its arguments, or its bare name when it shows none")
