"""Settings of an appliance: what its recipe says can be set, of which type, and what each setting means."""

import re
from collections.abc import Callable, Iterator, Mapping
from ipaddress import ip_address, ip_network
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

SettingName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9]*([-_.][a-z0-9]+)*$", max_length=63)]
Value = bool | int | float | str | tuple[str, ...]
"""What a setting can be: the types of TOML that need no nesting."""

SettingType = Literal["boolean", "integer", "number", "string", "list", "address", "network", "hostname", "secret"]

HOSTNAME = r"[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]{0,61}[A-Za-z0-9])?)*"
"""Labels of letters, digits and inner hyphens (RFC 1123, 2.1); at most 253 characters in all."""
HOSTNAME_LENGTH = 253

NUMBERS = ("integer", "number")


class Setting(BaseModel):
    """One setting. `help` is a sentence; `default` is what a factory-new appliance has.

    `pattern` has to match the whole of a text, or each of a list's; a list whose parts have commas in them has another
    `separator` on the command line. What is set has to fit all that is said here;
    so has the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    type: SettingType = "string"
    help: str = ""
    default: Value | None = None
    required: bool = False
    choices: tuple[str, ...] = ()
    pattern: str | None = None
    separator: str = Field(default=",", min_length=1, max_length=1, description="between the parts of a list as text")
    minimum: float | None = None
    maximum: float | None = None

    @model_validator(mode="after")
    def _check_itself(self) -> "Setting":
        bounds = [bound for bound in (self.minimum, self.maximum) if bound is not None]
        if bounds and self.type not in NUMBERS:
            raise ValueError(f"minimum and maximum are for numbers, not for type {self.type}")
        if bounds != sorted(bounds):
            raise ValueError(f"minimum {bounds[0]:g} is above maximum {bounds[1]:g}")
        if self.type in ("boolean", "number") and self.choices:
            raise ValueError(f"choices are for texts and integers, not for type {self.type}")
        if self.pattern is not None:
            self._check_pattern(self.pattern)
        for choice in self.choices:
            if fault := _find_type_fault(self.type, _typed_choice(self.type, choice)):
                raise ValueError(f"choice {choice!r}: {fault}")
        if self.default is not None and (fault := find_fault(self, self.default)):
            raise ValueError(f"default: {fault}")
        return self

    def _check_pattern(self, pattern: str) -> None:
        if self.type in (*NUMBERS, "boolean"):
            raise ValueError(f"pattern is for texts, not for type {self.type}")
        try:
            re.compile(pattern)
        except re.error as err:
            raise ValueError(f"pattern {pattern!r}: {err}") from err


class SettingsSchema(BaseModel):
    """All settings of an appliance, and the program that applies them.

    `apply` is run in the machine with the settings as JSON on its standard input, at each change; a status other than
    0 refuses them, and what it wrote to standard error is the reason. `version` grows when settings change meaning.
    `model` names a part of Weft that knows more of them than a schema can say, and writes files from them.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    version: int = Field(default=1, ge=1)
    settings: dict[SettingName, Setting] = {}
    apply: tuple[str, ...] = ()
    model: str = ""

    @model_validator(mode="after")
    def _check_names(self) -> "SettingsSchema":
        """In a settings file a dot leads into a table, and two tables are the fabric's own."""
        for name in self.settings:
            first, *_ = parts = name.split(".")
            if first in ("weft", "unknown"):
                raise ValueError(f"setting {name!r}: names do not begin with `weft` or `unknown`")
            for end in range(1, len(parts)):
                if (above := ".".join(parts[:end])) in self.settings:
                    raise ValueError(f"settings {above!r} and {name!r}: one is a table in which the other is")
        return self


def flatten_settings(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Settings by their whole names: what is in a table has its name and a dot before its own."""
    for key, value in table.items():
        if isinstance(value, dict) and value:
            yield from flatten_settings(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def find_fault(setting: Setting, value: object) -> str | None:
    """Why a setting cannot have this value, in a few words; None if it can. Lists may be lists or tuples."""
    if fault := _find_type_fault(setting.type, value):
        return fault
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        if setting.minimum is not None and value < setting.minimum:
            return f"{value} is below the minimum of {setting.minimum:g}"
        if setting.maximum is not None and value > setting.maximum:
            return f"{value} is above the maximum of {setting.maximum:g}"
    for item in value if isinstance(value, (list, tuple)) else [value]:
        if setting.choices and str(item) not in setting.choices:
            return f"{item!r} is none of {', '.join(setting.choices)}"
        if setting.pattern is not None and not re.fullmatch(setting.pattern, str(item)):
            return f"{item!r} does not match {setting.pattern}"
    return None


def _typed_choice(type_: SettingType, choice: str) -> object:
    """A choice as a value of the type: choices are written as texts."""
    if type_ == "integer" and re.fullmatch(r"-?\d+", choice):
        return int(choice)
    return [choice] if type_ == "list" else choice


def _find_type_fault(type_: SettingType, value: object) -> str | None:
    test, name = _TYPES[type_]
    return None if test(value) else f"{value!r} is not {name}"


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _is_list(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(isinstance(item, str) for item in value)


def _is_hostname(value: object) -> bool:
    return isinstance(value, str) and len(value) <= HOSTNAME_LENGTH and re.fullmatch(HOSTNAME, value) is not None


def _parses_with(parse: Callable[[str], Any]) -> Callable[[object], bool]:
    def test(value: object) -> bool:
        try:
            return isinstance(value, str) and bool(parse(value))
        except ValueError:
            return False

    return test


_TYPES: Mapping[SettingType, tuple[Callable[[object], bool], str]] = {
    "boolean": (lambda value: isinstance(value, bool), "true or false"),
    "integer": (lambda value: isinstance(value, int) and not isinstance(value, bool), "an integer"),
    "number": (_is_number, "a number"),
    "string": (lambda value: isinstance(value, str), "a text"),
    "secret": (lambda value: isinstance(value, str), "a text"),
    "list": (_is_list, "a list of texts"),
    "address": (_parses_with(ip_address), "an IP address"),
    "network": (_parses_with(ip_network), "a network such as 10.0.0.0/24"),
    "hostname": (_is_hostname, "a host name"),
}
