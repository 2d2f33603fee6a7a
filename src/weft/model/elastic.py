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
    """When a machine grows and shrinks by itself."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    mode: PolicyMode = PolicyMode.AUTO


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
