"""`settings.toml`: an appliance's settings as one file that people read and edit. Pure.

    # What the machine calls itself.
    # hostname = "fw"

    # Largest packet.
    mtu = 1400

    [unknown]       what another version of the image knows; kept
    [weft]          which revision this is, and who made it why

Dots in names are TOML's own: `lan.mtu = 9000` and `[lan]` with `mtu = 9000` mean the same.
"""

import hashlib
import json
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import tomli_w

from weft.model.errors import Invalid
from weft.model.schema import SettingsSchema, flatten_settings
from weft.plan.settings import Fit, Values, fit_values

UNKNOWN, WEFT = "unknown", "weft"
MOST_BYTES = 32 * 1024
"""So that 20 revisions fit a floppy, and a machine's initrd."""


@dataclass(frozen=True, slots=True)
class Stamp:
    """Which revision a file is. `time` in seconds since the epoch; revision 0: nobody has saved it."""

    revision: int = 0
    schema: int = 1
    time: float = 0.0
    by: str = ""
    why: str = ""


@dataclass(frozen=True, slots=True)
class Document:
    """A file as it was read. `whole`: it is as it was saved, untouched by hand or accident."""

    values: Values = field(default_factory=dict)
    unknown: Values = field(default_factory=dict)
    stamp: Stamp = Stamp()
    whole: bool = False

    def fit(self, schema: SettingsSchema) -> Fit:
        """These settings against a schema."""
        return fit_values(schema, self.values, self.unknown, self.stamp.schema)


def parse_document(data: bytes, name: str) -> Document:
    """The settings in a file. Raises Invalid with `name` and what is wrong where."""
    if len(data) > MOST_BYTES:
        raise Invalid(f"{name}: {len(data)} bytes, more than {MOST_BYTES}")
    try:
        found = tomllib.loads(data.decode())
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as err:
        raise Invalid(f"{name}: {err}") from err
    head, unknown = found.pop(WEFT, {}), found.pop(UNKNOWN, {})
    if not isinstance(head, dict) or not isinstance(unknown, dict):
        raise Invalid(f"{name}: `{WEFT}` and `{UNKNOWN}` have to be tables")
    values, unknown = dict(flatten_settings(found)), dict(flatten_settings(unknown))
    return Document(values, unknown, _parse_stamp(head), head.get("check") == _check(values, unknown))


def _parse_stamp(head: Mapping[str, Any]) -> Stamp:
    """What is not as it should be was changed by hand, and does not count."""

    def number(key: str, default: int) -> int:
        value = head.get(key)
        return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else default

    when = head.get("time")
    seconds = when.timestamp() if isinstance(when, datetime) else 0.0
    by, why = (str(head.get(key, "")) for key in ("by", "why"))
    return Stamp(number("revision", 0), max(number("schema", 1), 1), seconds, by, why)


def _check(values: Values, unknown: Values) -> str:
    """What tells a file that was changed from one that was not; no secret, and no protection from anybody."""
    text = json.dumps([dict(values), dict(unknown)], sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def dump_document(schema: SettingsSchema, fit: Fit, stamp: Stamp, title: str) -> bytes:
    """The file for people: every setting with its help, defaults as comments. Raises Invalid when it gets too long."""
    lines = [f"# Settings of {title}. Lines that begin with # are remarks and defaults.", ""]
    for name, setting in schema.settings.items():
        lines += [f"# {line}" for line in setting.help.splitlines()]
        value = fit.values.get(name, setting.default)
        mark = "" if name in fit.values else "# "
        lines += [f"{mark}{_key(name)} = {_value(value)}" if value is not None else f"# {_key(name)} = (not set)", ""]
    return _finish([*lines, *_dump_unknown(fit)], fit, stamp)


def dump_revision(fit: Fit, stamp: Stamp) -> bytes:
    """The same for the history: without remarks and defaults."""
    lines = [f"{_key(name)} = {_value(value)}" for name, value in fit.values.items()]
    return _finish([*lines, "", *_dump_unknown(fit)], fit, stamp)


def _dump_unknown(fit: Fit) -> list[str]:
    if not fit.unknown:
        return []
    lines = [f"{_quote(name)} = {_value(value)}" for name, value in fit.unknown.items()]
    return ["# This version of the image does not know these. Another may.", f"[{UNKNOWN}]", *lines, ""]


def _finish(lines: list[str], fit: Fit, stamp: Stamp) -> bytes:
    when = datetime.fromtimestamp(stamp.time, UTC).replace(microsecond=0)
    head = {"revision": stamp.revision, "schema": stamp.schema, "time": when, "by": stamp.by, "why": stamp.why}
    head["check"] = _check(fit.values, fit.unknown)
    lines = [*lines, f"[{WEFT}]", *(f"{key} = {_value(value)}" for key, value in head.items())]
    data = ("\n".join(lines) + "\n").encode()
    if len(data) > MOST_BYTES:
        raise Invalid(f"the settings take {len(data)} bytes, more than {MOST_BYTES}")
    return data


def _key(name: str) -> str:
    """A dotted key."""
    return ".".join(map(_quote, name.split(".")))


def _quote(key: str) -> str:
    """One key, in quotes where it needs them."""
    return tomli_w.dumps({key: 0}).removesuffix(" = 0\n")


def _value(value: Any) -> str:
    """Any value that TOML has, on one line."""
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_value, value))}]"
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_quote(key)} = {_value(item)}" for key, item in value.items()) + "}"
    return tomli_w.dumps({"x": value}).removeprefix("x = ").rstrip("\n")
