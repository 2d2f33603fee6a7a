"""JSON Schema of fabric files, for editors: what can be written, short forms too.

An editor cannot know names that one part has and another means, nor an appliance's settings: `weft plan` does.
"""

from typing import Any

from weft.model.elastic import PolicyMode
from weft.model.fabric_file import FabricFile
from weft.model.file_words import NAME_PATTERN
from weft.model.json_schema import DIALECT

Schema = dict[str, Any]
TITLE = "A fabric file of Weft"
_DROPPED = ("title", "ge", "le", "gt")
"""Titles are names of Python; bounds of what is written as a text cannot be checked."""
_ANYTHING: Schema = {}
_NIC_OF_KEY: Schema = {"anyOf": [{"type": "string"}, {"$ref": "#/$defs/NicOptions"}, {"type": "null"}]}
_NETWORKS: Schema = {
    "anyOf": [
        {"type": "array", "items": {"$ref": "#/$defs/NicFile"}},
        {"type": "object", "propertyNames": {"pattern": NAME_PATTERN}, "additionalProperties": _NIC_OF_KEY},
        {"const": "none"},
    ]
}
_HEALTH: Schema = {"anyOf": [{"$ref": "#/$defs/HealthFile"}, {"enum": ["none", False]}]}
_ELASTIC: Schema = {
    "anyOf": [{"type": "boolean"}, {"enum": [str(mode) for mode in PolicyMode]}, {"$ref": "#/$defs/ElasticPolicy"}]
}
_COMMAND: Schema = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_RESTART: Schema = {"type": "string", "pattern": "^(no|never|on-failure(:[0-9]+)?|always|unless-stopped)$"}
_SETTINGS: Schema = {"type": ["object", "null"]}
_WRITTEN: dict[tuple[str, str], Schema] = {
    ("MachineFile", "networks"): _NETWORKS,
    ("MachineFile", "health"): _HEALTH,
    ("MachineFile", "elastic"): _ELASTIC,
    ("MachineFile", "restart"): _RESTART,
    ("MachineFile", "settings"): _SETTINGS,
    ("InsertFile", "settings"): _SETTINGS,
    ("HealthFile", "command"): _COMMAND,
}
"""What is written otherwise than its model is made: validators read it."""
_ONE_OR_MORE = (
    ("MachineFile", "publish"),
    ("MachineFile", "volumes"),
    ("MachineFile", "tmpfs"),
    ("MachineFile", "after"),
)
_HEADINGS = ("networks", "machines", "inserts", "volumes", "pool")


def dump_file_schema() -> Schema:
    """The schema (draft 2020-12)."""
    made = FabricFile.model_json_schema(by_alias=True)
    parts: dict[str, Schema] = made["$defs"]
    parts["NicOptions"] = _make_nic_options(parts["NicFile"])
    for (part, key), schema in _WRITTEN.items():
        _replace(_fields(parts[part]), key, schema)
    for value in parts["ElasticPolicy"]["properties"].values():
        if value.get("type") in ("number", "integer"):
            value["type"] = [value["type"], "string"]
    for part, key in _ONE_OR_MORE:
        listed = _fields(parts[part])[key]
        _replace(_fields(parts[part]), key, {"anyOf": [{"type": "array", "items": listed["items"]}, listed["items"]]})
    for key in _HEADINGS:
        listed = _fields(parts["RoomFile"])[key]
        kept = {word: value for word, value in listed.items() if word not in ("type", "description", "title")}
        _replace(_fields(parts["RoomFile"]), key, {"type": ["object", "null"], **kept})
    whole: Schema = made["anyOf"][0]
    whole["patternProperties"] = {"^x-": _ANYTHING}
    cleaned = _clean({**whole, "$defs": parts})
    return {"$schema": DIALECT, "title": TITLE, "description": FabricFile.__doc__, **cleaned}


def _fields(part: Schema) -> dict[str, Schema]:
    """The keys of a part's long form, which comes first."""
    found: dict[str, Schema] = part["anyOf"][0]["properties"]
    return found


def _make_nic_options(nic: Schema) -> Schema:
    """A NIC whose network stands as the key."""
    long = {**nic["anyOf"][0], "properties": {key: item for key, item in _fields(nic).items() if key != "network"}}
    return {key: value for key, value in long.items() if key != "required"}


def _replace(fields: dict[str, Schema], key: str, schema: Schema) -> None:
    """Another schema for a key, of which the meaning stays."""
    told = {word: fields[key][word] for word in ("description",) if word in fields[key]}
    fields[key] = {**schema, **told}


def _clean(schema: Any, *, named: bool = False) -> Any:
    """Without words that say nothing to an editor. `named`: the keys are names of the file, no words of schemas."""
    if isinstance(schema, list):
        return [_clean(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    dropped = () if named else _DROPPED
    kept = {key: item for key, item in schema.items() if key not in dropped}
    if not named and kept.get("default", "") in (None, [], {}):
        del kept["default"]
    if not named and "patternProperties" in kept:
        kept.setdefault("additionalProperties", False)  # what has no such name has no place there
    return {
        key: item
        if key in ("enum", "examples", "default") and not named
        else _clean(item, named=not named and key in ("properties", "$defs", "patternProperties"))
        for key, item in kept.items()
    }
