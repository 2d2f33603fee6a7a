"""Rooms: a tenant's world, with names, addresses and networks of its own. Nothing crosses between rooms."""

from enum import StrEnum

from pydantic import BaseModel, Field, field_validator

from weft.model.machine import Spec
from weft.model.names import parse_name


class Isolation(StrEnum):
    """Whether machines share memory with those of other rooms that come from the same template.

    They never share what one of them has written. `strict`: the room makes templates of its own.
    """

    NORMAL = "normal"
    STRICT = "strict"


class RoomSpec(Spec):
    """What a user asks a room to be."""

    name: str
    description: str = ""
    isolation: Isolation = Isolation.NORMAL

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return parse_name(name, "room")


class RoomView(BaseModel):
    """A room as it is listed. Memory is in bytes."""

    name: str
    description: str = ""
    isolation: Isolation = Isolation.NORMAL
    created: float
    file: str | None = Field(default=None, description="the fabric file that describes it")
    networks: list[str] = Field(default_factory=list)
    machines: int = 0
    running: int = 0
    inserts: int = 0
    volumes: int = 0
    memory: int = Field(default=0, description="promised to its machines that run")
    broken: str | None = Field(default=None, description="why it could not be opened when the daemon started")
