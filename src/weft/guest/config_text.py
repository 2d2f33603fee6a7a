"""The text of `/weft.conf`, as the init in guest/ reads it. See docs/reference/guest-config.md."""

from collections.abc import Iterator

from weft.guest.config import (
    CONFIG_MAX_BYTES,
    CONFIG_VERSION,
    GuestConfig,
    GuestFile,
    GuestMount,
    GuestNic,
    GuestService,
)
from weft.guest.config_check import check_guest_config
from weft.model.errors import Invalid


def _encode(text: str) -> str:
    if "\0" in text:
        raise Invalid(f"guest configuration: {text!r} contains a NUL character")
    for char in "%\n\r ":
        text = text.replace(char, f"%{ord(char):02X}")
    return text


def _option(name: str, value: object) -> str:
    return f"{name}={_encode(str(value))}"


def _dump_nic(nic: GuestNic) -> str:
    options = [_option("name", nic.name)]
    options += [_option("was", nic.was.lower())] if nic.was is not None else []
    options += [_option("addr", address) for address in nic.addresses]
    options += [_option("gw", gateway) for gateway in nic.gateways]
    if nic.mtu is not None:
        options.append(_option("mtu", nic.mtu))
    return " ".join([nic.mac.lower(), *options])


def _dump_mount(mount: GuestMount) -> str:
    options = [_option("serial", mount.serial)] if mount.serial is not None else []
    options += [_option("tag", mount.tag)] if mount.tag is not None else []
    options += [_option("at", mount.at), _option("type", mount.type)]
    options += [_option("sub", mount.sub)] if mount.sub is not None else []
    options += [_option("size", mount.size)] if mount.size is not None else []
    return " ".join(options + ["copy"] * mount.copy + ["ro"] * mount.read_only)


def _dump_service(service: GuestService) -> Iterator[tuple[str, str]]:
    options = [service.name, _option("restart", service.restart)]
    options += [_option("user", service.user)] if service.user is not None else []
    options += [_option("cwd", service.cwd)] if service.cwd is not None else []
    options += [_option("after", name) for name in service.after]
    yield "service", " ".join(options + ["once"] * service.once)
    yield from (("sarg", _encode(arg)) for arg in service.argv)
    yield from (("senv", _encode(f"{name}={value}")) for name, value in service.env.items())


def _dump_file(file: GuestFile) -> str:
    return f"{_encode(file.path)} mode={file.mode:04o} {_encode(file.content)}"


def _dump_entry(config: GuestConfig) -> Iterator[tuple[str, str]]:
    yield from (("arg", _encode(arg)) for arg in config.argv)
    yield from (("env", _encode(f"{name}={value}")) for name, value in config.env.items())
    if config.cwd is not None:
        yield "cwd", _encode(config.cwd)
    if config.user is not None:
        yield "user", _encode(config.user)
    yield "restart", config.restart
    if config.restarts is not None:
        yield "restarts", str(config.restarts)
    if config.stop is not None:
        yield "stop", str(config.stop)


def _dump_lines(config: GuestConfig) -> Iterator[tuple[str, str]]:
    yield "version", str(CONFIG_VERSION)
    if config.hostname is not None:
        yield "hostname", _encode(config.hostname)
    if config.machine_id is not None:
        yield "machineid", config.machine_id
    if config.forked_from is not None:
        yield "forkedfrom", _encode(config.forked_from)
    if config.template:
        yield "template", "yes"
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
    yield from (("file", _dump_file(file)) for file in config.files)
    if config.read_only:
        yield "readonly", "yes"
    yield from _dump_entry(config)
    for service in config.services:
        yield from _dump_service(service)


def dump_guest_config(config: GuestConfig) -> bytes:
    """The text of /weft.conf. Raises Invalid when the machine's init would refuse it."""
    check_guest_config(config)
    text = "".join(f"{key} {value}\n" for key, value in _dump_lines(config))
    data = text.encode("utf-8", "surrogateescape")
    if len(data) > CONFIG_MAX_BYTES:
        raise Invalid(f"guest configuration: {len(data)} bytes, more than {CONFIG_MAX_BYTES}")
    return data
