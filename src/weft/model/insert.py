"""Inserts: appliances placed in-line, or as listeners, at a port."""

from collections.abc import Sequence
from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field, field_validator

from weft.model.machine import MAX_MEMORY, MIN_MEMORY, Spec
from weft.model.names import PortName, parse_name, parse_port


class Mode(StrEnum):
    """Whether frames pass through the insert, or it only gets copies.

    A `routed` one has the address of what it stands in front of: packets end in it, and what it sends on is its own.
    """

    INLINE = "inline"
    COPY = "copy"
    ROUTED = "routed"


class FailPolicy(StrEnum):
    """What happens to traffic when an inline insert dies or hangs: bypass it, or stop."""

    OPEN = "open"
    CLOSED = "closed"


class InsertState(StrEnum):
    """`bypassed` and `blocked` are what the fail policy made of an insert that died or hangs."""

    STARTING = "starting"
    ACTIVE = "active"
    BYPASSED = "bypassed"
    BLOCKED = "blocked"
    EJECTING = "ejecting"


class InsertSpec(Spec):
    """What a user asks to be slipped in front of a machine, or of a network's gateway (`network:lan`).

    `appliance` is an image with the roles `network` and `machine`, or the name of a parked appliance (ejected with
    `keep`). `position` counts from the network side, 0 first; None is next to the machine. `lifetime` is in seconds.
    """

    name: str
    appliance: str
    before: str
    mode: Mode = Mode.INLINE
    fail: FailPolicy = FailPolicy.OPEN
    position: int | None = Field(default=None, ge=0)
    lifetime: float | None = Field(default=None, gt=0)
    memory: int | None = Field(default=None, ge=MIN_MEMORY, le=MAX_MEMORY)
    settings: dict[str, Any] = Field(default_factory=dict, description="what it is to start with, by its schema")
    cold: bool = Field(default=False, description="it boots, though there may be a template to go on from")

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return parse_name(name, "insert")

    @field_validator("before")
    @classmethod
    def _check_port(cls, before: str) -> str:
        return str(parse_port(before))


def find_usual_mode(port: PortName, modes: Sequence[str]) -> Mode:
    """The mode of an insert that names none: `routed` at a gateway, where its image can be; else its image's first."""
    if port.network is not None and Mode.ROUTED in modes:
        return Mode.ROUTED
    return next((Mode(mode) for mode in modes if mode != Mode.ROUTED), Mode.INLINE)


class InsertView(BaseModel):
    """An insert as it is. Times are seconds since the epoch."""

    name: str
    appliance: str
    port: str
    position: int
    mode: Mode
    fail: FailPolicy
    state: InsertState
    reason: str = ""
    created: float
    expires: float | None = None
    drained_by: float | None = Field(default=None, description="while it drains: it is out then at the latest")


class PortView(BaseModel):
    """One port and its chain, from the network side to the machine side."""

    port: str
    machine: str | None = Field(description="None: the network's gateway, which the fabric is")
    nic: int | None
    network: str
    state: str = Field(description="the machine's state; a gateway is always running")
    chain: list[InsertView] = Field(default_factory=list)
