"""UEFI firmware that the host has, by the descriptors that its packages leave for whoever runs QEMU.

What a descriptor says: docs/interop/firmware.json of QEMU. Firmware comes as two files: its code, which is for all
machines, and a template of the variables that each machine then has of its own.
"""

import os
import struct
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weft.model.foreign import DiskFormat
from weft.model.machine import Profile

PACKAGE = "ovmf"
"""Where Debian has it."""
_PLACES = (Path("/usr/share/qemu/firmware"), Path("/etc/qemu/firmware"))
_BOARDS = {Profile.Q35: "pc-q35", Profile.PC: "pc-i440fx"}
_UNFIT = frozenset({"requires-smm", "enrolled-keys"})
"""Features that our boards do not have, and what would refuse systems that nobody has signed."""
_QCOW2_SIZE = struct.Struct(">24xQ")


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, alias_generator=lambda name: name.replace("_", "-"))


class _File(_Part):
    filename: Path
    format: DiskFormat


class _Mapping(_Part):
    device: str
    mode: str = "split"
    executable: _File | None = None
    nvram_template: _File | None = None


class _Target(_Part):
    architecture: str
    machines: tuple[str, ...]


class _Descriptor(_Part):
    interface_types: tuple[str, ...]
    mapping: _Mapping
    targets: tuple[_Target, ...]
    features: frozenset[str] = Field(default=frozenset())


@dataclass(frozen=True, slots=True)
class FlashFile:
    """What a flash chip of a machine holds."""

    path: Path
    format: DiskFormat = "raw"

    @property
    def size(self) -> int:
        """Bytes of the chip. Raises OSError."""
        if self.format == "raw":
            return self.path.stat().st_size
        with self.path.open("rb") as file:
            head = file.read(_QCOW2_SIZE.size).ljust(_QCOW2_SIZE.size, b"\0")
        return int(_QCOW2_SIZE.unpack(head)[0])


@dataclass(frozen=True, slots=True)
class UefiFirmware:
    """The code, and what the variables are before anybody has set any."""

    code: FlashFile
    template: FlashFile


def list_firmware(
    profile: Profile, qemu_version: tuple[int, int, int], places: Sequence[Path] | None = None
) -> list[UefiFirmware]:
    """What the host has for machines with this board, the best first: its files are there. `places` are folders with
    descriptors, of which later ones go over earlier ones.
    """
    board = f"{_BOARDS[profile]}-{qemu_version[0]}.{qemu_version[1]}"
    texts = _read_descriptors(find_places(os.environ) if places is None else places)
    found = (parse_descriptor(text, board) for text in texts)
    return [one for one in found if one is not None and all(map(os.path.isfile, (one.code.path, one.template.path)))]


def choose_firmware(found: Iterable[UefiFirmware], kept: FlashFile | None) -> UefiFirmware | None:
    """The first that can go on with the variables that a machine has kept; without any, the first at all."""
    return next((one for one in found if kept is None or _is_alike(one.template, kept)), None)


def _is_alike(one: FlashFile, other: FlashFile) -> bool:
    """Code finds its variables by where they are, which depends on their size."""
    return (one.format, one.size) == (other.format, other.size)


def find_places(environ: Mapping[str, str]) -> list[Path]:
    """The folders with descriptors: the distribution's, the host's, the user's."""
    home = environ.get("XDG_CONFIG_HOME") or (f"{environ['HOME']}/.config" if environ.get("HOME") else "")
    return [*_PLACES, *([Path(home, "qemu", "firmware")] if home else [])]


def _read_descriptors(places: Iterable[Path]) -> Iterator[str]:
    """In the order of their names, which is that of preference; an empty one hides another of its name."""
    files = {file.name: file for place in filter(os.path.isdir, places) for file in place.glob("*.json")}
    for _, file in sorted(files.items()):
        try:
            yield file.read_text()
        except (OSError, UnicodeDecodeError):
            continue  # not for us, or no descriptor


def parse_descriptor(text: str, board: str) -> UefiFirmware | None:
    """The firmware that a descriptor tells of; None: it is no descriptor, or nothing that boots a board of this name
    without signatures, with variables of its own.
    """
    try:
        said = _Descriptor.model_validate_json(text)
    except ValidationError:
        return None
    mapping = said.mapping
    boards = [machine for target in said.targets if target.architecture == "x86_64" for machine in target.machines]
    if "uefi" not in said.interface_types or (mapping.device, mapping.mode) != ("flash", "split"):
        return None
    if said.features & _UNFIT or not any(fnmatchcase(board, machine) for machine in boards):
        return None
    if mapping.executable is None or mapping.nvram_template is None:
        return None
    code, template = (FlashFile(one.filename, one.format) for one in (mapping.executable, mapping.nvram_template))
    return UefiFirmware(code, template)
