"""A machine's own system, as a fabric file describes it."""

from typing import Any

from pydantic import Field

from weft.model.file_part import Part
from weft.model.file_words import BootFiles, Env, Path, Paths
from weft.model.foreign import Changes, Display, Firmware, ForeignSpec, NicModel, Plan9Spec


class Plan9File(Part):
    """How a Plan 9 kernel is to boot."""

    ini: str = Field(default="", description="the text of a plan9.ini")
    ini_file: Path | None = Field(default=None, description="a file with it; `ini` comes after that")
    options: Env = Field(default_factory=dict, description="boot parameters by name, over those")
    root: Path | None = Field(default=None, description="a folder to serve it as its root")
    root_read_only: bool = Field(default=False, description="it cannot be written to")
    changes: Changes = Field(
        default=Changes.KEEP, description="to an image's root: they last as long as the machine, or one run"
    )

    def to_spec(self) -> Plan9Spec:
        """What a machine's spec has of it, once `ini_file` is part of `ini`."""
        return Plan9Spec(**{name: getattr(self, name) for name in Plan9Spec.model_fields})


class ForeignFile(Part):
    """What a machine boots and has that brings its own system. Its image is `foreign`, or one of Plan 9."""

    cdroms: Paths = Field(default=(), description="CDs, two at most; it boots from the first that can")
    floppy_drive: Path | None = Field(default=None, description="a floppy in a drive, written to in place")
    disks: Paths = Field(default=(), description="disks, raw or qcow2, written to in place")
    firmware: Firmware = Field(
        default=Firmware.BIOS, description="`uefi`, for media that boot by that; its variables are the machine's"
    )
    nic_model: NicModel = Field(default=NicModel.VIRTIO, description="which device its NICs are")
    display: Display | None = Field(default=None, description="`vnc`: it has a screen")
    boot_files: BootFiles = Field(
        default=(),
        description="with `pxe`: a boot loader or a script for iPXE, and what that loads; `[NAME=]FILE`, or "
        "`[NAME=]FOLDER/` for all that is in it",
    )
    end: str | None = Field(default=None, description="what is typed on its console to end it")
    plan9: Plan9File | None = Field(default=None, description="of a Plan 9 machine: how it boots")

    def to_spec(self) -> ForeignSpec:
        """What a machine's spec has of it."""
        said = {name: getattr(self, name) for name in ForeignSpec.model_fields}
        return ForeignSpec(**{**said, "plan9": self.plan9.to_spec() if self.plan9 else None})

    @classmethod
    def of(cls, spec: ForeignSpec) -> "ForeignFile":
        """The part that comes to this."""
        said: dict[str, Any] = spec.model_dump(exclude={"plan9"})
        return cls(**said, plan9=Plan9File(**spec.plan9.model_dump()) if spec.plan9 else None)
