"""A machine's initramfs: a cpio archive with init and its configuration, made in memory.

Format: "newc", https://docs.kernel.org/driver-api/early-userspace/buffer-format.html. Not compressed: unpacking 100 KB
costs a booting machine less than starting a decompressor.
"""

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from weft.guest.config import GuestConfig
from weft.guest.config_text import dump_guest_config

_DIRECTORIES = ("dev", "proc", "sys", "run", "tmp", "etc", "root")


@dataclass(frozen=True, slots=True)
class _Entry:
    name: str
    mode: int
    data: bytes = b""
    device: tuple[int, int] = (0, 0)


def _padding(length: int) -> bytes:
    return b"\0" * (-length % 4)


def _dump_entry(number: int, entry: _Entry) -> bytes:
    """One archive member: a header of 13 numbers as 8 hexadecimal digits, the name, the data."""
    name = entry.name.encode() + b"\0"
    links = 2 if stat.S_ISDIR(entry.mode) else 1
    numbers = (number, entry.mode, 0, 0, links, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08x" % value for value in numbers) + name
    return header + _padding(len(header)) + entry.data + _padding(len(entry.data))


def _parents(path: str) -> list[str]:
    return [str(parent) for parent in reversed(PurePosixPath(path).parents) if str(parent) != "."]


def _entries(init: bytes, config: GuestConfig, files: Mapping[str, bytes]) -> list[_Entry]:
    directories = dict.fromkeys(_DIRECTORIES)
    for path in files:
        directories.update(dict.fromkeys(_parents(path.lstrip("/"))))
    return [
        *(_Entry(name, stat.S_IFDIR | 0o755) for name in directories),
        # The kernel opens it before init runs; one made by a kernel option is not always there.
        _Entry("dev/console", stat.S_IFCHR | 0o600, device=(5, 1)),
        _Entry("init", stat.S_IFREG | 0o755, init),
        _Entry("weft.conf", stat.S_IFREG | 0o600, dump_guest_config(config)),
        *(_Entry(path.lstrip("/"), stat.S_IFREG | 0o755, data) for path, data in files.items()),
        _Entry("TRAILER!!!", 0),
    ]


def build_initramfs(init: bytes, config: GuestConfig, files: Mapping[str, bytes] | None = None) -> bytes:
    """The archive to give QEMU as `-initrd`. The same arguments give the same bytes.

    `files` (absolute path to contents, all executable) are for machines without a root file system of their own: they
    stay in the initramfs. Raises Invalid when the configuration is not valid.
    """
    entries = _entries(init, config, files or {})
    return b"".join(_dump_entry(number, entry) for number, entry in enumerate(entries, 1))
