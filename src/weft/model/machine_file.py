"""Machines as a fabric file describes them, in the words of `weft run`."""

from typing import Any, Literal

from pydantic import Field, field_validator, model_validator

from weft.model.elastic import MANUAL, ElasticSpec
from weft.model.expose_file import AccessFile
from weft.model.file_part import Part
from weft.model.file_words import (
    Address,
    Address6,
    Cpus,
    Duration,
    Env,
    Labels,
    MachineName,
    Memory,
    Mount,
    NetworkName,
    Path,
    Paths,
    Publish,
    Settings,
    Signal,
    Text,
    Tmpfs,
    Words,
    find_image_name,
    quietly,
    read_list,
)
from weft.model.foreign_file import ForeignFile
from weft.model.image import USER_PATTERN
from weft.model.limits_file import LimitsFile
from weft.model.machine import (
    MAC_PATTERN,
    HealthSpec,
    MachineRestart,
    MachineSpec,
    NicSpec,
    Profile,
)
from weft.model.options import parse_restart
from weft.model.policy_words import Policy
from weft.model.ranges import Range

Pull = Literal["missing", "always", "never"]
_SAME = (
    "kernel", "command", "entrypoint", "env", "user", "hostname", "labels", "restart", "max_restarts",
    "stop_signal", "stop_timeout", "publish", "read_only", "floppy", "cold", "pxe",
)  # fmt: skip
"""What is called the same in a file and in a spec."""


class NicFile(Part):
    """One NIC of a machine. A text alone is its network's name, or its address where the network is the key."""

    short = "network"

    network: NetworkName = Field(description="its name")
    address: Address | None = Field(default=None, description="chosen from the subnet without")
    address6: Address6 | None = Field(default=None, description="of the same host number without")
    mac: str | None = Field(default=None, pattern=MAC_PATTERN, description="chosen without")
    pinned: bool = Field(default=True, description="it is to send with its own addresses only")


class HealthFile(Part):
    """A health check, or what of the image's own shall be otherwise. A text alone is its command."""

    short = "command"

    command: tuple[str, ...] | None = Field(
        default=None, description="ends with status 0 while the machine is healthy; a text is for the image's shell"
    )
    interval: Duration | None = Field(default=None, gt=0, description="time between two checks")
    timeout: Duration | None = Field(default=None, gt=0, description="a check that takes longer has failed")
    start_period: Duration | None = Field(default=None, ge=0, description="failures do not count for so long")
    retries: int | None = Field(default=None, ge=1, description="so many failures in a row make it unhealthy")

    @field_validator("command", mode="before")
    @classmethod
    def _read_command(cls, value: Any) -> Any:
        return ("/bin/sh", "-c", value) if isinstance(value, str) and value.strip() else value

    def to_spec(self) -> HealthSpec:
        """The check as a machine's spec has it."""
        return HealthSpec(argv=self.command, **self.model_dump(exclude={"command"}))


class MachineFile(Part):
    """A machine. A text alone is its image."""

    short = "image"

    image: str | None = Field(default=None, min_length=1, description="what it boots; needed unless `build` says it")
    build: Path | None = Field(default=None, description="a recipe's folder; the image is called as it, or as `image`")
    pull: Pull = Field(default="missing", description="when an image with a registry in its name is fetched")
    kernel: str | None = Field(default=None, description="its kernel; the default one without")
    profile: Profile | None = Field(
        default=None, description="`microvm`, the cheapest and usual one, `q35`, usual where a size may change, or `pc`"
    )
    memory: Memory | None = Field(
        default=None, description="as its image says without; `MIN..MAX`: what `weft scale` may change it to"
    )
    cpus: Cpus = Field(
        default=Range(1),
        description="how many CPUs it has; `MIN..MAX`: as with memory",
        json_schema_extra={"default": 1},
    )
    elastic: Policy | None = Field(
        default=None, description="`true`: it grows and shrinks by itself; `manual`, or by which policy"
    )
    networks: tuple[NicFile, ...] | None = Field(
        default=None, description="a NIC for each, in order: names, or names with addresses; `none`: no NIC"
    )
    command: Words = Field(default=(), description="in place of the image's own")
    entrypoint: Words | None = Field(default=None, description="in place of the image's entry point and command")
    env: Env = Field(default_factory=dict, description="variables of its program")
    env_file: Paths = Field(default=(), description="files with variables, one a line; `env` goes over them")
    workdir: str | None = Field(default=None, description="where its program starts")
    user: Text | None = Field(default=None, pattern=USER_PATTERN, description="`USER[:GROUP]`, names or numbers")
    hostname: str | None = Field(default=None, description="the machine's name without")
    labels: Labels = Field(default_factory=dict, description="for `ps --filter` and for programs")
    restart: MachineRestart | None = Field(
        default=None, description="`no`, `on-failure[:N]`, `always` or `unless-stopped`; as its image says without"
    )
    max_restarts: int | None = Field(default=None, ge=1, description="the N of `on-failure:N`")
    stop_signal: Signal | None = Field(default=None, description="what asks its program to end")
    stop_timeout: Duration | None = Field(default=None, gt=0, description="a stop that takes longer kills it")
    health: HealthFile | None = Field(default=None, description="a health check; `none` leaves the image's out")
    no_healthcheck: bool = Field(default=False, description="leave the image's health check out")
    publish: tuple[Publish, ...] = Field(default=(), description="`[[IP:]HOST:]PORT[/udp]`: ports of the host")
    volumes: tuple[Mount, ...] = Field(default=(), description="`SRC:DST[:ro]`: volumes, or folders of the host")
    tmpfs: tuple[Tmpfs, ...] = Field(default=(), description="`DST[:size=N]`: memory to mount")
    read_only: bool = Field(default=False, description="its root cannot be written to")
    floppy: Path | None = Field(default=None, description="a floppy image for its settings; one of its own without")
    settings: Settings = Field(default_factory=dict, description="an appliance's settings, by its schema")
    settings_file: Path | None = Field(default=None, description="a settings.toml; `settings` go over it")
    limits: LimitsFile | None = Field(default=None, description="what else it may take of the host")
    fabric: AccessFile | None = Field(default=None, description="what it has of the fabric that it is in")
    foreign: ForeignFile | None = Field(default=None, description="of one that brings its own system: what it has")
    cold: bool = Field(default=False, description="it boots, though there may be a template to go on from")
    pxe: bool = Field(default=False, description="it boots from its first network, and its image stays in memory")
    after: tuple[MachineName, ...] = Field(default=(), description="machines that are up before it is started")
    state: Literal["running", "stopped"] = Field(default="running", description="whether it is to run")

    @model_validator(mode="before")
    @classmethod
    def _read_words(cls, value: Any) -> Any:
        """`on-failure:5` is a policy and a number; `health: none` is said by another key."""
        if not isinstance(value, dict):
            return value
        if value.get("elastic") is False:
            value = {**value, "elastic": None}
        if value.get("health") in ("none", False):
            value = {**value, "health": None, "no_healthcheck": True}
        if isinstance(policy := value.get("restart"), str) and policy.startswith("on-failure:"):
            number = policy.partition(":")[2]
            value = {**value, "restart": "on-failure", "max_restarts": number}
        return value

    @field_validator("restart", mode="before")
    @classmethod
    def _read_restart(cls, value: Any) -> Any:
        return quietly(parse_restart, value)["restart"] if isinstance(value, str) else value

    @field_validator("networks", mode="before")
    @classmethod
    def _read_networks(cls, value: Any) -> Any:
        if value == "none":
            return ()
        return tuple(_read_nic(name, nic) for name, nic in value.items()) if isinstance(value, dict) else value

    @field_validator("publish", "volumes", "tmpfs", "after", mode="before")
    @classmethod
    def _read_one(cls, value: Any) -> Any:
        return read_list(value)

    @property
    def image_name(self) -> str:
        """The image by its name: `image`, or else what its recipe's folder is called."""
        return find_image_name(self.image, self.build)

    def to_spec(self, name: str) -> MachineSpec:
        """What `weft run -d` would ask for."""
        nics = None if self.networks is None else tuple(NicSpec(**nic.model_dump()) for nic in self.networks)
        return MachineSpec(
            name=name,
            image=self.image_name,
            nics=nics,
            cwd=self.workdir,
            limits=self.limits.to_spec() if self.limits else None,
            expose=self.fabric.expose if self.fabric else (),
            foreign=self.foreign.to_spec() if self.foreign else None,
            health=self.health.to_spec() if self.health else None,
            no_health=self.no_healthcheck,
            mounts=(*self.volumes, *self.tmpfs),
            **self._find_sizes(),
            **{key: getattr(self, key) for key in _SAME},
        )

    def _find_sizes(self) -> dict[str, Any]:
        """How large it is, and may become. Raises Invalid."""
        memory = self.memory or Range()
        sizes: dict[str, Any] = {"cpus": self.cpus.least or 1, "memory": memory.least}
        if self.profile is not None:
            sizes["profile"] = self.profile
        if self.is_elastic or self.elastic is not None:
            policy = self.elastic or MANUAL
            sizes["elastic"] = ElasticSpec(max_cpus=self.cpus.most, max_memory=memory.most, policy=policy)
        return sizes

    @property
    def is_elastic(self) -> bool:
        """Whether there is anything that it could grow to."""
        return self.cpus.most is not None or (self.memory is not None and self.memory.most is not None)


def _read_nic(name: Any, nic: Any) -> Any:
    """A NIC whose network stands as the key: with nothing, its address, or more."""
    if nic is None or isinstance(nic, str):
        return {"network": name} | ({"address": nic} if nic else {})
    return {"network": name, **nic} if isinstance(nic, dict) else nic
