"""An appliance's settings as they are shown: what is saved on its floppy, what runs, and what has changed."""

from typing import Any, Literal

from pydantic import BaseModel, Field

from weft.model.schema import SettingType, Value

Source = Literal["saved", "running"]


class SettingView(BaseModel):
    """One setting. `is_set`: it has been given a value, so `value` is not just the default."""

    name: str
    type: SettingType
    value: Value | None
    is_set: bool
    help: str = ""


class ConfigView(BaseModel):
    """The settings of a machine. Secrets are shown as stars unless they are asked for."""

    machine: str
    source: Source
    revision: int = Field(description="the saved revision; 0: nothing was ever saved")
    schema_version: int
    settings: list[SettingView]
    unknown: dict[str, Any] = Field(default={}, description="kept for other versions of the image, which know them")
    notes: list[str] = Field(default=[], description="what is remarkable, a sentence each")
    on_trial_until: float | None = Field(
        default=None, description="they are on trial: they go back then, in seconds since the epoch, unless confirmed"
    )


class RevisionView(BaseModel):
    """One of the last revisions. `time` in seconds since the epoch; `changes` against the one before."""

    revision: int
    time: float
    by: str
    why: str
    fits: bool = Field(description="whether the image's schema accepts it as it is")


class ConfigChange(BaseModel):
    """A setting that differs. None: it is not set, so the default counts."""

    name: str
    before: Any = None
    after: Any = None
