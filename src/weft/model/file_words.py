"""Kinds of values in a fabric file: what people write, what it becomes, and how an editor is told of it.

Each takes its own canonical form too, so what was read can be written and read again. What does not fit is a
ValueError, which pydantic collects with its place; all of them are found in one reading.
"""

import re
import shlex
from collections.abc import Callable, Mapping
from dataclasses import replace
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Annotated, Any, TypeVar

from pydantic import BeforeValidator, InstanceOf, PlainSerializer, StringConstraints, ValidationInfo, WithJsonSchema

from weft.model.boot_files import place_boot_file
from weft.model.errors import WeftError
from weft.model.machine import MAX_CPUS, MAX_MEMORY, MIN_MEMORY
from weft.model.mount import MountSpec
from weft.model.names import parse_name, parse_port
from weft.model.options import join_path, parse_publish, parse_tmpfs, parse_volume
from weft.model.publish import PublishSpec
from weft.model.ranges import Range, dump_cpus, dump_memory, parse_cpus, parse_memory
from weft.model.schema import flatten_settings
from weft.model.signals import parse_signal
from weft.model.units import dump_size, parse_duration, parse_size

T = TypeVar("T")
FOLDER = "folder"
"""The key of the validation context that says which folder paths are relative to."""
_VARIABLE = re.compile(r"[^\s=\0]+")
NAME_PATTERN = "^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$"
_TEXTS = {"type": "array", "items": {"type": "string"}}
_SCALAR = {"type": ["string", "number", "boolean"]}


def _reads(parse: Callable[[Any], T], *kinds: type) -> BeforeValidator:
    """A validator that reads values of these kinds; others pass. What is Invalid is a ValueError here."""

    def read(value: Any) -> Any:
        return quietly(parse, value) if isinstance(value, kinds) and not isinstance(value, bool) else value

    return BeforeValidator(read)


def quietly(parse: Callable[..., T], *values: Any) -> T:
    """What `parse` makes of it; an error of ours becomes a ValueError with its hint."""
    try:
        return parse(*values)
    except WeftError as err:
        raise ValueError(str(err)) from err


def named(what: str) -> BeforeValidator:
    """A validator for names of things of this kind."""
    return _reads(lambda text: parse_name(text, what), str)


def _schema(**schema: Any) -> WithJsonSchema:
    return WithJsonSchema(schema)


def dump_scalar(value: Any) -> str:
    """A text, number or truth value as text. Raises ValueError for anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, str | int | float):
        return str(value)
    raise ValueError(f"must be a text, not {_kind(value)}")


def _kind(value: Any) -> str:
    if value is None:
        return "empty"
    return "a mapping" if isinstance(value, Mapping) else "a list"


def read_words(value: Any) -> Any:
    """A command: a list of words, or a line that is split as a shell does it."""
    if isinstance(value, str):
        return tuple(shlex.split(value))
    if isinstance(value, list | tuple):
        return tuple(dump_scalar(item) for item in value)
    return value


def _read_pairs(value: Any) -> Any:
    """A mapping, or a list of KEY=VALUE."""
    if isinstance(value, list):
        pairs = [dump_scalar(item).partition("=") for item in value]
        if bare := [key for key, equals, _ in pairs if not equals]:
            raise ValueError(f"{bare[0]!r} is not KEY=VALUE")
        value = {key: text for key, _, text in pairs}
    if isinstance(value, dict):
        return {str(key): _read_value(key, item) for key, item in value.items()}
    return value


def _read_value(key: Any, value: Any) -> str:
    try:
        return dump_scalar(value)
    except ValueError as err:
        raise ValueError(f"{key}: {err}") from err


def _read_env(value: Any) -> Any:
    found = _read_pairs(value)
    for key in found if isinstance(found, dict) else ():
        if not _VARIABLE.fullmatch(key):
            raise ValueError(f"{key!r} is not the name of a variable")
    return found


def read_list(value: Any) -> Any:
    """A list, or one thing alone."""
    return (value,) if isinstance(value, str | int) and not isinstance(value, bool) else value


def _read_settings(value: Any) -> Any:
    """Settings, of which tables may be written as mappings: `lan: {mtu: 1400}` is `lan.mtu`."""
    if not isinstance(value, dict):
        return {} if value is None else value
    return {name: item for name, item in flatten_settings(value) if item != {}}


def _read_range(
    parse: Callable[[str], Range], dump: Callable[[int], str], least: int, most: int, usual: int | None = None
) -> BeforeValidator:
    """A validator for a size, or two with `..` between them."""

    def read(value: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, str | int | Range):
            return value
        found = value if isinstance(value, Range) else quietly(parse, str(value))
        for size in filter(None, (found.least, found.most)):
            if size < least:
                raise ValueError(f"must be at least {dump(least)}, not {value}")
            if size > most:
                raise ValueError(f"must be at most {dump(most)}, not {value}")
        return replace(found, least=found.least or usual)

    return BeforeValidator(read)


def _read_path(value: Any, info: ValidationInfo) -> Any:
    return join_path(str((info.context or {}).get(FOLDER, "/")), value) if isinstance(value, str) and value else value


def _read_boot_file(value: Any, info: ValidationInfo) -> Any:
    folder = str((info.context or {}).get(FOLDER, "/"))
    return place_boot_file(value, folder) if isinstance(value, str) and value else value


def _read_mount(value: Any, info: ValidationInfo) -> Any:
    folder = str((info.context or {}).get(FOLDER, "/"))
    return quietly(parse_volume, value, folder) if isinstance(value, str) else value


def _read_ip(value: Any) -> Any:
    """Numbers are addresses, too, but nobody means it."""
    if isinstance(value, bool | int | float):
        raise ValueError(f"must be a text like 10.1.2.0/24 or fd00::1, not {str(value).lower()}")
    return value


Address = Annotated[IPv4Address, BeforeValidator(_read_ip)]
Address6 = Annotated[IPv6Address, BeforeValidator(_read_ip)]
Subnet = Annotated[IPv4Network, BeforeValidator(_read_ip)]
Subnet6 = Annotated[IPv6Network, BeforeValidator(_read_ip)]
Size = Annotated[int, _reads(parse_size, str), _schema(type=["string", "integer"], examples=["64M", "1G"])]
Cpus = Annotated[
    InstanceOf[Range],
    _read_range(parse_cpus, str, 1, MAX_CPUS, usual=1),
    PlainSerializer(dump_cpus),
    _schema(type=["integer", "string"], examples=[2, "1..4"]),
]
Memory = Annotated[
    InstanceOf[Range],
    _read_range(parse_memory, dump_size, MIN_MEMORY, MAX_MEMORY),
    PlainSerializer(dump_memory),
    _schema(type=["string", "integer"], examples=["64M", "128M..2G"]),
]
Duration = Annotated[float, _reads(parse_duration, str), _schema(type=["string", "number"], examples=["10s", "1h30m"])]
Path = Annotated[str, BeforeValidator(_read_path), _schema(type="string")]
Words = Annotated[tuple[str, ...], BeforeValidator(read_words), _schema(anyOf=[{"type": "string"}, _TEXTS])]
Texts = Annotated[tuple[str, ...], BeforeValidator(read_list), _schema(anyOf=[{"type": "string"}, _TEXTS])]
Paths = Annotated[tuple[Path, ...], BeforeValidator(read_list), _schema(anyOf=[{"type": "string"}, _TEXTS])]
BootFiles = Annotated[
    tuple[Annotated[str, BeforeValidator(_read_boot_file), _schema(type="string")], ...],
    BeforeValidator(read_list),
    _schema(anyOf=[{"type": "string"}, _TEXTS], examples=[["pxelinux.0", "tree/", "pxelinux.cfg/default=menu.cfg"]]),
]
Env = Annotated[
    dict[str, str],
    BeforeValidator(_read_env),
    _schema(anyOf=[{"type": "object", "additionalProperties": _SCALAR}, _TEXTS]),
]
Labels = Annotated[
    dict[str, str],
    BeforeValidator(_read_pairs),
    _schema(anyOf=[{"type": "object", "additionalProperties": _SCALAR}, _TEXTS]),
]
Settings = Annotated[dict[str, Any], BeforeValidator(_read_settings)]
Text = Annotated[str, _reads(dump_scalar, int, float), _schema(type=["string", "number"])]
Signal = Annotated[str, _reads(lambda text: parse_signal(str(text)), str, int), _schema(type=["string", "integer"])]
Publish = Annotated[
    PublishSpec,
    _reads(lambda text: parse_publish(str(text)), str, int),
    _schema(type=["string", "integer"], examples=["8080:80", "127.0.0.1:5353:53/udp", "80"]),
]
Mount = Annotated[
    MountSpec, BeforeValidator(_read_mount), _schema(type="string", examples=["data:/srv", "./www:/www:ro"])
]
Tmpfs = Annotated[MountSpec, _reads(parse_tmpfs, str), _schema(type="string", examples=["/tmp", "/run:size=16M"])]
Port = Annotated[
    str,
    _reads(lambda text: str(parse_port(text)), str),
    _schema(type="string", examples=["web", "web:1", "network:lan"]),
]
MachineName = Annotated[str, named("machine"), _schema(type="string", pattern=NAME_PATTERN)]
NetworkName = Annotated[str, named("network"), _schema(type="string", pattern=NAME_PATTERN)]
InsertName = Annotated[str, named("insert"), _schema(type="string", pattern=NAME_PATTERN)]
ImageName = Annotated[str, StringConstraints(min_length=1)]
VolumeName = Annotated[str, named("volume"), _schema(type="string", pattern=NAME_PATTERN)]
RoomName = Annotated[str, named("room"), _schema(type="string", pattern=NAME_PATTERN)]


def find_image_name(image: str | None, build: str | None) -> str:
    """An image by its name: what is said, or else what its recipe's folder is called."""
    return image or (build or "").rstrip("/").rpartition("/")[2]
