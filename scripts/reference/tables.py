"""Settings, error codes, kinds of events and metrics, each from the one table in the code that has them."""

import re
from typing import Any

from pydantic.fields import FieldInfo
from scripts.reference.page import dump_table

from weft.api.metrics.survey import list_families
from weft.fabric.events import KINDS
from weft.model import errors
from weft.settings import Settings


def dump_settings() -> str:
    """A row per setting."""
    prefix = Settings.model_config["env_prefix"]
    rows = [
        (f"`{key}`", f"`{prefix}{key.upper()}`", _dump_default(field), _dump_range(field), field.description or "")
        for key, field in Settings.model_fields.items()
    ]
    return dump_table(("key", "variable", "default", "values", "meaning"), rows)


def dump_errors() -> str:
    """A row per code; its meaning is what the error tree's drawing says."""
    drawn = dict(re.findall(r"[├└]── \w+ +([a-z-]+) +(\S.*)", errors.__doc__ or ""))
    rows = [(f"`{code}`", str(kind.http_status), drawn[code]) for code, kind in errors.ERRORS.items()]
    return dump_table(("code", "HTTP status", "meaning"), rows)


def dump_events() -> str:
    """A row per kind of event."""
    return dump_table(("kind", "what it tells"), [(f"`{kind}`", meaning) for kind, meaning in KINDS.items()])


def dump_metrics() -> str:
    """A row per family of metrics."""
    rows = [
        (f"`{family.name}`", family.kind, ", ".join(f"`{label}`" for label in family.labels) or "none", family.meaning)
        for family in list_families()
    ]
    return dump_table(("name", "type", "labels", "what it is"), rows)


def _dump_default(field: FieldInfo) -> str:
    return "none" if field.default is None else f"`{field.default}`"


def _dump_range(field: FieldInfo) -> str:
    """What a value may be, from the field's constraints."""
    bounds: list[str] = []
    for rule in field.metadata:
        for name, text in (("gt", "more than {}"), ("ge", "at least {}"), ("le", "at most {}")):
            if (limit := getattr(rule, name, None)) is not None:
                bounds.append(text.format(limit))
        bounds += _dump_choices(getattr(rule, "pattern", None))
    return ", ".join(bounds)


def _dump_choices(pattern: Any) -> list[str]:
    """`^(a|b)$` is how a setting with few values says so."""
    return [", ".join(f"`{word}`" for word in re.findall(r"[\w-]+", pattern))] if pattern else []
