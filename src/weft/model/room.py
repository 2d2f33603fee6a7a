"""Rooms: a tenant's world, with names, addresses and networks of its own. Nothing crosses between rooms."""

from enum import StrEnum

from pydantic import BaseModel, Field, field_validator, model_validator

from weft.model.errors import Invalid
from weft.model.machine import Spec
from weft.model.names import parse_name

MAX_WEIGHT = 10_000
"""What control groups take (https://docs.kernel.org/admin-guide/cgroup-v2.html, cpu.weight)."""


class Isolation(StrEnum):
    """Whether machines share memory with those of other rooms that come from the same template.

    They never share what one of them has written. `strict`: the room makes templates of its own.
    """

    NORMAL = "normal"
    STRICT = "strict"


class RoomResources(Spec):
    """What a room is guaranteed of its host, and the most that it gets. None: nothing, or as much as there is.

    Memory is in bytes; processors are counted, and may be fractions of one.
    """

    memory: int | None = Field(default=None, ge=1, description="kept for its machines, whether or not they run")
    max_memory: int | None = Field(default=None, ge=1, description="its machines have no more, all together")
    cpus: float | None = Field(default=None, gt=0, description="it gets so many when all want more than there is")
    max_cpus: float | None = Field(default=None, gt=0, description="it gets no more, whether or not others want any")
    cpu_weight: int = Field(default=100, ge=1, le=MAX_WEIGHT, description="its share of what nobody is guaranteed")

    @model_validator(mode="after")
    def _check_ranges(self) -> "RoomResources":
        for what, least, most in (
            ("memory", self.memory, self.max_memory),
            ("cpus", self.cpus, self.max_cpus),
        ):
            if least is not None and most is not None and least > most:
                raise Invalid(f"max_{what}: a room cannot have less at most than it is guaranteed")
        return self


class RoomSpec(Spec):
    """What a user asks a room to be."""

    name: str
    description: str = ""
    isolation: Isolation = Isolation.NORMAL
    resources: RoomResources = RoomResources()

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return parse_name(name, "room")


class RoomView(BaseModel):
    """A room as it is listed. Memory is in bytes."""

    name: str
    description: str = ""
    isolation: Isolation = Isolation.NORMAL
    resources: RoomResources = RoomResources()
    created: float
    file: str | None = Field(default=None, description="the fabric file that describes it")
    networks: list[str] = Field(default_factory=list)
    machines: int = 0
    running: int = 0
    inserts: int = 0
    volumes: int = 0
    memory: int = Field(default=0, description="promised to its machines that run")
    limits: str = Field(default="", description="how its processors are bounded: cgroup v2, cgroup v1, or why not")
    broken: str | None = Field(default=None, description="why it could not be opened when the daemon started")
