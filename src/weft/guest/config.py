"""What a machine is told at boot: `/weft.conf` in its initramfs. See docs/reference/guest-config.md.

The text is made here and read by the init in guest/; the parser here is for tools and tests, and agrees with it.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_interface
from typing import Literal

from weft.model.errors import Invalid

CONFIG_VERSION = 1
CONFIG_MAX_BYTES = 256 * 1024

Restart = Literal["never", "on-failure", "always"]
RESTARTS: tuple[Restart, ...] = ("never", "on-failure", "always")

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_OVERLAY = re.compile(r"[0-9]{1,15}%?")


@dataclass(frozen=True, slots=True)
class GuestRoot:
    """The root file system: the virtio-blk device with this serial number, at most 20 bytes of it."""

    serial: str
    type: str = "squashfs"


@dataclass(frozen=True, slots=True)
class GuestNic:
    """One NIC, found by its MAC address and renamed. `addresses` are like 10.0.0.2/24; none: it is only brought up."""

    mac: str
    name: str
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    mtu: int | None = None


@dataclass(frozen=True, slots=True)
class GuestHost:
    """A line of the machine's /etc/hosts."""

    address: str
    name: str


@dataclass(frozen=True, slots=True)
class GuestMount:
    """A further file system, such as the floppy: the block device with this serial number at a directory."""

    serial: str
    at: str
    type: str
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """Everything init is told. `overlay`: size of the writable layer, in bytes or like `50%`; None: none.

    `wires` are pairs of NIC names between which frames pass untouched. An empty `argv` means that there is no entry
    point and the machine only serves its agent. `user` is USER[:GROUP], names or numbers.
    """

    hostname: str | None = None
    root: GuestRoot | None = None
    overlay: int | str | None = None
    nics: tuple[GuestNic, ...] = ()
    wires: tuple[tuple[str, str], ...] = ()
    dns: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    hosts: tuple[GuestHost, ...] = ()
    argv: tuple[str, ...] = ()
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    user: str | None = None
    restart: Restart = "never"
    mounts: tuple[GuestMount, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)


def _encode(text: str) -> str:
    if "\0" in text:
        raise Invalid(f"guest configuration: {text!r} contains a NUL character")
    for char in "%\n\r ":
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def _decode(text: str) -> str:
    def character(match: re.Match[str]) -> str:
        value = int(match[1] or "0", 16)
        if value == 0:
            raise Invalid(f"guest configuration: {text!r} is badly encoded")
        return chr(value) if value < 0x80 else bytes([value]).decode("utf-8", "surrogateescape")

    return re.sub(r"%([0-9A-Fa-f]{2})?", character, text)


def _option(name: str, value: object) -> str:
    return f"{name}={_encode(str(value))}"


def _dump_nic(nic: GuestNic) -> str:
    options = [_option("name", nic.name)]
    options += [_option("addr", address) for address in nic.addresses]
    options += [_option("gw", gateway) for gateway in nic.gateways]
    if nic.mtu is not None:
        options.append(_option("mtu", nic.mtu))
    return " ".join([nic.mac.lower(), *options])


def _dump_mount(mount: GuestMount) -> str:
    options = [_option("serial", mount.serial), _option("at", mount.at), _option("type", mount.type)]
    return " ".join([*options, "ro"] if mount.read_only else options)


def _dump_lines(config: GuestConfig) -> Iterator[tuple[str, str]]:
    yield "version", str(CONFIG_VERSION)
    if config.hostname is not None:
        yield "hostname", _encode(config.hostname)
    if config.root:
        yield "root", f"{_option('serial', config.root.serial)} {_option('type', config.root.type)}"
    if config.overlay is not None:
        yield "overlay", _option("size", config.overlay)
    yield from (("nic", _dump_nic(nic)) for nic in config.nics)
    yield from (("wire", f"{_encode(a)} {_encode(b)}") for a, b in config.wires)
    yield from (("dns", _encode(address)) for address in config.dns)
    yield from (("search", _encode(name)) for name in config.search)
    yield from (("host", f"{_encode(host.address)} {_encode(host.name)}") for host in config.hosts)
    yield from (("mount", _dump_mount(mount)) for mount in config.mounts)
    yield from (("sysctl", f"{_encode(name)} {_encode(value)}") for name, value in config.sysctls.items())
    yield from (("arg", _encode(arg)) for arg in config.argv)
    yield from (("env", _encode(f"{name}={value}")) for name, value in config.env.items())
    if config.cwd is not None:
        yield "cwd", _encode(config.cwd)
    if config.user is not None:
        yield "user", _encode(config.user)
    yield "restart", config.restart


def dump_guest_config(config: GuestConfig) -> bytes:
    """The text of /weft.conf. Raises Invalid when the machine's init would refuse it."""
    _check(config)
    text = "".join(f"{key} {value}\n" for key, value in _dump_lines(config))
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > CONFIG_MAX_BYTES:
        raise Invalid(f"guest configuration: {len(data)} bytes, more than {CONFIG_MAX_BYTES}")
    return data


def _require(good: bool, what: str) -> None:
    if not good:
        raise Invalid(f"guest configuration: {what}")


def _check_nic(nic: GuestNic) -> None:
    _require(bool(_MAC.fullmatch(nic.mac.lower())), f"nic {nic.name!r}: {nic.mac!r} is not a MAC address")
    _require(0 < len(nic.name) < 16 and "/" not in nic.name, f"{nic.name!r} is not an interface name")
    _require(len(nic.addresses) <= 8 and len(nic.gateways) <= 2, f"nic {nic.name!r} has too many addresses")
    _require(nic.mtu is None or 0 < nic.mtu <= 65535, f"nic {nic.name!r}: MTU {nic.mtu} is not possible")
    try:
        [ip_interface(address) for address in nic.addresses]
        [ip_address(gateway) for gateway in nic.gateways]
    except ValueError as err:
        raise Invalid(f"guest configuration: nic {nic.name!r}: {err}") from err


def _check_wires(config: GuestConfig) -> None:
    names = [nic.name for nic in config.nics]
    _require(len(set(names)) == len(names), "two NICs have one name")
    free = {nic.name for nic in config.nics if not nic.addresses}
    for pair in config.wires:
        _require(len(set(pair)) == 2 and set(pair) <= free, f"wire {' '.join(pair)}: two free NICs without address")
        free -= set(pair)


def _check(config: GuestConfig) -> None:
    for nic in config.nics:
        _check_nic(nic)
    _check_wires(config)
    if config.overlay is not None:
        _require(bool(_OVERLAY.fullmatch(str(config.overlay))), f"overlay size {config.overlay!r}")
    _require(config.restart in RESTARTS, f"restart {config.restart!r}")
    _require(not config.argv or bool(config.argv[0]), "the entry point's name is empty")
    for name in config.env:
        _require(bool(name) and "=" not in name, f"{name!r} is not an environment variable's name")
    for mount in config.mounts:
        _require(mount.at.startswith("/"), f"mount at {mount.at!r}: not an absolute path")
    for text in (config.hostname, config.cwd, config.user):
        _require(text is None or bool(text), "hostname, cwd and user must not be empty")


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
            "env": lambda rest: self.env.update([_split(_decode(rest))]),
            "sysctl": lambda rest: self.sysctls.update([_pair(rest)]),
        }
        if key in readers:
            readers[key](rest)
        elif key in self.lists:
            self.lists[key].append(_decode(rest))
        elif key in {"hostname", "cwd", "user", "restart"}:
            self._set(key, _decode(rest))
        else:
            raise Invalid(f"unknown key {key!r}")

    def _version(self, rest: str) -> None:
        _require(rest == str(CONFIG_VERSION), f"version {rest!r} is not {CONFIG_VERSION}")

    def _set(self, key: str, value: str) -> None:
        _require(key not in self.single, f"{key} given twice")
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
            )
        )

    def _mount(self, rest: str) -> None:
        read_only = rest.endswith(" ro")
        options = _options(rest.removesuffix(" ro"))
        self.mounts.append(GuestMount(options["serial"], options["at"], options["type"], read_only))

    def config(self) -> GuestConfig:
        overlay, restart = self.single.get("overlay"), self.single.get("restart", "never")
        return GuestConfig(
            hostname=self.single.get("hostname"),
            root=self.root,
            overlay=int(overlay) if overlay is not None and overlay.isdigit() else overlay,
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
            mounts=tuple(self.mounts),
            sysctls=self.sysctls,
        )


def _split(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    _require(bool(name and equals), f"{text!r} is not NAME=VALUE")
    return name, value


def _options(rest: str) -> dict[str, str]:
    return dict(_split(_decode(field)) for field in rest.split(" "))


def _pair(rest: str) -> tuple[str, str]:
    first, space, second = rest.partition(" ")
    _require(bool(space) and " " not in second, f"{rest!r} is not a pair")
    return _decode(first), _decode(second)


def parse_guest_config(data: bytes) -> GuestConfig:
    """The configuration in a text made by `dump_guest_config`. Raises Invalid, naming the line."""
    reader = _Reader()
    lines = data.decode("utf-8", "surrogateescape").split("\n")
    for number, line in enumerate(lines[:-1] if lines[-1] == "" else lines, 1):
        key, space, rest = line.partition(" ")
        try:
            _require(bool(space) and (key == "version") == (number == 1), "not KEY VALUE, or version not first")
            reader.read(key, rest)
        except (Invalid, KeyError, ValueError) as err:
            raise Invalid(f"guest configuration: line {number}: {err}") from err
    config = reader.config()
    _check(config)
    return config
