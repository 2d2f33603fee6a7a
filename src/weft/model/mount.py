"""What a machine has mounted besides its root: volumes, folders of the host, and memory."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from weft.model.errors import Invalid
from weft.model.names import parse_name


class MountKind(StrEnum):
    """Where a mount's content is: on a volume of its own, in a folder of the host, or in the machine's memory."""

    VOLUME = "volume"
    HOST = "host"
    TMPFS = "tmpfs"


class MountSpec(BaseModel):
    """One mount. `source` is a volume's name or an absolute path of the host; a tmpfs has none. `size` in bytes."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kind: MountKind
    source: str = ""
    target: str
    read_only: bool = False
    size: int | None = Field(default=None, gt=0, description="of a new volume, or the most a tmpfs may hold")

    @field_validator("target")
    @classmethod
    def _check_target(cls, target: str) -> str:
        if not target.startswith("/") or ".." in target.split("/") or target.strip("/") == "":
            raise Invalid(f"mount at {target!r}: must be an absolute path below / without `..`")
        return target

    @model_validator(mode="after")
    def _check_source(self) -> "MountSpec":
        if self.kind is MountKind.VOLUME:
            parse_name(self.source, "volume")
        elif self.kind is MountKind.HOST and not self.source.startswith("/"):
            raise Invalid(f"mount at {self.target}: host folder {self.source!r} must be an absolute path")
        elif self.kind is MountKind.TMPFS and self.source:
            raise Invalid(f"mount at {self.target}: a tmpfs has no source")
        return self
