"""Snapshots: what machines were at an instant, kept on disk. Machines can be made again from them."""

from pydantic import BaseModel, Field, field_validator

from weft.model.machine import Profile, Spec
from weft.model.names import DEFAULT_ROOM, parse_name


class SnapshotSpec(Spec):
    """Of which machine a snapshot is to be taken. `name`: None for the machine's own with a number."""

    machine: str
    name: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        return name if name is None else parse_name(name, "snapshot")


class RestoreSpec(Spec):
    """What is to be made of a snapshot.

    `name`: that of the machine; None: that of the original. Under the original's name it is the same machine again,
    with its addresses; under another it is a copy, with an identity of its own. `replace`: the machine that has the
    name now goes back to what it was in the snapshot.
    """

    name: str | None = None
    replace: bool = False

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str | None) -> str | None:
        return name if name is None else parse_name(name, "machine")


class SnapshotView(BaseModel):
    """A snapshot as `weft snapshot ls` and `inspect` show it. Sizes are in bytes, times in seconds."""

    name: str
    room: str = DEFAULT_ROOM
    machine: str = Field(default="", description="the machine it was taken of")
    image: str = ""
    kernel: str = ""
    profile: Profile = Profile.MICROVM
    memory: int = 0
    cpus: int = 0
    disks: list[str] = Field(default_factory=list, description="volumes that it has copies of, `own` for its own disk")
    labels: dict[str, str] = Field(default_factory=dict)
    created: float | None = None
    paused: float | None = Field(default=None, description="how long the machine stood still for it")
    stored: int = Field(description="what it takes of the host's disk")
    qemu: str = Field(default="", description="the QEMU it was taken with, and has to be restored with")
    accel: str = ""
    broken: str | None = Field(
        default=None, description="why it cannot be read; what is in its files is looked at later"
    )
