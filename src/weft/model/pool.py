"""Pools: copies of an image's template that are kept ready, for machines that are to be there at once."""

from pydantic import BaseModel, Field

from weft.model.machine import MAX_MEMORY, MIN_MEMORY, Spec

MAX_POOL = 64
"""Copies that one pool may keep."""


class PoolSpec(Spec):
    """What a user asks a pool to be. `memory` is in bytes; None means what the image says."""

    image: str = Field(min_length=1)
    size: int = Field(ge=1, le=MAX_POOL, description="how many copies are kept ready")
    memory: int | None = Field(default=None, ge=MIN_MEMORY, le=MAX_MEMORY)
    cpus: int = Field(default=1, ge=1, le=64)


class PoolView(BaseModel):
    """A pool as it is listed. Memory is in bytes, times are seconds since the epoch."""

    image: str
    size: int = Field(description="how many copies are to be ready")
    ready: int = Field(description="how many are")
    memory: int
    cpus: int
    created: float
    reason: str = Field(default="", description="why there are fewer than there should be")
