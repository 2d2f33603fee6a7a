"""What people write of a machine, on the command line and in fabric files, and the part of its spec it becomes.

Pure. All raise Invalid.
"""

import re
from pathlib import PurePosixPath
from typing import Any

from weft.model.errors import Invalid
from weft.model.units import parse_size

_PUBLISH = re.compile(r"(?:(?:(?P<address>[0-9.]+):)?(?P<host>\d*):)?(?P<guest>\d+)(?:/(?P<protocol>tcp|udp))?")
_NIC_OPTIONS = ("address", "address6", "mac", "pinned")
_YES_NO = {"yes": True, "no": False}
READ_ONLY = "ro"
_TREE_PARTS = ("machine", "room", "fabric")
_RESTARTS = ("no", "never", "on-failure", "always", "unless-stopped")


def parse_publish(text: str) -> dict[str, Any]:
    """A published port from `[[IP:]HOST:]GUEST[/udp]`; without HOST any port that is free."""
    match = _PUBLISH.fullmatch(text)
    if not match:
        raise Invalid(f"published port {text!r} is not one", hint="write it like 8080:80, 127.0.0.1:5353:53/udp or 80")
    spec: dict[str, Any] = {"guest_port": _parse_port(match["guest"], text), "protocol": match["protocol"] or "tcp"}
    if match["host"]:
        spec["host_port"] = _parse_port(match["host"], text)
    if match["address"]:
        spec["host_address"] = match["address"]
    return spec


def _parse_port(number: str, text: str) -> int:
    if not 1 <= int(number) <= 65535:
        raise Invalid(f"published port {text!r}: {number} is not a port", hint="ports go from 1 to 65535")
    return int(number)


def parse_volume(text: str, folder: str) -> dict[str, Any]:
    """A mount from `SRC:DST[:ro,size=N]`: SRC is a volume's name or a path of the host, relative to `folder`."""
    source, colon, rest = text.partition(":")
    target, _, options = rest.partition(":")
    if not colon or not source or not target:
        raise Invalid(f"volume {text!r} is not SRC:DST", hint="write it like data:/var/lib/data or /srv/www:/www:ro")
    is_path = source.startswith(("/", "."))
    place = join_path(folder, source) if is_path else source
    mount = {"kind": "host" if is_path else "volume", "source": place, "target": target}
    return mount | _parse_mount_options(options, f"volume {text!r}", sized=not is_path)


def parse_tmpfs(text: str) -> dict[str, Any]:
    """A mount in memory from `PATH[:size=N]`."""
    target, _, options = text.partition(":")
    return {"kind": "tmpfs", "target": target} | _parse_mount_options(options, f"tmpfs {text!r}", sized=True)


def _parse_mount_options(options: str, what: str, *, sized: bool) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for option in filter(None, options.split(",")):
        name, _, value = option.partition("=")
        if option in ("ro", "rw"):
            found["read_only"] = option == "ro"
        elif name == "size" and sized:
            found["size"] = parse_size(value)
        else:
            raise Invalid(f"{what}: unknown option {option!r}", hint="known: ro, rw" + ", size=N" * sized)
    return found


def join_path(folder: str, path: str) -> str:
    """An absolute path without `.` and `..`, by its words alone: links are the host's business."""
    parts: list[str] = []
    for part in PurePosixPath(folder, path).parts[1:]:
        if part == "..":
            parts = parts[:-1]
        else:
            parts.append(part)
    return "/" + "/".join(parts)


def parse_nic(text: str) -> dict[str, Any]:
    """A NIC from `NETWORK[,address=A][,address6=A][,mac=M][,pinned=no]`."""
    network, *options = text.split(",")
    nic: dict[str, Any] = {"network": network}
    for option in options:
        name, equals, value = option.partition("=")
        if name not in _NIC_OPTIONS or not equals or name in nic or (name == "pinned" and value not in _YES_NO):
            raise Invalid(
                f"network {text!r}: {option!r} is no option of a NIC",
                hint="write it like lan,address=10.0.0.9; known: address, address6, mac, pinned=no",
            )
        nic[name] = _YES_NO[value] if name == "pinned" else value
    return nic


def parse_label(text: str) -> tuple[str, str]:
    """A label from `KEY[=VALUE]`."""
    key, _, value = text.partition("=")
    if not key:
        raise Invalid(f"label {text!r} has no key", hint="write it like tier=front")
    return key, value


def parse_restart(text: str) -> dict[str, Any]:
    """A restart policy from `no`, `on-failure[:N]`, `always` or `unless-stopped`."""
    policy, colon, most = text.partition(":")
    if policy not in _RESTARTS or (colon and (policy != "on-failure" or not most.isdecimal() or int(most) < 1)):
        raise Invalid(
            f"restart policy {text!r} is not one", hint="no, on-failure, on-failure:5, always or unless-stopped"
        )
    spec: dict[str, Any] = {"restart": "never" if policy == "no" else policy}
    return spec | ({"max_restarts": int(most)} if colon else {})


def parse_health(command: str | None, **plain: float | int | None) -> dict[str, Any] | None:
    """A health check from what was said of one: the command is run by the image's shell."""
    check: dict[str, Any] = {key: value for key, value in plain.items() if value is not None}
    if command is not None:
        if not command.strip():
            raise Invalid("the health check's command is empty", hint="--no-healthcheck leaves the image's out")
        check["argv"] = ["/bin/sh", "-c", command]
    return check or None


def parse_expose(text: str) -> dict[str, Any]:
    """A part of the fabric's file tree from `machine`, `room` or `fabric`, with `:ro` behind it or not."""
    part, colon, mode = text.partition(":")
    if part not in _TREE_PARTS or (colon and mode not in (READ_ONLY, "rw")):
        raise Invalid(f"{text!r} is no part of the file tree", hint="machine, room or fabric; room:ro to look only")
    return {"part": part, "read_only": mode == READ_ONLY}
