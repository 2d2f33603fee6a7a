"""Volumes: disks that outlive the machines that use them."""

from pydantic import BaseModel, Field, field_validator

from weft.model.machine import Spec
from weft.model.names import parse_name

MIN_VOLUME = 8 << 20
"""Below it there is no room for a journal, and a machine that dies could lose more than its last writes."""
MAX_VOLUME = 16 << 40
"""The most that ext4 takes with blocks of 4 KiB and numbers of 32 bits."""
DEFAULT_VOLUME = 1 << 30


class VolumeSpec(Spec):
    """What a user asks a volume to be. `size` in bytes; on the host only what is written takes room."""

    name: str
    size: int = Field(default=DEFAULT_VOLUME, ge=MIN_VOLUME, le=MAX_VOLUME)
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return parse_name(name, "volume")


class VolumeUse(BaseModel):
    """A machine that has a volume mounted, or will when it runs."""

    machine: str
    target: str
    read_only: bool
    live: bool


class VolumeView(BaseModel):
    """A volume as `weft volume ls` and `inspect` show it. `size` and `stored` are in bytes."""

    name: str
    size: int
    stored: int = Field(description="what it takes of the host's disk now")
    labels: dict[str, str] = Field(default_factory=dict)
    created: float
    users: list[VolumeUse] = Field(default_factory=list)
