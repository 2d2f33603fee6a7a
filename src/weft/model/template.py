"""Templates: machines that were booted up to where they would become somebody, for others to go on from."""

from pydantic import BaseModel, Field, model_validator

from weft.model.errors import Invalid
from weft.model.machine import MAX_MEMORY, MICROVM_NICS, MIN_MEMORY, Profile, Spec

MAX_NICS = 32
ORIGIN = "template "
"""What stands before the key where a machine says what it went on from."""


class TemplateSpec(Spec):
    """What a template is to be for: machines like this. Memory is in bytes; None means what the image says."""

    image: str = Field(min_length=1)
    kernel: str | None = None
    profile: Profile = Profile.MICROVM
    memory: int | None = Field(default=None, ge=MIN_MEMORY, le=MAX_MEMORY)
    cpus: int = Field(default=1, ge=1, le=64)
    nics: int | None = Field(default=None, ge=0, le=MAX_NICS, description="how many NICs")
    floppy: bool = Field(default=False, description="for appliances that see their floppy: more is on it than settings")

    @model_validator(mode="after")
    def _check_nics(self) -> "TemplateSpec":
        if self.profile is Profile.MICROVM and (self.nics or 0) > MICROVM_NICS:
            raise Invalid(f"a microvm has at most {MICROVM_NICS} NICs", hint="profile q35 takes more")
        return self


class TemplateView(BaseModel):
    """A template as it is listed. Sizes are in bytes, times are seconds since the epoch."""

    key: str = Field(description="a digest of all that decides whether a machine can go on from it")
    image: str
    digest: str = Field(description="of the image's root file")
    kernel: str
    profile: Profile
    memory: int
    cpus: int
    nics: int
    floppy: bool = False
    room: str | None = Field(default=None, description="the room whose own it is; None: of all that are not strict")
    stale: str = Field(default="", description="why no machine will ever go on from it")
    loaded: bool = Field(default=False, description="whether it is in memory")
    machines: int = Field(default=0, description="of the room, that run and went on from it")
    size: int = Field(description="on disk")
    created: float
    used: float | None = Field(default=None, description="when a machine last went on from it")
    took: float = Field(description="seconds that it took to make it")


class TemplatePruneReport(BaseModel):
    """What a prune removed, and how many bytes of disk that gave back."""

    templates: list[str]
    freed: int
