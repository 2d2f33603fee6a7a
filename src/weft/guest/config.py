"""What a machine is told at boot: `/weft.conf` in its initramfs. See docs/reference/guest-config.md.

These are its meaning; `weft.guest.config_text` writes it for the init in guest/ and `weft.guest.config_parse` reads it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

CONFIG_VERSION = 1
CONFIG_MAX_BYTES = 256 * 1024

Restart = Literal["never", "on-failure", "always"]
RESTARTS: tuple[Restart, ...] = ("never", "on-failure", "always")
HOST_TYPES = ("9p", "virtiofs")
"""File systems that are a folder of the host."""


@dataclass(frozen=True, slots=True)
class GuestRoot:
    """The root file system: the virtio-blk device with this serial number, at most 20 bytes; or the path of a device,
    or of a file in the initramfs that becomes one.
    """

    serial: str
    type: str = "squashfs"


@dataclass(frozen=True, slots=True)
class GuestNic:
    """One NIC, found by its MAC address and renamed. `addresses` are like 10.0.0.2/24; none: it is only brought up.

    `was` is the address by which a copy's guest still knows it: it is found by that, and gets `mac` for it.
    """

    mac: str
    name: str
    addresses: tuple[str, ...] = ()
    gateways: tuple[str, ...] = ()
    mtu: int | None = None
    was: str | None = None


@dataclass(frozen=True, slots=True)
class GuestHost:
    """A line of the machine's /etc/hosts."""

    address: str
    name: str


@dataclass(frozen=True, slots=True)
class GuestMount:
    """A further file system at a directory, which is made when it is missing.

    Type `tmpfs` is memory: `size` in bytes or like `50%`. Types `9p` and `virtiofs` are a folder of the host, by its
    `tag`. Every other type is on the block device with the serial number `serial`; `sub` is a folder of it, made when
    missing. With `copy`, what the image has at this place goes into it when it is empty.
    """

    at: str
    type: str
    serial: str | None = None
    tag: str | None = None
    sub: str | None = None
    size: int | str | None = None
    copy: bool = False
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class GuestFile:
    """A file that is written before anything starts, with the folders above it. A NUL cannot be in it."""

    path: str
    content: str = ""
    mode: int = 0o644


@dataclass(frozen=True, slots=True)
class GuestService:
    """A program beside the entry point. It starts when all of `after` have started; a `once` service has started when
    it has ended with status 0, and `restart` means nothing for it. `env` goes over the machine's."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    cwd: str | None = None
    user: str | None = None
    restart: Restart = "always"
    after: tuple[str, ...] = ()
    once: bool = False


@dataclass(frozen=True, slots=True)
class GuestConfig:
    """Everything init is told. `overlay`: size of the writable layer, in bytes or like `50%`; None: none.

    `wires` are pairs of NIC names between which frames pass untouched. An empty `argv` means that there is no entry
    point and the machine only serves its agent. `user` is USER[:GROUP], names or numbers. `stop` is the signal that
    asks the entry point to end (None: SIGTERM); `restarts` the most restarts of `on-failure` (None: no bound).
    `read_only`: nothing can be written to the root once everything is prepared. `machine_id` is 32 hexadecimal digits.
    `template`: the machine boots as far as it can without being anybody, and waits to be told who it is.
    `forked_from`: the name of the machine it is a copy of, for the programs in it that are told of that.
    """

    hostname: str | None = None
    machine_id: str | None = None
    forked_from: str | None = None
    template: bool = False
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
    restarts: int | None = None
    stop: int | None = None
    services: tuple[GuestService, ...] = ()
    files: tuple[GuestFile, ...] = ()
    read_only: bool = False
    mounts: tuple[GuestMount, ...] = ()
    sysctls: Mapping[str, str] = field(default_factory=dict)
