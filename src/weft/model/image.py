"""What an image and a kernel are, once they are built: the records kept beside their files."""

import hashlib
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import StrEnum
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from weft.model.names import BARE, PLAN9
from weft.model.schema import SettingsSchema

MEBIBYTE = 1 << 20
InsertMode = Literal["inline", "copy", "routed"]
INSERT_MODES: tuple[InsertMode, ...] = ("inline", "copy")
USER_PATTERN = r"^[^:\s]+(:[^:\s]+)?$"
"""USER[:GROUP], names or numbers."""


class ImageKind(StrEnum):
    """Where an image comes from, and so how a machine boots it."""

    APPLIANCE = "appliance"
    OCI = "oci"
    PLAN9 = "plan9"
    FOREIGN = "foreign"

    @property
    def is_foreign(self) -> bool:
        """Whether machines of it bring their own system."""
        return self in (ImageKind.PLAN9, ImageKind.FOREIGN)


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


def have_sides(roles: Sequence[NicRole]) -> bool:
    """Whether NICs of these roles can be inserted: the first towards a network, the second towards a machine."""
    return list(roles[:2]) == [NicRole.NETWORK, NicRole.MACHINE]


class _Record(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class ImageNic(_Record):
    """A NIC that machines of this image have: its name in the guest and its role."""

    name: str = Field(pattern=r"^[a-z][a-z0-9]{0,14}$")
    role: NicRole = NicRole.LAN


class Entry(_Record):
    """The program a machine of this image runs: `entrypoint`, then `argv`. Both empty means none: only the agent.

    A machine's own command takes the place of `argv`, so `entrypoint` is what stays. `user` is USER[:GROUP], names or
    numbers of the image. `stop_signal` is what asks the program to end, a name such as SIGTERM.
    """

    entrypoint: tuple[str, ...] = ()
    argv: tuple[str, ...] = ()
    env: dict[str, str] = {}
    cwd: str = "/"
    user: str = Field(default="0:0", pattern=USER_PATTERN)
    restart: RestartPolicy = RestartPolicy.NEVER
    stop_signal: str = Field(default="SIGTERM", pattern=r"^SIG[A-Z0-9+-]+$")


class Health(_Record):
    """A command that says by its status 0 that a machine is healthy. Times are in seconds.

    Failures within `start_period` after the start do not count; `retries` in a row make the machine unhealthy.
    """

    argv: tuple[str, ...] = Field(min_length=1)
    interval: float = Field(default=30.0, gt=0)
    timeout: float = Field(default=30.0, gt=0)
    start_period: float = Field(default=0.0, ge=0)
    retries: int = Field(default=3, ge=1)


class Service(_Record):
    """A program of an appliance beside or instead of its entry point. It starts when all of `after` have started; a
    `once` service has started when it has ended with status 0."""

    name: str = Field(pattern=r"^[a-z][a-z0-9-]{0,30}$")
    argv: tuple[str, ...] = Field(min_length=1)
    env: dict[str, str] = {}
    cwd: str = "/"
    user: str = Field(default="0:0", pattern=USER_PATTERN)
    restart: RestartPolicy = RestartPolicy.ALWAYS
    after: tuple[str, ...] = ()
    once: bool = False


class OciSource(_Record):
    """Where an OCI image came from. Digests are `sha256:...`; `manifest` is what a registry knows it by."""

    reference: str = Field(default="", description="the full reference it was pulled by, if it was pulled")
    manifest: str
    config: str
    layers: tuple[str, ...] = ()
    platform: str = "linux/amd64"


class Verity(_Record):
    """The hash tree behind a root (dm-verity). Numbers count blocks of 4096 bytes from the start of the root file."""

    root_hash: str = Field(pattern=r"^[0-9a-f]{64}$")
    salt: str = Field(pattern=r"^[0-9a-f]{64}$")
    blocks: int = Field(gt=0, description="of data")
    tree: int = Field(gt=0, description="where the tree begins")


class ImageManifest(_Record):
    """An image: what `image.json` holds. Sizes and memory are in bytes."""

    name: str
    kind: ImageKind = ImageKind.APPLIANCE
    version: str
    description: str = ""
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="of the root file")
    size: int = Field(ge=0, description="of the root file")
    root_file: str = "root.squashfs"
    root_type: Literal["squashfs", "erofs", "ext4", "p9"] = Field(
        default="squashfs", description="`p9`: what the root server of a Plan 9 machine reads"
    )
    entry: Entry = Entry()
    nics: tuple[ImageNic, ...] = (ImageNic(name="eth0"),)
    wire: bool = Field(default=False, description="frames pass untouched between the first two NICs")
    modes: tuple[InsertMode, ...] = Field(
        default=INSERT_MODES, description="how it can be inserted, the usual one first"
    )
    drain: tuple[str, ...] = Field(default=(), description="a program that ends when an insert may be taken out")
    memory: int = Field(default=64 * MEBIBYTE, gt=0, description="what a machine gets unless it asks otherwise")
    packages: dict[str, str] = Field(default={}, description="name and version of every package with a file here")
    created: datetime
    key: str = Field(default="", description="what it was built from; the same key needs no new build")
    ports: tuple[str, ...] = Field(default=(), description="ports its program listens on, like `80/tcp`")
    volumes: tuple[str, ...] = Field(default=(), description="folders whose content should outlive a run")
    labels: dict[str, str] = {}
    health: Health | None = None
    services: tuple[Service, ...] = ()
    settings: SettingsSchema | None = None
    kernel_args: tuple[str, ...] = ()
    sbom: str = Field(default="", description="where in the image the list of what it is made of lies (CycloneDX)")
    verity: Verity | None = Field(default=None, description="every block of the root is checked when it is read")
    oci: OciSource | None = None


def _built_in(name: str, kind: ImageKind, memory: int, description: str) -> ImageManifest:
    empty, never = "sha256:" + hashlib.sha256().hexdigest(), datetime.fromtimestamp(0, UTC)
    return ImageManifest(
        name=name, kind=kind, version="", description=description, digest=empty, size=0, root_file="", memory=memory,
        created=never,
    )  # fmt: skip


BUILT_IN = {
    image.name: image
    for image in (
        _built_in(PLAN9, ImageKind.PLAN9, 64 * MEBIBYTE, "a Plan 9 kernel, with what it brings"),
        _built_in(BARE, ImageKind.FOREIGN, 256 * MEBIBYTE, "whatever boots from a CD, a disk or the network"),
    )
}
"""Images that are always there: they have no root file."""


class PushedImage(_Record):
    """What a registry has now: a full reference, and the digest of the manifest there."""

    reference: str
    digest: str


class ImportedImages(_Record):
    """The images that an archive held, one for each of their names."""

    images: tuple[ImageManifest, ...]


class PruneReport(_Record):
    """What nobody needed any more: names of images, the number of blobs, and the bytes of all of it."""

    images: tuple[str, ...] = ()
    blobs: int = 0
    freed: int = 0


class KernelInfo(_Record):
    """A kernel: what `kernel.json` holds. `release` is what `uname -r` says in the guest, or what else it is."""

    name: str
    release: str
    digest: str = Field(pattern=r"^sha256:[0-9a-f]{64}$", description="of the file `vmlinux`")
    size: int = Field(ge=0)
    origin: Literal["built", "imported"]
    format: Literal["linux", "multiboot"] = Field(default="linux", description="how it is started")
    least_memory: int = Field(default=0, ge=0, description="bytes of memory that it is loaded to, if it says so itself")
    key: str = Field(default="", description="source, fragment and compiler, when it was built here")
    created: datetime
