"""Machines that bring their own system: Plan 9 kernels, live media, whatever boots from the network.

Nothing inside such a machine knows of the fabric: it has no init and no agent of ours. Its ports, its console and its
limits are like those of any machine.
"""

from enum import StrEnum
from pathlib import PurePosixPath
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from weft.model.boot_files import check_names, parse_boot_file
from weft.model.errors import Invalid

DiskFormat = Literal["raw", "qcow2"]
"""Which images of disks can be had."""
MAX_CDROMS = 2
MAX_DISKS = 8
MAX_BOOT_FILES = 16
_MOST = {"cdroms": ("CDs", MAX_CDROMS), "disks": ("disks", MAX_DISKS), "boot_files": ("boot files", MAX_BOOT_FILES)}
MAX_INI = 24_000
"""Characters of a plan9.ini: as much as 9front's kernels have room for (BOOTARGSLEN)."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class NicModel(StrEnum):
    """Which device a NIC is to the machine."""

    VIRTIO = "virtio"
    E1000E = "e1000e"


class Firmware(StrEnum):
    """What a machine's board begins with, before anything that was given to it."""

    BIOS = "bios"
    UEFI = "uefi"


class Display(StrEnum):
    """How a machine's screen can be seen."""

    VNC = "vnc"


class Changes(StrEnum):
    """What becomes of a machine's changes to a root that it shares: they last as long as the machine, or one run."""

    KEEP = "keep"
    DISCARD = "discard"


class Plan9Spec(_Part):
    """How a Plan 9 kernel is to boot. `options` go over `ini`, and both over what the fabric would say."""

    ini: str = Field(default="", description="the text of a plan9.ini")
    options: dict[str, str] = Field(default_factory=dict, description="boot parameters by name")
    root: str | None = Field(default=None, description="a folder of the host to serve as its root, at its gateway")
    root_read_only: bool = False
    changes: Changes = Field(default=Changes.KEEP, description="of an image's root: whether they are kept")

    @field_validator("ini")
    @classmethod
    def _check_ini(cls, ini: str) -> str:
        if len(ini) > MAX_INI:
            raise Invalid(f"a plan9.ini has {MAX_INI} characters at most, and this one {len(ini)}")
        return ini

    @field_validator("root")
    @classmethod
    def _check_root(cls, root: str | None) -> str | None:
        return root if root is None else _check_path(root, "root")


class ForeignSpec(_Part):
    """What a machine boots and what it has, beside its kernel. Files are of the host, by absolute paths.

    It boots its kernel if it has one, else what its network gives it if it is to, else from the first CD or disk, or
    the floppy.
    """

    cdroms: tuple[str, ...] = Field(default=(), description=f"images of CDs, at most {MAX_CDROMS}")
    floppy_drive: str | None = Field(default=None, description="an image in a drive, written to in place")
    disks: tuple[str, ...] = Field(default=(), description=f"images of disks, at most {MAX_DISKS}")
    firmware: Firmware = Field(default=Firmware.BIOS, description="`uefi` keeps its variables as long as the machine")
    nic_model: NicModel = NicModel.VIRTIO
    display: Display | None = Field(default=None, description="None: it has no screen")
    boot_files: tuple[str, ...] = Field(
        default=(),
        description="of one that boots from its network: a boot loader or a script for iPXE, and what that loads; "
        "`[NAME=]FILE`, or `[NAME=]FOLDER/` for all that is in it",
    )
    end: str | None = Field(
        default=None, min_length=1, max_length=256, description="what is typed on its console to end it"
    )
    plan9: Plan9Spec | None = Field(default=None, description="of a Plan 9 machine")

    @field_validator("cdroms", "disks", "boot_files")
    @classmethod
    def _check_number(cls, files: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        what, most = _MOST[str(info.field_name)]
        if len(files) > most:
            raise Invalid(f"a machine can have {most} {what}, and not {len(files)}")
        return files

    @field_validator("cdroms", "disks")
    @classmethod
    def _check_files(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(_check_path(file, "medium") for file in files)

    @field_validator("boot_files")
    @classmethod
    def _check_boot_files(cls, files: tuple[str, ...]) -> tuple[str, ...]:
        check_names([parse_boot_file(file) for file in files])
        return files

    @field_validator("floppy_drive")
    @classmethod
    def _check_drive(cls, file: str | None) -> str | None:
        return file if file is None else _check_path(file, "floppy drive")

    @field_validator("end")
    @classmethod
    def _check_end(cls, text: str | None) -> str | None:
        if text is not None and not text.isprintable():
            raise Invalid("what is typed to end a machine is one line of printable text")
        return text

    @model_validator(mode="after")
    def _check_drives(self) -> "ForeignSpec":
        """A CD may be in both drives; who writes to an image has it to himself."""
        writes = self.writes
        if twice := [file for file in writes if [*writes, *self.cdroms].count(file) > 1]:
            raise Invalid(f"{twice[0]} is in two drives, and written to in one")
        return self

    @property
    def writes(self) -> tuple[str, ...]:
        """Files that the machine may write to: something is lost when it is just switched off."""
        return (*self.disks, *((self.floppy_drive,) if self.floppy_drive else ()))


def _check_path(text: str, what: str) -> str:
    if not PurePosixPath(text).is_absolute() or "\0" in text:
        raise Invalid(f"{what} {text!r} has to be an absolute path")
    return text
