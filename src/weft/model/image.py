"""What an image and a kernel are, once they are built: the records kept beside their files."""

from datetime import datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

MEBIBYTE = 1 << 20


class ImageKind(StrEnum):
    """Where an image comes from, and so how a machine boots it."""

    APPLIANCE = "appliance"
    OCI = "oci"
    PLAN9 = "plan9"


class RestartPolicy(StrEnum):
    """What happens when the entry point ends: the machine powers off, or the entry point starts again."""

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"


class NicRole(StrEnum):
    """Which side of a port a NIC is on. `lan` is a NIC of an ordinary machine; an inline appliance has one
    towards the network and one towards the machine it stands in front of."""

    LAN = "lan"
    NETWORK = "network"
    MACHINE = "machine"


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageNic(_Record):
    """A NIC that machines of this image have: its name in the guest and its role."""

    name: str = Field(pattern=r"^[a-z][a-z0-9]{0,14}$")
    role: NicRole = NicRole.LAN


class Entry(_Record):
    """The program a machine of this image runs. An empty `argv` means none: only the agent."""

    argv: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = "/"
    user: str = Field(default="0:0", pattern=r"^\d+:\d+$")
    restart: RestartPolicy = RestartPolicy.NEVER


class ImageManifest(_Record):
    """An image: what `image.json` holds. Sizes and memory are in bytes."""

    name: str
    kind: ImageKind = ImageKind.APPLIANCE
    version: str
    description: str = ""
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="of the root file")
    size: int = Field(ge=0, description="of the root file")
    root_file: str = "root.squashfs"
    root_type: Literal["squashfs", "erofs", "ext4"] = "squashfs"
    entry: Entry = Entry()
    nics: tuple[ImageNic, ...] = (ImageNic(name="eth0"),)
    wire: bool = Field(default=False, description="frames pass untouched between the first two NICs")
    memory: int = Field(default=64 * MEBIBYTE, gt=0, description="what a machine gets unless it asks otherwise")
    packages: dict[str, str] = Field(default={}, description="name and version of every package with a file here")
    created: datetime
    key: str = Field(default="", description="what it was built from; the same key needs no new build")


class KernelInfo(_Record):
    """A kernel: what `kernel.json` holds. `release` is what `uname -r` says in the guest."""

    name: str
    release: str
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="of the file `vmlinux`")
    size: int = Field(ge=0)
    origin: Literal["built", "imported"]
    key: str = Field(default="", description="source, fragment and compiler, when it was built here")
    created: datetime
