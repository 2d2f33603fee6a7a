"""Reads `/weft.conf` as the init does: for tools, and for tests that hold the two ends against each other."""

import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from weft.guest.config import (
    CONFIG_VERSION,
    GuestConfig,
    GuestFile,
    GuestHost,
    GuestMount,
    GuestNic,
    GuestRoot,
    GuestService,
)
from weft.guest.config_check import check_guest_config, require
from weft.model.errors import Invalid

_MOUNT_OPTIONS = {"serial", "tag", "at", "type", "sub", "size"}
_SINGLE = {
    *("hostname", "machineid", "forkedfrom", "template"),
    *("cwd", "user", "restart", "restarts", "stop", "readonly"),
}
_SERVICE_OPTIONS = {"restart", "user", "cwd", "after"}


def _decode(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        value = int(match[1] or "0", 16)
        if value == 0:
            raise Invalid(f"guest configuration: {text!r} is badly encoded")
        return chr(value) if value < 0x80 else bytes([value]).decode("utf-8", "surrogateescape")

    return re.sub(r"%([0-9A-Fa-f]{2})?", character, text)


class _Reader:
    """Collects the lines of a configuration into the fields of GuestConfig."""

    def __init__(self) -> None:
        self.single: dict[str, str] = {}
        self.root: GuestRoot | None = None
        self.nics: list[GuestNic] = []
        self.wires: list[tuple[str, str]] = []
        self.hosts: list[GuestHost] = []
        self.mounts: list[GuestMount] = []
        self.lists: dict[str, list[str]] = {"dns": [], "search": [], "arg": []}
        self.env: dict[str, str] = {}
        self.files: list[GuestFile] = []
        self.services: list[GuestService] = []
        self.sysctls: dict[str, str] = {}

    def read(self, key: str, rest: str) -> None:
        readers: dict[str, Callable[[str], None]] = {
            "version": self._version,
            "root": self._root,
            "overlay": lambda rest: self._set("overlay", _options(rest)["size"]),
            "nic": self._nic,
            "wire": lambda rest: self.wires.append(_pair(rest)),
            "host": lambda rest: self.hosts.append(GuestHost(*_pair(rest))),
            "mount": self._mount,
            "file": self._file,
            "service": lambda rest: self.services.append(_parse_service(rest)),
            "sarg": lambda rest: self._extend(argv=(*self._last().argv, _decode(rest))),
            "senv": lambda rest: self._extend(env={**self._last().env, **dict([_split(_decode(rest))])}),
            "env": lambda rest: self.env.update([_split(_decode(rest))]),
            "sysctl": lambda rest: self.sysctls.update([_pair(rest)]),
        }
        if key in readers:
            readers[key](rest)
        elif key in self.lists:
            self.lists[key].append(_decode(rest))
        elif key in _SINGLE:
            self._set(key, _decode(rest))
        else:
            raise Invalid(f"unknown key {key!r}")

    def _version(self, rest: str) -> None:
        require(rest == str(CONFIG_VERSION), f"version {rest!r} is not {CONFIG_VERSION}")

    def _set(self, key: str, value: str) -> None:
        require(key not in self.single, f"{key} given twice")
        self.single[key] = value

    def _root(self, rest: str) -> None:
        options = _options(rest)
        self.root = GuestRoot(options["serial"], options["type"])

    def _nic(self, rest: str) -> None:
        mac, *fields = rest.split(" ")
        options = [_split(_decode(field)) for field in fields]
        single = dict(options)
        self.nics.append(
            GuestNic(
                mac,
                single["name"],
                tuple(value for name, value in options if name == "addr"),
                tuple(value for name, value in options if name == "gw"),
                int(single["mtu"]) if "mtu" in single else None,
                single.get("was"),
            )
        )

    def _mount(self, rest: str) -> None:
        options, flags = _parse_options(rest)
        values = dict(options)
        require(flags <= {"ro", "copy"} and values.keys() <= _MOUNT_OPTIONS, f"unknown option in {rest!r}")
        self.mounts.append(
            GuestMount(
                values["at"],
                values["type"],
                serial=values.get("serial"),
                tag=values.get("tag"),
                sub=values.get("sub"),
                size=_number_or_text(values.get("size")),
                copy="copy" in flags,
                read_only="ro" in flags,
            )
        )

    def _file(self, rest: str) -> None:
        path, mode, content = rest.split(" ")
        require(bool(re.fullmatch("mode=[0-7]{4}", mode)), f"{mode!r} is not mode= and four octal digits")
        self.files.append(GuestFile(_decode(path), _decode(content), int(mode.removeprefix("mode="), 8)))

    def _last(self) -> GuestService:
        require(bool(self.services), "no service before this line")
        return self.services[-1]

    def _extend(self, **changes: Any) -> None:
        self.services[-1] = replace(self._last(), **changes)

    def _flag(self, key: str) -> bool:
        value = self.single.get(key)
        require(value in (None, "yes"), f"{key} {value!r}")
        return value is not None

    def config(self) -> GuestConfig:
        restart = self.single.get("restart", "never")
        return GuestConfig(
            hostname=self.single.get("hostname"),
            machine_id=self.single.get("machineid"),
            forked_from=self.single.get("forkedfrom"),
            template=self._flag("template"),
            root=self.root,
            overlay=_number_or_text(self.single.get("overlay")),
            nics=tuple(self.nics),
            wires=tuple(self.wires),
            dns=tuple(self.lists["dns"]),
            search=tuple(self.lists["search"]),
            hosts=tuple(self.hosts),
            argv=tuple(self.lists["arg"]),
            env=self.env,
            cwd=self.single.get("cwd"),
            user=self.single.get("user"),
            restart=restart,  # type: ignore[arg-type]  # _check refuses what is not a Restart
            restarts=_number(self.single.get("restarts")),
            stop=_number(self.single.get("stop")),
            services=tuple(self.services),
            files=tuple(self.files),
            read_only=self._flag("readonly"),
            mounts=tuple(self.mounts),
            sysctls=self.sysctls,
        )


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    require(bool(name and equals), f"{text!r} is not NAME=VALUE")
    return name, value


def _number(text: str | None) -> int | None:
    if text is None:
        return None
    require(bool(re.fullmatch("[0-9]+", text)), f"{text!r} is not a number")
    return int(text)


def _number_or_text(text: str | None) -> int | str | None:
    return int(text) if text is not None and re.fullmatch("[0-9]+", text) else text


def _parse_options(rest: str) -> tuple[list[tuple[str, str]], set[str]]:
    """NAME=VALUE options, and those that are only a name."""
    fields = [_decode(field) for field in rest.split(" ")]
    return [_split(field) for field in fields if "=" in field], {field for field in fields if "=" not in field}


def _parse_service(rest: str) -> GuestService:
    name, _, rest = rest.partition(" ")
    options, flags = _parse_options(rest) if rest else ([], set())
    single = dict(options)
    require(flags <= {"once"} and single.keys() <= _SERVICE_OPTIONS, f"unknown option in {rest!r}")
    return GuestService(
        _decode(name),
        (),
        cwd=single.get("cwd"),
        user=single.get("user"),
        restart=single.get("restart", "always"),  # type: ignore[arg-type]  # the check refuses what is not a Restart
        after=tuple(value for name, value in options if name == "after"),
        once="once" in flags,
    )


def _options(rest: str) -> dict[str, str]:
    return dict(_split(_decode(field)) for field in rest.split(" "))


def _pair(rest: str) -> tuple[str, str]:
    first, space, second = rest.partition(" ")
    require(bool(space) and " " not in second, f"{rest!r} is not a pair")
    return _decode(first), _decode(second)


def parse_guest_config(data: bytes) -> GuestConfig:
    """The configuration in a text made by `dump_guest_config`. Raises Invalid, naming the line."""
    reader = _Reader()
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, 1):
        key, space, rest = line.partition(" ")
        try:
            require(bool(space) and (key == "version") == (number == 1), "not KEY VALUE, or version not first")
            reader.read(key, rest)
        except (Invalid, KeyError, ValueError) as err:
            raise Invalid(f"guest configuration: line {number}: {err}") from err
    config = reader.config()
    check_guest_config(config)
    return config
