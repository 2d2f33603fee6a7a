"""The settings of an appliance as a JSON Schema, for editors and forms of any make."""

from typing import Any

from weft.model.schema import HOSTNAME, HOSTNAME_LENGTH, Setting, SettingsSchema, SettingType

DIALECT = "https://json-schema.org/draft/2020-12/schema"

_TYPES: dict[SettingType, dict[str, Any]] = {
    "boolean": {"type": "boolean"},
    "integer": {"type": "integer"},
    "number": {"type": "number"},
    "string": {"type": "string"},
    "secret": {"type": "string", "writeOnly": True},
    "list": {"type": "array", "items": {"type": "string"}},
    "address": {"type": "string", "anyOf": [{"format": "ipv4"}, {"format": "ipv6"}]},
    "network": {"type": "string", "pattern": r"^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"},
    "hostname": {"type": "string", "pattern": f"^{HOSTNAME}$", "maxLength": HOSTNAME_LENGTH},
}


def dump_json_schema(schema: SettingsSchema, title: str) -> dict[str, Any]:
    """JSON Schema (draft 2020-12) of an object with the settings by name. `title` names the appliance.

    It may let through what the appliance's own check does not, such as a network with host bits; never the reverse."""
    return {
        "$schema": DIALECT,
        "title": title,
        "$comment": f"settings version {schema.version}",
        "type": "object",
        "properties": {name: _dump_setting(setting) for name, setting in schema.settings.items()},
        "required": [name for name, setting in schema.settings.items() if setting.required],
        "additionalProperties": False,
    }


def _dump_setting(setting: Setting) -> dict[str, Any]:
    found = dict(_TYPES[setting.type])
    limits: dict[str, Any] = {}
    if setting.choices:
        limits["enum"] = [int(choice) if setting.type == "integer" else choice for choice in setting.choices]
    if setting.pattern is not None:
        limits["allOf" if "pattern" in found else "pattern"] = _whole(setting.pattern, "pattern" in found)
    if setting.type == "list" and limits:
        found["items"], limits = {**found["items"], **limits}, {}
    found.update(limits)
    words = {"description": setting.help or None, "default": setting.default}
    words |= {"minimum": setting.minimum, "maximum": setting.maximum}
    return found | {key: value for key, value in words.items() if value is not None}


def _whole(pattern: str, besides: bool) -> Any:
    """A pattern that matches the whole text, alone or beside the type's own."""
    whole = f"^(?:{pattern})$"
    return [{"pattern": whole}] if besides else whole
