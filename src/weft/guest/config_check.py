"""What a machine's init would refuse is refused before the machine starts."""

import re
from collections.abc import Mapping, Sequence, Set
from graphlib import CycleError, TopologicalSorter
from ipaddress import ip_address, ip_interface

from weft.guest.config import HOST_TYPES, RESTARTS, GuestConfig, GuestFile, GuestMount, GuestNic, GuestService
from weft.model.errors import Invalid

_MAC = re.compile(r"[0-9a-f]{2}(:[0-9a-f]{2}){5}")
_MACHINE_ID = re.compile(r"[0-9a-f]{32}")
_SIZE = re.compile(r"[0-9]{1,15}%?")
_SERVICE = re.compile(r"[a-z0-9-]{1,31}")


def require(good: bool, what: str) -> None:
    if not good:
        raise Invalid(f"guest configuration: {what}")


def _check_nic(nic: GuestNic) -> None:
    require(bool(_MAC.fullmatch(nic.mac.lower())), f"nic {nic.name!r}: {nic.mac!r} is not a MAC address")
    require(nic.was is None or bool(_MAC.fullmatch(nic.was.lower())), f"nic {nic.name!r}: was {nic.was!r}")
    require(0 < len(nic.name) < 16 and "/" not in nic.name, f"{nic.name!r} is not an interface name")
    require(len(nic.addresses) <= 8 and len(nic.gateways) <= 2, f"nic {nic.name!r} has too many addresses")
    require(nic.mtu is None or 0 < nic.mtu <= 65535, f"nic {nic.name!r}: MTU {nic.mtu} is not possible")
    try:
        [ip_interface(address) for address in nic.addresses]
        [ip_address(gateway) for gateway in nic.gateways]
    except ValueError as err:
        raise Invalid(f"guest configuration: nic {nic.name!r}: {err}") from err


def _check_wires(config: GuestConfig) -> None:
    names = [nic.name for nic in config.nics]
    require(len(set(names)) == len(names), "two NICs have one name")
    free = {nic.name for nic in config.nics if not nic.addresses}
    for pair in config.wires:
        require(len(set(pair)) == 2 and set(pair) <= free, f"wire {' '.join(pair)}: two free NICs without address")
        free -= set(pair)


def _is_path(text: str) -> bool:
    return text.startswith("/") and bool(text.strip("/")) and ".." not in text.split("/")


def _check_environment(env: Mapping[str, str]) -> None:
    for name in env:
        require(bool(name) and "=" not in name, f"{name!r} is not an environment variable's name")


def _check_mount(mount: GuestMount) -> None:
    what = f"mount at {mount.at!r}"
    memory, host = mount.type == "tmpfs", mount.type in HOST_TYPES
    require(_is_path(mount.at), f"{what}: not an absolute path below /")
    require(bool(mount.type), f"{what}: no type")
    require((mount.tag is not None) == host, f"{what}: {mount.type!r} and tag {mount.tag!r}")
    require((mount.serial is None) == (memory or host), f"{what}: {mount.type!r} and serial {mount.serial!r}")
    require("" not in (mount.tag, mount.serial), f"{what}: an empty source")
    require(mount.sub is None or not (memory or host), f"{what}: {mount.type} has no sub")
    require(
        mount.sub is None or (mount.sub not in ("", ".", "..") and "/" not in mount.sub), f"{what}: sub {mount.sub!r}"
    )
    require(mount.size is None or (memory and bool(_SIZE.fullmatch(str(mount.size)))), f"{what}: size {mount.size!r}")
    require(not (mount.copy and host), f"{what}: {mount.type} has no copy")


def _check_file(file: GuestFile) -> None:
    require(_is_path(file.path) and not file.path.endswith("/"), f"{file.path!r} is not the absolute path of a file")
    require(0 <= file.mode <= 0o7777, f"{file.path}: mode {file.mode:o}")


def _check_service(service: GuestService, names: Set[str]) -> None:
    what = f"service {service.name!r}"
    require(bool(_SERVICE.fullmatch(service.name)), f"{what}: not a name")
    require(bool(service.argv and service.argv[0]), f"{what}: no program")
    require(service.restart in RESTARTS, f"{what}: restart {service.restart!r}")
    require(len(service.after) <= 8, f"{what}: after more than 8 others")
    for name in service.after:
        require(name in names, f"{what}: there is no service {name!r} to come after")
    for text in (service.cwd, service.user):
        require(text is None or bool(text), f"{what}: cwd and user must not be empty")
    _check_environment(service.env)


def _check_services(services: Sequence[GuestService]) -> None:
    names = {service.name for service in services}
    require(len(names) == len(services), "two services have one name")
    for service in services:
        _check_service(service, names)
    try:
        TopologicalSorter({service.name: service.after for service in services}).prepare()
    except CycleError as err:
        raise Invalid(f"guest configuration: services wait for each other: {', '.join(err.args[1])}") from err


def check_guest_config(config: GuestConfig) -> None:
    """Raises Invalid for what the machine's init would refuse."""
    for nic in config.nics:
        _check_nic(nic)
    _check_wires(config)
    if config.overlay is not None:
        require(bool(_SIZE.fullmatch(str(config.overlay))), f"overlay size {config.overlay!r}")
    require(config.restart in RESTARTS, f"restart {config.restart!r}")
    require(config.restarts is None or 0 <= config.restarts <= 0xFFFFFFFF, f"restarts {config.restarts}")
    require(config.stop is None or 1 <= config.stop <= 64, f"{config.stop} is not a signal")
    require(not config.argv or bool(config.argv[0]), "the entry point's name is empty")
    _check_environment(config.env)
    for mount in config.mounts:
        _check_mount(mount)
    for file in config.files:
        _check_file(file)
    _check_services(config.services)
    for text in (config.hostname, config.forked_from, config.cwd, config.user):
        require(text is None or bool(text), "names, cwd and user must not be empty")
    known = config.machine_id is None or bool(_MACHINE_ID.fullmatch(config.machine_id))
    require(known, f"{config.machine_id!r} is not a machine id")
