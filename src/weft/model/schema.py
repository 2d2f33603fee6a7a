"""Settings of an appliance: what its recipe says can be set, of which type, and what each setting means."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

SettingName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*([-_.][a-z0-9]+)*$", max_length=63)]
Value = bool | int | float | str | tuple[str, ...]
"""What a setting can be: the types of TOML that need no nesting."""

SettingType = Literal["boolean", "integer", "number", "string", "list", "address", "network", "hostname", "secret"]


class Setting(BaseModel):
    """One setting. `help` is a sentence; `default` is what a factory-new appliance has."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: SettingType = "string"
    help: str = ""
    default: Value | None = None
    required: bool = False
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    minimum: float | None = None
    maximum: float | None = None


class SettingsSchema(BaseModel):
    """All settings of an appliance, and the program that applies them.

    `apply` is run in the machine with the settings as JSON on its standard input, at each change; a status other than
    0 refuses them, and what it wrote to standard error is the reason. `version` grows when settings change meaning.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=1, ge=1)
    settings: dict[SettingName, Setting] = {}
    apply: tuple[str, ...] = ()
