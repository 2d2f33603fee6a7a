"""A fabric file: rooms with their networks, machines, inserts and volumes, in the words of the command line.

These are the long forms, which every short form becomes when it is read (`file_words`, and the validators here).
Names stand as keys; `to_spec` makes of each part what the command of the same name would have asked for.
"""

from typing import Any

from pydantic import Field, model_validator

from weft.model.file_part import Part
from weft.model.file_words import (
    Duration,
    ImageName,
    InsertName,
    Labels,
    MachineName,
    NetworkName,
    Path,
    Port,
    RoomName,
    Settings,
    Size,
    Subnet,
    Subnet6,
    Texts,
    VolumeName,
    find_image_name,
    quietly,
)
from weft.model.insert import FailPolicy, InsertSpec, Mode
from weft.model.machine import MAX_MEMORY, MIN_MEMORY, MachineSpec
from weft.model.machine_file import MachineFile
from weft.model.network import MAX_MTU, MIN_MTU, NetworkSpec
from weft.model.pool import MAX_POOL, PoolSpec
from weft.model.room import MAX_WEIGHT, Isolation, RoomResources, RoomSpec
from weft.model.volume import DEFAULT_VOLUME, MAX_VOLUME, MIN_VOLUME, VolumeSpec


class NetworkFile(Part):
    """A network. A text alone is its subnet."""

    short = "subnet"

    subnet: Subnet | None = Field(default=None, description="its address range; a free one is chosen without")
    subnet6: Subnet6 | None = Field(default=None, description="its machines have addresses of this range, too")
    mtu: int = Field(default=1500, ge=MIN_MTU, le=MAX_MTU, description="the largest packet, in bytes")
    uplink: bool = Field(default=False, description="its machines reach the outside")
    gateway: MachineName | None = Field(
        default=None, description="the machine that has the first address; without, the fabric is the gateway"
    )
    dns: Texts = Field(default=(), description="name servers of its machines; none: the gateway")

    def to_spec(self, name: str) -> NetworkSpec:
        """What `weft network create` would ask for."""
        return NetworkSpec.model_validate({"name": name, **self.model_dump()})


class InsertFile(Part):
    """An insert. Those of one port form its chain, from the network side, in the order in which they are written."""

    appliance: str | None = Field(default=None, min_length=1, description="its image; needed unless `build` says it")
    build: Path | None = Field(default=None, description="a recipe's folder, as of a machine")
    before: Port = Field(description="MACHINE, MACHINE:NIC, or network:NETWORK for a network's gateway")
    mode: Mode = Field(default=Mode.INLINE, description="`inline`, `copy` or `routed`")
    fail: FailPolicy = Field(default=FailPolicy.OPEN, description="when it fails: `open` or `closed`")
    at: int | None = Field(default=None, ge=0, description="its place in the chain, from the network side, 0 first")
    lifetime: Duration | None = Field(default=None, gt=0, alias="for", description="it ejects itself after so long")
    memory: Size | None = Field(default=None, ge=MIN_MEMORY, le=MAX_MEMORY, description="as its image says without")
    settings: Settings = Field(default_factory=dict, description="its settings, by its schema")
    settings_file: Path | None = Field(default=None, description="a settings.toml; `settings` go over it")
    cold: bool = Field(default=False, description="as of a machine")

    @property
    def image_name(self) -> str:
        """As of a machine."""
        return find_image_name(self.appliance, self.build)

    def to_spec(self, name: str) -> InsertSpec:
        """What `weft insert` would ask for."""
        same = ("before", "mode", "fail", "lifetime", "memory", "settings", "cold")
        return InsertSpec(
            name=name,
            appliance=self.image_name,
            position=self.at,
            **{key: getattr(self, key) for key in same},
        )


class VolumeFile(Part):
    """A volume. A text alone is its size."""

    short = "size"

    size: Size = Field(default=DEFAULT_VOLUME, ge=MIN_VOLUME, le=MAX_VOLUME, description="how much it can hold")
    labels: Labels = Field(default_factory=dict, description="remarks to find it by")

    def to_spec(self, name: str) -> VolumeSpec:
        """What `weft volume create` would ask for."""
        return VolumeSpec(name=name, size=self.size, labels=self.labels)


class PoolFile(Part):
    """A pool. A number alone is how many copies it keeps ready."""

    short = "size"
    short_type = "integer"

    size: int = Field(ge=1, le=MAX_POOL, description="how many copies are kept ready")
    memory: Size | None = Field(default=None, ge=MIN_MEMORY, le=MAX_MEMORY, description="as the image says without")
    cpus: int = Field(default=1, ge=1, le=64, description="of each copy")

    def to_spec(self, image: str) -> PoolSpec:
        """What `weft pool set` would ask for."""
        return PoolSpec(image=image, size=self.size, memory=self.memory, cpus=self.cpus)


class ResourcesFile(Part):
    """What a room is guaranteed of its host, and the most that it gets."""

    memory: Size | None = Field(default=None, ge=1, description="kept for its machines, whether or not they run")
    max_memory: Size | None = Field(default=None, ge=1, description="its machines have no more, all together")
    cpus: float | None = Field(default=None, gt=0, description="it gets so many when all want more than there is")
    max_cpus: float | None = Field(default=None, gt=0, description="it gets no more, whether or not others want any")
    cpu_weight: int = Field(default=100, ge=1, le=MAX_WEIGHT, description="its share of what nobody is guaranteed")

    @model_validator(mode="after")
    def _check_ranges(self) -> "ResourcesFile":
        quietly(self.to_resources)
        return self

    def to_resources(self) -> RoomResources:
        """What `weft room set` would ask for."""
        return RoomResources(**self.model_dump())


class RoomFile(Part):
    """A room and all that is in it."""

    description: str = Field(default="", description="a line for `weft room ls`")
    isolation: Isolation = Field(
        default=Isolation.NORMAL,
        description="`normal`, or `strict`: templates of its own, so no memory shared with others",
    )
    resources: ResourcesFile = Field(
        default_factory=ResourcesFile, description="what it is guaranteed of the host, and the most that it gets"
    )
    networks: dict[NetworkName, NetworkFile] = Field(default_factory=dict, description="by name")
    machines: dict[MachineName, MachineFile] = Field(default_factory=dict, description="by name")
    inserts: dict[InsertName, InsertFile] = Field(default_factory=dict, description="by name")
    volumes: dict[VolumeName, VolumeFile] = Field(
        default_factory=dict, description="by name; those that machines name are made without"
    )
    pool: dict[ImageName, PoolFile] = Field(default_factory=dict, description="copies kept ready, by image")

    @model_validator(mode="before")
    @classmethod
    def _read_nothing(cls, value: Any) -> Any:
        """A heading with nothing below it is an empty one."""
        return {key: item for key, item in value.items() if item is not None} if isinstance(value, dict) else value

    def to_spec(self, name: str) -> RoomSpec:
        """What `weft room create` would ask for."""
        resources = self.resources.to_resources()
        return RoomSpec(name=name, description=self.description, isolation=self.isolation, resources=resources)

    def network_specs(self) -> dict[str, NetworkSpec]:
        """All networks as specs."""
        return {name: network.to_spec(name) for name, network in self.networks.items()}

    def machine_specs(self) -> dict[str, MachineSpec]:
        """All machines as specs; their settings are beside them, in the file."""
        return {name: machine.to_spec(name) for name, machine in self.machines.items()}

    def pool_specs(self) -> dict[str, PoolSpec]:
        """All pools as specs, by the names that the file has for their images."""
        return {image: pool.to_spec(image) for image, pool in self.pool.items()}

    def volume_specs(self) -> dict[str, VolumeSpec]:
        """The volumes that the file describes."""
        return {name: volume.to_spec(name) for name, volume in self.volumes.items()}


class FabricFile(Part):
    """The whole file."""

    rooms: dict[RoomName, RoomFile] = Field(default_factory=dict, description="by name")

    @model_validator(mode="before")
    @classmethod
    def _drop_private(cls, value: Any) -> Any:
        """Keys that begin with `x-` are the author's own: a place for anchors."""
        if isinstance(value, dict):
            return {key: item for key, item in value.items() if not str(key).startswith("x-")}
        return value
