"""Boot parameters of a Plan 9 machine: the text of its plan9.ini.

The kernel gets it as its first module, by 9front's multiboot protocol (its sys/src/9/pc/bootargs.c), whose rules are
kept here: lines NAME=VALUE, names without regard to case, of two lines with one name the later one holds, `#` begins a
comment. What names mean is in plan9.ini(8), boot(8) and ipconfig(8).
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Interface

from weft.model.errors import Invalid

ROOM = 24_000 - 1024
"""Bytes that 9front's kernels keep (BOOTARGSLEN, pc64/mem.h), less what they put before it: the map of memory."""
MOST = 60
"""Lines that they look at (MAXCONF, 64), less those for the map of memory, a screen and the command line."""
ETHER_TYPES = {"virtio": "virtio", "e1000e": "igbepcie"}
"""What Plan 9 calls the NICs that there are, by what they are called here."""


@dataclass(frozen=True, slots=True)
class Plan9Root:
    """A root that is served over the network: where, to a machine with which address, by which of its NICs."""

    address: IPv4Interface
    server: IPv4Address
    nic: int = 0


@dataclass(frozen=True, slots=True)
class Plan9Machine:
    """What the fabric knows of a machine and its kernel should. `nics`: what each is called here."""

    name: str
    nics: tuple[str, ...] = ()
    root: Plan9Root | None = None


def plan_ini(machine: Plan9Machine, ini: str, options: Mapping[str, str]) -> str:
    """The whole plan9.ini: what `ini` says, of the rest what the fabric knows, and over both `options`.

    Each name stands there once. Raises Invalid for what is no such text, or more than a kernel takes."""
    settings = _Settings()
    for name, value in parse_ini(ini):
        settings.put(name, value)
    for name, value in _known(machine):
        settings.fill_in(name, value)
    for name, value in options.items():
        settings.put(*check_setting(name, value))
    return _check_size(settings.lines())


def parse_ini(text: str) -> Iterator[tuple[str, str]]:
    """Names and values, without comments and empty lines. Raises Invalid, saying which line is wrong."""
    for number, line in enumerate(text.replace("\r", "").replace("\t", " ").split("\n"), start=1):
        if not line.strip() or line.startswith("#"):
            continue
        name, equals, value = line.partition("=")
        if not equals:
            raise Invalid(f"plan9.ini line {number}: {line!r} is not like name=value", hint="there are no menus here")
        try:
            yield check_setting(name, value)
        except Invalid as err:
            raise Invalid(f"plan9.ini line {number}: {err.message}") from err


def check_setting(name: str, value: str) -> tuple[str, str]:
    """Both, if a line can hold them. Raises Invalid."""
    if not name or not name.isprintable() or any(c in name for c in " =") or name.startswith("#"):
        raise Invalid(f"{name!r} cannot be a boot parameter")
    if not value.isprintable():
        raise Invalid(f"the value of {name} is not one line of printable text")
    return name, value


class _Settings:
    """Names and values in the order in which the names first came."""

    def __init__(self) -> None:
        self._kept: dict[str, tuple[str, str]] = {}

    def put(self, name: str, value: str) -> None:
        self._kept[name.lower()] = (name, value)

    def fill_in(self, name: str, value: str) -> None:
        self._kept.setdefault(name.lower(), (name, value))

    def lines(self) -> list[str]:
        return [f"{name}={value}" for name, value in self._kept.values()]


def _known(machine: Plan9Machine) -> Iterator[tuple[str, str]]:
    """What is said unless somebody said it otherwise: nothing is asked at the console while it boots."""
    yield "console", "0"
    yield "*acpi", "1"  # the default of newer kernels; older ones find no interrupts on a q35 board without
    yield "user", "glenda"
    yield "sysname", machine.name
    yield "service", "terminal"  # a cpu server would ask for its keys
    for number, nic in enumerate(machine.nics):
        yield f"ether{number}", f"type={ETHER_TYPES[nic]}"
    if machine.root is not None:
        yield from _rooted(machine.root)


def _rooted(root: Plan9Root) -> Iterator[tuple[str, str]]:
    """The answer to "root is from" is a method, `tcp`, and behind the mark the arguments of ipconfig(8)."""
    address, mask = root.address.ip, root.address.netmask
    yield "fs", str(root.server)
    yield "auth", str(root.server)
    yield "nobootprompt", f"tcp!-g {root.server} ether /net/ether{root.nic} {address} {mask}"


def _check_size(lines: list[str]) -> str:
    text = "".join(f"{line}\n" for line in lines)
    if len(lines) > MOST:
        raise Invalid(f"a Plan 9 kernel takes {MOST} boot parameters, not {len(lines)}")
    if len(text.encode()) > ROOM:
        raise Invalid(f"a Plan 9 kernel takes {ROOM} bytes of boot parameters, not {len(text.encode())}")
    return text
