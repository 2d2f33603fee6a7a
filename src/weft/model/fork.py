"""Forks: copies of machines that run, and of whole rooms. Each goes on from its original's memory, as somebody else."""

from pydantic import BaseModel, Field, field_validator, model_validator

from weft.model.errors import Invalid
from weft.model.machine import MachineView, Spec
from weft.model.names import parse_name
from weft.model.room import RoomView

MAX_FORKS = 1000


class ForkSpec(Spec):
    """What copies a user wants of a machine.

    `name` is that of the first copy, and with a number of the others; None: the machine's, with `-fork-` and a number.
    `shadow`: it is on no network, and gets copies of the frames that reach the original.
    """

    count: int = Field(default=1, ge=1, le=MAX_FORKS)
    name: str | None = None
    remove: bool = Field(default=False, description="remove each copy when it ends")
    shadow: bool = False

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        return name if name is None else parse_name(name, "machine")


class RoomForkSpec(Spec):
    """What copy a user wants of a room. `uplink`: its networks have ways out where those of the original have.

    `shadow`: its networks get copies of what the gateways of the original's send.
    """

    name: str
    description: str | None = Field(default=None, description="None: that of the original")
    uplink: bool = False
    shadow: bool = False

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return parse_name(name, "room")

    @model_validator(mode="after")
    def _check_way_out(self) -> "RoomForkSpec":
        if self.shadow and self.uplink:
            raise Invalid("a shadow has no way out: what it answers goes nowhere")
        return self


class ForkFailure(BaseModel):
    """A copy that did not come to be: nothing of it is left. `code` is one of the stable codes of errors."""

    name: str
    code: str
    message: str


class ForkView(BaseModel):
    """What came of a fork. Times are in seconds."""

    machines: list[MachineView]
    failed: list[ForkFailure] = Field(default_factory=list)
    pause: float = Field(description="how long the original stood still; others may have shared it")
    disks: float = Field(default=0.0, description="how much of that went into copies of its disks")
    took: float = Field(description="from the request until all copies were ready")


class RoomForkView(BaseModel):
    """What came of the fork of a room. Times are in seconds."""

    room: RoomView
    machines: list[MachineView]
    pauses: dict[str, float] = Field(description="how long each machine that ran stood still")
    disks: float = Field(default=0.0, description="how much of that went into copies of disks")
    left_out: list[str] = Field(default_factory=list, description="what the copy does not have, in words")
    took: float
