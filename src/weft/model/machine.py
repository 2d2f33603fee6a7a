"""Machines: what the user asks for (spec) and what is seen of them (view)."""

from enum import StrEnum
from ipaddress import IPv4Address, IPv6Address

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from weft.model.elastic import ElasticSpec, ElasticView
from weft.model.errors import Invalid
from weft.model.expose import ExposeSpec, check_parts
from weft.model.foreign import Firmware, ForeignSpec, Plan9Spec
from weft.model.image import BUILT_IN, USER_PATTERN, Health, NicRole
from weft.model.limits import NO_LIMITS, LimitsSpec
from weft.model.mount import MountSpec
from weft.model.names import DEFAULT_ROOM, parse_name
from weft.model.publish import PublishSpec
from weft.model.units import dump_size

MIN_MEMORY = 32 << 20
MAX_MEMORY = 1 << 40
MAX_CPUS = 64
MICROVM_NICS = 4
"""A microvm has 8 slots for virtio devices: serial line, root, entropy and balloon take the others."""

MAC_PATTERN = r"^[0-9a-f][02468ace](:[0-9a-f]{2}){5}$"
"""Of one station: the lowest bit of the first byte says group."""


_INSIDE = (
    "command", "entrypoint", "env", "cwd", "user", "hostname", "mounts", "read_only", "health", "floppy", "elastic",
)  # fmt: skip
"""Parts of a spec that are for our init, or for a kernel with our drivers."""


class Profile(StrEnum):
    """The machine types: the cheapest one; the one with PCI, which more memory can be plugged into; an old PC, for
    systems that bring drivers for nothing newer.
    """

    MICROVM = "microvm"
    Q35 = "q35"
    PC = "pc"


class State(StrEnum):
    """The life of a machine. `failed` is a start that did not succeed or an end nobody asked for; one that is
    `suspended` is on disk with its memory, and goes on when it is started; `pooled` is a copy that is kept ready and is
    nobody yet.
    """

    CREATED = "created"
    STARTING = "starting"
    RUNNING = "running"
    STOPPING = "stopping"
    STOPPED = "stopped"
    SUSPENDED = "suspended"
    FAILED = "failed"
    POOLED = "pooled"

    @property
    def is_live(self) -> bool:
        """Whether a QEMU process belongs to this state."""
        return self in (State.STARTING, State.RUNNING, State.STOPPING)

    @property
    def holds_disks(self) -> bool:
        """Whether what is on its disks has to stay as it is: it remembers what it has read there."""
        return self.is_live or self is State.SUSPENDED


class Spec(BaseModel):
    """Base of everything a user writes: frozen, and unknown keys are errors."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class MachineRestart(StrEnum):
    """When a machine's program is started again after its end, and the machine after an end nobody asked for.

    `always` and `unless-stopped` also bring it back after a boot of the host; the latter not if it was stopped before.
    """

    NEVER = "never"
    ON_FAILURE = "on-failure"
    ALWAYS = "always"
    UNLESS_STOPPED = "unless-stopped"


class HealthSpec(Spec):
    """A health check, or what of the image's own shall be otherwise. Times are in seconds; None: as the image says."""

    argv: tuple[str, ...] | None = Field(default=None, min_length=1)
    interval: float | None = Field(default=None, gt=0)
    timeout: float | None = Field(default=None, gt=0)
    start_period: float | None = Field(default=None, ge=0)
    retries: int | None = Field(default=None, ge=1)

    def over(self, image: Health | None) -> Health | None:
        """The check that comes of it; None when neither has a command."""
        given = self.model_dump(exclude_none=True)
        if image is None and "argv" not in given:
            return None
        return Health.model_validate({**(image.model_dump() if image else {}), **given})


class NicSpec(Spec):
    """One NIC. An insert's NICs have no network: chains wire them. What is None is chosen.

    `pinned`: it is held to its own addresses, hardware addresses included: frames with others are dropped.
    """

    network: str | None = None
    role: NicRole = NicRole.LAN
    address: IPv4Address | None = None
    address6: IPv6Address | None = None
    mac: str | None = Field(default=None, pattern=MAC_PATTERN)
    pinned: bool = True

    @field_validator("mac", mode="before")
    @classmethod
    def _lower_mac(cls, mac: object) -> object:
        return mac.lower() if isinstance(mac, str) else mac

    @model_validator(mode="after")
    def _check_place(self) -> "NicSpec":
        if self.network is None and (self.address is not None or self.address6 is not None):
            raise Invalid("a NIC that is on no network has no address")
        return self


class MachineSpec(Spec):
    """What a user asks a machine to be. Memory is in bytes; None means what the image says."""

    name: str
    image: str
    kernel: str | None = None
    profile: Profile = Profile.MICROVM
    memory: int | None = Field(default=None, ge=MIN_MEMORY, le=MAX_MEMORY)
    cpus: int = Field(default=1, ge=1, le=MAX_CPUS)
    nics: tuple[NicSpec, ...] | None = Field(
        default=None, description="None: as the image says, or one on the default network"
    )
    command: tuple[str, ...] = ()
    entrypoint: tuple[str, ...] | None = Field(default=None, description="in place of the image's own")
    env: dict[str, str] = Field(default_factory=dict)
    cwd: str | None = None
    user: str | None = Field(default=None, pattern=USER_PATTERN)
    hostname: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    restart: MachineRestart | None = None
    max_restarts: int | None = Field(default=None, ge=1, description="of `on-failure`: give up after so many")
    stop_signal: str | None = Field(default=None, pattern=r"^SIG[A-Z0-9+-]+$")
    stop_timeout: float | None = Field(default=None, gt=0, description="seconds before a stop insists")
    health: HealthSpec | None = None
    no_health: bool = Field(default=False, description="leave the image's health check out")
    publish: tuple[PublishSpec, ...] = ()
    mounts: tuple[MountSpec, ...] = ()
    read_only: bool = Field(default=False, description="the root cannot be written to")
    floppy: str | None = Field(default=None, description="a floppy image of the host; None: one of the machine's own")
    remove: bool = Field(default=False, description="remove the machine when it ends")
    cold: bool = Field(default=False, description="it boots, though there may be a template to go on from")
    elastic: ElasticSpec | None = Field(
        default=None, description="how far it may grow beyond `cpus` and `memory`; None: its size is fixed"
    )
    limits: LimitsSpec | None = Field(
        default=None, description="what it may take of the host beside its `cpus` and `memory`"
    )
    pxe: bool = Field(
        default=False,
        description="it boots from its first network; an image of ours comes whole from there, and stays in memory",
    )
    foreign: ForeignSpec | None = Field(
        default=None, description="of a machine that brings its own system: what it boots, and what it has"
    )
    expose: tuple[ExposeSpec, ...] = Field(
        default=(), description="parts of the fabric's file tree that it finds at its gateway"
    )

    @model_validator(mode="before")
    @classmethod
    def _choose_profile(cls, value: object) -> object:
        """A machine that is to grow, brings its own system, or boots from its network is of the profile that can,
        unless another was asked for.
        """
        if not isinstance(value, dict) or "profile" in value:
            return value
        if any(value.get(name) not in (None, False) for name in ("elastic", "foreign", "pxe")):
            return {**value, "profile": Profile.Q35}
        return value

    @field_validator("name")
    @classmethod
    def _check_name(cls, name: str) -> str:
        return parse_name(name, "machine")

    @field_validator("limits")
    @classmethod
    def _check_limits(cls, limits: LimitsSpec | None) -> LimitsSpec | None:
        """Limits that limit nothing are none."""
        return None if limits == NO_LIMITS else limits

    @property
    def is_foreign(self) -> bool:
        """Whether nothing inside it knows of the fabric."""
        return self.foreign is not None

    @property
    def served_root(self) -> Plan9Spec | None:
        """How its root is served, of a Plan 9 machine that gets one at its gateway: a folder, or its image's."""
        plan9 = self.foreign.plan9 if self.foreign else None
        return plan9 if plan9 is not None and (plan9.root is not None or self.image not in BUILT_IN) else None

    @model_validator(mode="after")
    def _check_foreign(self) -> "MachineSpec":
        """What our init would do cannot be had where it is not."""
        if self.foreign is None and self.profile is Profile.PC:
            raise Invalid("profile pc is for machines that bring their own system")
        if self.foreign is not None and self.profile is Profile.MICROVM:
            raise Invalid("no microvm boots a system of its own", hint="take q35 or pc")
        if self.foreign is not None and (unfit := [name for name in _INSIDE if getattr(self, name)]):
            raise Invalid(f"a machine that brings its own system can have no {', '.join(unfit)}")
        return self

    @model_validator(mode="after")
    def _check_firmware(self) -> "MachineSpec":
        """Multiboot kernels are started by who has no firmware yet, or BIOS."""
        if self.foreign is not None and self.foreign.firmware is Firmware.UEFI and self.kernel is not None:
            raise Invalid(f"machine {self.name!r} boots a kernel, which does not go by UEFI", hint="firmware bios")
        return self

    @field_validator("expose")
    @classmethod
    def _check_expose(cls, expose: tuple[ExposeSpec, ...]) -> tuple[ExposeSpec, ...]:
        check_parts(expose)
        return expose

    @model_validator(mode="after")
    def _check_pxe(self) -> "MachineSpec":
        """It needs firmware, and a size that its kernel is told by that."""
        if self.pxe and self.profile is Profile.MICROVM:
            raise Invalid(f"machine {self.name!r} boots from its network, which no microvm does", hint="take q35")
        if self.pxe and self.elastic is not None:
            raise Invalid(f"machine {self.name!r} boots from its network: its size cannot change")
        if not self.pxe and self.foreign is not None and self.foreign.boot_files:
            raise Invalid(f"machine {self.name!r} has boot files and does not boot from its network", hint="--pxe")
        return self

    @model_validator(mode="after")
    def _check_nics(self) -> "MachineSpec":
        if self.profile is Profile.MICROVM and len(self.nics or ()) > MICROVM_NICS:
            raise Invalid(
                f"machine {self.name!r}: a microvm has at most {MICROVM_NICS} NICs", hint="profile q35 takes more"
            )
        return self

    @model_validator(mode="after")
    def _check_ranges(self) -> "MachineSpec":
        if self.elastic is not None and (most := self.elastic.max_cpus) is not None and most < self.cpus:
            raise Invalid(f"machine {self.name!r}: {self.cpus} CPUs are more than the {most} it may grow to")
        if self.elastic is not None and (top := self.elastic.max_memory) is not None:
            if top < (self.memory or MIN_MEMORY):
                least = dump_size(self.memory or MIN_MEMORY)
                raise Invalid(f"machine {self.name!r}: it may grow to {dump_size(top)} of memory, and has {least}")
            if top > MAX_MEMORY:
                raise Invalid(f"machine {self.name!r}: no machine has more memory than {dump_size(MAX_MEMORY)}")
        return self


class Exit(BaseModel):
    """How a machine's last run ended: the entry point's status, or why there is none."""

    code: int | None = None
    signal: int | None = None
    reason: str = ""
    oom: bool = Field(default=False, description="for want of memory")


class PublishedPort(BaseModel):
    """A port of the host that leads to one of a machine. `host_port` is None until the machine is first started."""

    host_address: str
    host_port: int | None
    guest_port: int
    protocol: str


class HealthView(BaseModel):
    """What a machine's health check says: `starting`, `healthy` or `unhealthy`; `output` is what it printed last."""

    status: str
    failures: int = Field(default=0, description="in a row")
    output: str = ""


class Address(BaseModel):
    """Where one NIC of a machine is."""

    nic: int
    network: str | None
    address: str | None
    address6: str | None = None
    mac: str
    pinned: bool = Field(default=False, description="whether it is held to its own addresses")


class MachineView(BaseModel):
    """A machine as `weft ps` and `weft inspect` show it. Times are seconds since the epoch.

    `memory` and `cpus` are what it has been granted, where its size may change.
    """

    name: str
    room: str = DEFAULT_ROOM
    image: str
    state: State
    reason: str = ""
    insert: str | None = Field(default=None, description="the port it is inserted at, if it is an insert")
    networks: list[Address] = Field(default_factory=list)
    pid: int | None = None
    profile: Profile
    kernel: str
    memory: int = Field(description="bytes; of an elastic machine that runs: what it was granted")
    cpus: int = Field(description="of an elastic machine that runs: as many as it was granted")
    elastic: ElasticView | None = Field(
        default=None, description="how far its size may change, as the host knows it; None: it is fixed"
    )
    command: list[str] = Field(default_factory=list)
    entrypoint: list[str] | None = None
    user: str | None = None
    labels: dict[str, str] = Field(default_factory=dict)
    ports: list[PublishedPort] = Field(default_factory=list)
    mounts: list[MountSpec] = Field(default_factory=list)
    health: HealthView | None = Field(default=None, description="None: nothing checks it, or it does not run")
    restart: MachineRestart | None = None
    restarts: int = Field(default=0, description="how often it was started again, its program's restarts not counted")
    remove: bool = Field(default=False, description="it is removed when it ends")
    again: float | None = Field(default=None, description="when it will be started again")
    created: float
    started: float | None = None
    ready: float | None = None
    exit: Exit | None = None
    accel: str | None = None
    origin: str = Field(default="", description="what its run goes on from, like `fork of web`; empty: it was booted")
    limits: LimitsSpec | None = Field(default=None, description="what else it may take of the host")
    expose: list[ExposeSpec] = Field(default_factory=list, description="what it finds of the file tree at its gateway")
    enforced: str = Field(default="", description="how its limits are enforced: cgroup v2, cgroup v1, or why not")
    resident: int | None = Field(default=None, description="bytes of host memory its QEMU holds now")
    floppy: str | None = Field(default=None, description="the file with an appliance's floppy")
    pxe: bool = Field(default=False, description="it boots from its first network")
    foreign: ForeignSpec | None = Field(default=None, description="of one that brings its own system: what it has")
    settings: str = Field(default="", description="which settings it was started with, and why not with those saved")


class MachineUpdate(BaseModel):
    """What an update of a machine changed, or would: parts of its spec, at once or by a restart."""

    machine: MachineView
    live: list[str] = Field(description="what a machine that runs need not know of")
    restart: list[str] = Field(description="what it has from its next start on; one that runs is started again")
