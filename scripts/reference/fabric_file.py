"""Keys of fabric files, and their JSON Schema, from the models that read them."""

import json
from collections.abc import Mapping, Sequence
from functools import cache
from typing import Any

from scripts.reference.page import dump_table

from weft.model.file_schema import dump_file_schema

Schema = Mapping[str, Any]
PARTS = {
    "RoomFile": "A room",
    "ResourcesFile": "A room's resources",
    "NetworkFile": "A network",
    "MachineFile": "A machine",
    "NicFile": "A NIC",
    "HealthFile": "A health check",
    "LimitsFile": "Limits",
    "AccessFile": "Access to the fabric",
    "ForeignFile": "A system of its own",
    "Plan9File": "How Plan 9 boots",
    "ElasticPolicy": "A policy",
    "InsertFile": "An insert",
    "VolumeFile": "A volume",
}
"""Parts of a file by their models, in the order of the page."""


def dump_schema() -> str:
    """The whole file for editors."""
    return json.dumps(dump_file_schema(), indent=1, ensure_ascii=False) + "\n"


def dump_keys() -> str:
    """A section with a table for each part."""
    parts = _parts()
    return "\n".join(_dump_part(title, parts[name]) for name, title in PARTS.items())


@cache
def _parts() -> dict[str, Schema]:
    found: dict[str, Schema] = dump_file_schema()["$defs"]
    return found


def _dump_part(title: str, part: Schema) -> str:
    long: Schema = part["anyOf"][0] if "anyOf" in part else part
    needed = long.get("required", ())
    rows = [
        (f"`{key}`", _dump_values(field), _dump_default(field, key in needed), field.get("description", ""))
        for key, field in long["properties"].items()
    ]
    return f"### {title}\n\n{part['description']}\n\n{dump_table(('key', 'values', 'default', 'meaning'), rows)}"


def _dump_default(field: Schema, is_needed: bool) -> str:
    default = field.get("default")
    if is_needed:
        return "needed"
    return "" if default in (None, "") else f"`{json.dumps(default).strip(chr(34))}`"


def _dump_values(field: Schema) -> str:
    """What can stand there, in a few words."""
    if examples := field.get("examples"):
        return f"like {', '.join(f'`{example}`' for example in examples)}"
    if reference := field.get("$ref"):
        return _dump_reference(str(reference).rpartition("/")[2])
    if "const" in field or "enum" in field:
        return _dump_choice(field.get("enum", [field.get("const")]))
    if choices := field.get("anyOf"):
        return _dump_choices([choice for choice in choices if choice.get("type") != "null"])
    return _dump_type(field)


def _dump_choice(values: Sequence[Any]) -> str:
    return ", ".join(f"`{json.dumps(value).strip(chr(34))}`" for value in values)


def _dump_choices(choices: list[Schema]) -> str:
    """One or another; one or several of it are told once."""
    one = [choice for choice in choices if choice.get("type") != "array"]
    items = [choice.get("items") for choice in choices if choice.get("type") == "array"]
    if len(one) == 1 and items and items[0] in ({"type": "string"}, one[0]):
        return f"{_dump_values(one[0])}, or a list" if one[0].get("type") != "object" else "a mapping, or KEY=VALUE"
    return ", or ".join(dict.fromkeys(map(_dump_values, choices)))


def _dump_reference(name: str) -> str:
    """A part has a section here; what is none is a choice of words."""
    if name in PARTS:
        return PARTS[name].lower().replace("nic", "NIC")
    return "options of a NIC" if name == "NicOptions" else _dump_choice(_parts()[name]["enum"])


def _dump_type(field: Schema) -> str:
    match field.get("type"):
        case "array":
            return f"a list, each {_dump_values(field['items'])}" if field.get("items") else "a list"
        case "object" | ["object", "null"]:
            return "a mapping"
        case list() as kinds:
            return " or ".join(dict.fromkeys(_WORDS[kind] for kind in kinds if _WORDS[kind]))
        case kind:
            return _FORMATS.get(field.get("format", ""), _WORDS[kind or "null"])


_WORDS = {
    "string": "a text", "integer": "a number", "number": "a number", "boolean": "`true`, `false`", "null": "",
    "object": "a mapping",
}  # fmt: skip
_FORMATS = {
    "ipv4": "an address", "ipv6": "an address of IPv6", "ipv4network": "like `10.1.2.0/24`",
    "ipv6network": "like `fd00:1::/64`",
}  # fmt: skip
