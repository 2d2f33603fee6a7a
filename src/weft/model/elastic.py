"""Elastic machines: how far one may grow and shrink, when it does so by itself, and what became of each request."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, model_validator

from weft.model.errors import Invalid
from weft.model.ranges import NO_ROOM


class Resource(StrEnum):
    """What a machine can have more or less of: processors, counted, or memory, in bytes."""

    CPUS = "cpus"
    MEMORY = "memory"


class PolicyMode(StrEnum):
    """Whether the fabric changes a machine's size by itself, or only `weft scale` does."""

    AUTO = "auto"
    MANUAL = "manual"


class ElasticPolicy(BaseModel):
    """When a machine grows and shrinks by itself. The reasons for the defaults are in docs/guide/elastic.md.

    Shares are of 1, times in seconds, sizes in bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: PolicyMode = PolicyMode.AUTO
    cpu_busy: float = Field(default=0.9, gt=0, le=1, description="it is short of CPUs if they are this busy")
    cpu_pressure: float = Field(
        default=0.25, ge=0, le=1, description="and programs wait for one this share of the time"
    )
    cpu_after: float = Field(default=3.0, gt=0, le=3600, description="for so long")
    cpu_step: float = Field(default=4.0, gt=1, le=64, description="at most so many times as many CPUs at once")
    cpu_comfort: float = Field(default=0.6, gt=0, lt=1, description="how busy fewer CPUs may be, by what was used")
    memory_low: float = Field(default=0.1, gt=0, lt=1, description="it is short of memory with less available")
    memory_pressure: float = Field(default=0.1, ge=0, le=1, description="or if programs wait for it this share")
    memory_after: float = Field(default=1.0, gt=0, le=3600, description="for so long")
    memory_step: float = Field(default=1.5, gt=1, le=64, description="so many times as much memory at once, or more")
    memory_comfort: float = Field(default=0.65, gt=0, lt=1, description="how much of less memory may be in use")
    memory_headroom: int = Field(default=16 << 20, ge=0, description="what is left free of less memory at least")
    down_after: float = Field(default=300.0, gt=0, le=86400, description="less would have been enough for so long")
    remember: float = Field(default=3600.0, ge=0, le=86400, description="how long a size that was too small is avoided")
    ask_holds: float = Field(default=600.0, ge=0, le=86400, description="how long it keeps what it has asked for")

    @model_validator(mode="after")
    def _check_gaps(self) -> "ElasticPolicy":
        """A machine that has just shrunk must not be short at once."""
        if self.cpu_comfort >= self.cpu_busy:
            raise Invalid(f"cpu_comfort {self.cpu_comfort:g} has to be below cpu_busy {self.cpu_busy:g}")
        if self.memory_comfort >= 1 - self.memory_low:
            raise Invalid(
                f"memory_comfort {self.memory_comfort:g} and memory_low {self.memory_low:g} have to be below 1 together"
            )
        return self


MANUAL = ElasticPolicy(mode=PolicyMode.MANUAL)
"""Nobody but `weft scale` changes a machine's size."""


class ElasticSpec(BaseModel):
    """How far a machine may grow. The least it has, and starts with, is what its spec says; None: that does not change.

    Memory is in bytes.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_cpus: int | None = Field(default=None, ge=1, le=64)
    max_memory: int | None = Field(default=None, ge=1)
    policy: ElasticPolicy = MANUAL

    @model_validator(mode="after")
    def _check(self) -> "ElasticSpec":
        if self.max_cpus is None and self.max_memory is None:
            raise Invalid(NO_ROOM, hint="say how far: --cpus 1..4, or --memory ..2G")
        return self


class CpuMode(StrEnum):
    """How processors come and go: by real hot-plug, or all are there and the guest keeps some offline (`parked`), with
    a quota of the host's as the real limit; `fixed`: they do not.
    """

    HOTPLUG = "hotplug"
    PARKED = "parked"
    FIXED = "fixed"


class MemoryMode(StrEnum):
    """How memory comes and goes: a virtio-mem device with the balloon below what was there at boot; the balloon alone;
    `fixed`: it does not.
    """

    VIRTIO_MEM = "virtio-mem"
    BALLOON = "balloon"
    FIXED = "fixed"


class ScaleState(StrEnum):
    """What became of a request: the guest has it; it is on its way; it was not let, by guest, host or rules; or it did
    not come to it in time.
    """

    APPLIED = "applied"
    CONVERGING = "converging"
    REFUSED = "refused"
    FAILED = "failed"

    @property
    def is_settled(self) -> bool:
        """Whether nothing more will become of it."""
        return self is not ScaleState.CONVERGING


class ScaleRequest(BaseModel):
    """A wish for another size of one resource, and what became of it. Times are seconds since the epoch."""

    model_config = ConfigDict(frozen=True)

    resource: Resource
    wanted: int = Field(description="processors, or bytes of memory")
    by: str = Field(description="who asked, like `weft scale`, `policy` or `host`")
    why: str = Field(default="", description="why they did, where they say so")
    asked: float
    deadline: float = Field(description="when it has failed if it has not been applied")
    state: ScaleState = ScaleState.CONVERGING
    reason: str = Field(default="", description="why it is not applied, in the guest's words where it has any")
    settled: float | None = None


class ResourceView(BaseModel):
    """One resource of an elastic machine. None: nobody could say, or it does not run."""

    minimum: int
    maximum: int
    mechanism: str = Field(description="how it comes and goes: a mode of processors or of memory")
    granted: int | None = Field(default=None, description="what the host keeps for it now")
    qemu: int | None = Field(default=None, description="what it has by QEMU's word")
    guest: int | None = Field(default=None, description="what it has by its kernel's word")
    request: ScaleRequest | None = Field(default=None, description="the last wish for another size")
    lost: str = Field(default="", description="why that cannot change any more, until it is started again")


class ElasticView(BaseModel):
    """How elastic a machine is now."""

    name: str
    cpus: ResourceView
    memory: ResourceView
    policy: ElasticPolicy
    lost: str = Field(default="", description="the same of both in one line")


class ResourceAccount(BaseModel):
    """Why a resource of a machine is what it is."""

    did: str = Field(description="what became of the last wish for another size, and why there was one")
    why: str = Field(description="what the policy makes of what it sees now")
    waits_for: str = Field(description="what it would take for another size")


class ElasticAccount(BaseModel):
    """What a machine's policy did last, and what it waits for. `text`: the same in a sentence for each resource."""

    name: str
    mode: PolicyMode
    cpus: ResourceAccount | None = Field(description="None: it has a fixed number")
    memory: ResourceAccount | None = Field(description="None: it has a fixed size")
    text: str
