"""An appliance's settings: what values mean, whether they fit the schema, and what has changed. Pure."""

import math
import re
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from weft.model.config import ConfigChange
from weft.model.errors import Invalid
from weft.model.schema import Setting, SettingsSchema, Value, find_fault

HOSTNAME = "hostname"
STARS = "********"
Values = Mapping[str, Any]

_TRUE, _FALSE = ("true", "yes", "on", "1"), ("false", "no", "off", "0")


@dataclass(frozen=True, slots=True)
class Fit:
    """Settings against a schema: those that it knows, those that it does not, what is remarkable, what is wrong."""

    values: Values = field(default_factory=dict)
    unknown: Values = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()


def complete_schema(schema: SettingsSchema | None, name: str, hostname: str | None = None) -> SettingsSchema:
    """What can be set on a machine: its image's schema, with the `hostname` that every appliance has.

    Unless its settings say otherwise, a machine is called `hostname`, else what its schema says, else its own `name`.
    """
    schema = schema or SettingsSchema()
    own = schema.settings.get(HOSTNAME) or Setting(type="hostname", help="What the machine calls itself.")
    own = own.model_copy(update={"default": hostname or own.default or name, "required": False})
    rest = {key: setting for key, setting in schema.settings.items() if key != HOSTNAME}
    return schema.model_copy(update={"settings": {HOSTNAME: own, **rest}})


def parse_value(name: str, setting: Setting, text: str) -> Value:
    """A setting's value as people type it; a list has its separators. Raises Invalid naming the setting."""
    kind, word = setting.type, text.strip()
    try:
        if kind == "integer":
            return int(word, 0)
        if kind == "number":
            return float(word)
    except ValueError as err:
        raise Invalid(f"{name}: {text!r} is not {'an integer' if kind == 'integer' else 'a number'}") from err
    if kind == "boolean":
        if word.lower() not in _TRUE + _FALSE:
            raise Invalid(f"{name}: {text!r} is not true or false")
        return word.lower() in _TRUE
    if kind == "list":
        return tuple(item.strip() for item in re.split(f"[\n{re.escape(setting.separator)}]", text) if item.strip())
    return text if kind in ("string", "secret") else word


def change_values(schema: SettingsSchema, values: Values, wanted: Values, unset: Iterable[str]) -> Values:
    """Values after a change. Text is read by the setting's type. Raises Invalid with all that is wrong."""
    changed, problems = dict(values), []
    for name, value in wanted.items():
        try:
            changed[name] = _read_wanted(schema, name, value)
        except Invalid as err:
            problems.append(err.message)
    for name in unset:
        if name not in schema.settings:
            problems.append(f"{name}: there is no such setting")
        changed.pop(name, None)
    _refuse(problems + find_problems(schema, changed))
    return changed


def _read_wanted(schema: SettingsSchema, name: str, value: Any) -> Any:
    setting = schema.settings.get(name)
    if setting is None:
        raise Invalid(f"{name}: there is no such setting")
    return parse_value(name, setting, value) if isinstance(value, str) else value


def require_fit(fit: Fit) -> Fit:
    """Raises Invalid with all problems."""
    _refuse(list(fit.problems))
    return fit


def _refuse(problems: list[str]) -> None:
    if problems:
        raise Invalid("; ".join(dict.fromkeys(problems)), hint="weft config schema tells what can be set")


def find_problems(schema: SettingsSchema, values: Values) -> list[str]:
    """Everything that is wrong with values, each naming the setting."""
    known = schema.settings
    problems = [f"{name}: there is no such setting" for name in values if name not in known]
    for name, setting in known.items():
        if name in values:
            if fault := find_fault(setting, values[name]) or _find_unwritable(values[name]):
                problems.append(f"{name}: {'the value does not fit' if setting.type == 'secret' else fault}")
        elif setting.required and setting.default is None:
            problems.append(f"{name}: has to be set")
    return problems


def _find_unwritable(value: Any) -> str | None:
    """What the files of a machine, its shell or JSON have no way to say."""
    if isinstance(value, float) and not math.isfinite(value):
        return f"{value} is no number that JSON has"
    for text in value if isinstance(value, list | tuple) else [value]:
        if isinstance(text, str) and ("\0" in text or text != text.encode(errors="replace").decode()):
            return f"{text!r} has characters that no text file has"
    return None


def fit_values(schema: SettingsSchema, found: Values, unknown: Values, version: int) -> Fit:
    """Settings of a floppy against the image's schema. `unknown` is what an earlier image did not know.

    Nothing is dropped: what the schema does not know stays unknown, and is known again to an image that does. A value
    of another type is converted where that loses nothing, and told; else it is a problem.
    """
    values, kept, notes, problems = {}, {}, [], []
    if version > schema.version:
        notes.append(f"the settings were made for schema version {version}, this image has {schema.version}")
    for name, value in {**unknown, **found}.items():
        setting = schema.settings.get(name)
        if setting is None:
            kept[name] = value
            notes.append(f"{name}: not known to this image, kept")
            continue
        values[name], note = _convert(name, setting, value)
        notes += [note] if note else []
        if name in unknown and name not in found:
            notes.append(f"{name}: known to this image again")
    problems += find_problems(schema, values)
    return Fit(values, kept, tuple(notes), tuple(problems))


def _convert(name: str, setting: Setting, value: Any) -> tuple[Any, str]:
    """The value, converted where its setting has changed its type and nothing is lost by it; and a sentence on that."""
    if isinstance(value, list):
        value = tuple(value)
    if find_fault(setting, value) is None:
        return value, ""
    for other in _conversions(name, setting, value):
        if find_fault(setting, other) is None:
            stars = setting.type == "secret"
            return other, f"{name}: was {STARS if stars else value!r}, is {STARS if stars else other!r} by its new type"
    return value, ""


def _conversions(name: str, setting: Setting, value: Any) -> Sequence[Any]:
    if isinstance(value, bool):
        return [str(value).lower()] if setting.type == "string" else []
    if isinstance(value, int | float):
        return [str(value)] if setting.type in ("string", "secret") else []
    if isinstance(value, str) and setting.type == "list":
        return [(value,)]
    if isinstance(value, str) and setting.type in ("integer", "number", "boolean"):
        try:
            return [parse_value(name, setting, value)]
        except Invalid:
            return []
    return []


def effective_values(schema: SettingsSchema, values: Values) -> dict[str, Any]:
    """What counts: the values, and the defaults of what is not set. What has neither is left out."""
    counted = {name: values.get(name, setting.default) for name, setting in schema.settings.items()}
    return {name: value for name, value in counted.items() if value is not None}


def fit_running(schema: SettingsSchema, found: Values) -> Fit:
    """What a machine says it runs with, against the schema: only what is not a default has been set."""
    fit = fit_values(schema, {name: value for name, value in found.items() if value is not None}, {}, schema.version)
    values = {name: value for name, value in fit.values.items() if value != schema.settings[name].default}
    strangers = tuple(f"{name}: there is no such setting" for name in fit.unknown)
    return Fit(values, problems=fit.problems + strangers)


def keep_set(saved: Values, running: Values, schema: SettingsSchema) -> Values:
    """What runs, to be saved: what was set to its default by somebody stays set."""
    counted = effective_values(schema, running)
    return {**{name: value for name, value in saved.items() if counted.get(name) == value}, **running}


def find_changes(before: Values, after: Values) -> list[ConfigChange]:
    """What differs, by name."""
    names = sorted(before.keys() | after.keys())
    pairs = [(name, before.get(name), after.get(name)) for name in names]
    return [ConfigChange(name=name, before=old, after=new) for name, old, new in pairs if _plain(old) != _plain(new)]


def _plain(value: Any) -> Any:
    return list(value) if isinstance(value, tuple) else value


def hide_secrets(schema: SettingsSchema, values: Values) -> dict[str, Any]:
    """The values, with stars for what is secret."""

    def hide(name: str, value: Any) -> Any:
        setting = schema.settings.get(name)
        return STARS if value is not None and setting is not None and setting.type == "secret" else value

    return {name: hide(name, value) for name, value in values.items()}


def has_secrets(schema: SettingsSchema) -> bool:
    """Whether not everybody in the machine may read its settings."""
    return any(setting.type == "secret" for setting in schema.settings.values())


def dump_shell(values: Values) -> str:
    """The values as assignments for a shell: `lan.mtu` is WEFT_LAN_MTU, lists have spaces between."""
    return "".join(f"{_shell_name(name)}={shlex.quote(_shell_value(value))}\n" for name, value in values.items())


def _shell_name(name: str) -> str:
    return "WEFT_" + re.sub(r"[^A-Z0-9]", "_", name.upper())


def _shell_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return " ".join(map(str, value)) if isinstance(value, list | tuple) else str(value)
