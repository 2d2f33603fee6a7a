"""What a JSON Schema says of a value: as much of the standard as our schemas use, and nothing else."""

import re
from collections.abc import Callable, Mapping
from typing import Any

Schema = Mapping[str, Any]
_TYPES: Mapping[str, Callable[[Any], bool]] = {
    "object": lambda value: isinstance(value, dict),
    "array": lambda value: isinstance(value, list),
    "string": lambda value: isinstance(value, str),
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: isinstance(value, int) and not isinstance(value, bool),
    "number": lambda value: isinstance(value, int | float) and not isinstance(value, bool),
    "null": lambda value: value is None,
}
_SAYS_NOTHING = {"$schema", "$defs", "title", "description", "default", "examples", "format"}


def fits(schema: Schema, value: Any, root: Schema | None = None) -> bool:
    """Whether a value fits. A word that is not known here is an error of the test."""
    root = schema if root is None else root
    tests: dict[str, Callable[[Any], bool]] = {
        "$ref": lambda ref: fits(root["$defs"][ref.rpartition("/")[2]], value, root),
        "anyOf": lambda choices: any(fits(choice, value, root) for choice in choices),
        "type": lambda kinds: any(_TYPES[kind](value) for kind in ([kinds] if isinstance(kinds, str) else kinds)),
        "enum": lambda values: value in values,
        "const": lambda constant: value == constant,
        "pattern": lambda pattern: not isinstance(value, str) or re.search(pattern, value) is not None,
        "minLength": lambda least: not isinstance(value, str) or len(value) >= least,
        "minimum": lambda least: not isinstance(value, int | float) or value >= least,
        "maximum": lambda most: not isinstance(value, int | float) or value <= most,
        "exclusiveMinimum": lambda least: not isinstance(value, int | float) or value > least,
        "items": lambda item: not isinstance(value, list) or all(fits(item, one, root) for one in value),
        "required": lambda names: not isinstance(value, dict) or set(names) <= set(value),
        "propertyNames": lambda names: not isinstance(value, dict) or all(fits(names, key, root) for key in value),
        "properties": lambda _: not isinstance(value, dict) or _fit_keys(schema, value, root),
        "patternProperties": lambda _: not isinstance(value, dict) or _fit_keys(schema, value, root),
        "additionalProperties": lambda _: not isinstance(value, dict) or _fit_keys(schema, value, root),
    }
    return all(tests[word](said) for word, said in schema.items() if word not in _SAYS_NOTHING)


def _fit_keys(schema: Schema, value: dict[str, Any], root: Schema) -> bool:
    own, rest = schema.get("properties", {}), schema.get("additionalProperties", True)
    patterns = schema.get("patternProperties", {})
    for key, item in value.items():
        found = [own[key]] if key in own else [part for text, part in patterns.items() if re.search(text, key)]
        if not found and rest is False:
            return False
        if not all(fits(part, item, root) for part in found or ([rest] if isinstance(rest, dict) else [])):
            return False
    return True
