"""What the store remembers of a machine."""

from ipaddress import IPv4Address, IPv6Address
from typing import Any

from weft.fabric.records.record import Record, Stamp
from weft.model.elastic import CpuMode, MemoryMode, Resource, ScaleRequest
from weft.model.image import NicRole, have_sides
from weft.model.machine import Exit, MachineSpec, Profile, PublishedPort, State
from weft.plan.linknames import patch_name, tap_name
from weft.plan.splice import Appliance, Ends


class NicRecord(Record):
    """One NIC. On a network it has an address and a port; an appliance's sides have neither."""

    mac: str
    role: NicRole
    network: str | None = None
    address: IPv4Address | None = None
    address6: IPv6Address | None = None
    pinned: bool = True


class SpecUpdate(Record):
    """Another spec that a machine is to have, and whether it is to run then."""

    spec: MachineSpec
    start: bool


class FirstSettings(Record):
    """What a machine was made with, until it is on its floppy; `by` whom or what."""

    values: dict[str, Any]
    by: str


class Told(Record):
    """What a machine was told besides its settings, as digests: of its place, and of what it had to apply."""

    place: str
    applied: str


class OnTrial(Record):
    """Settings that are taken back at `until` (seconds since the epoch) to revision `back`; 0: to the defaults."""

    back: int
    until: float


class CaptureRecord(Record):
    """A capture of a machine that has begun: it may stand still. `receiver` is to end if the daemon dies now, and the
    machine's taps get back the `headers` that it may have changed; `former` is what the machine's QEMU has taken over
    from, and is to end in any case.
    """

    receiver: Stamp | None = None
    headers: tuple[int, ...] = ()
    former: Stamp | None = None


class Holding(Record):
    """A copy of a template that a machine has and has not become yet: its name in its pool, and the hardware addresses
    by which its guest knows its NICs.
    """

    copy_name: str
    macs: tuple[str, ...]


class ElasticRecord(Record):
    """How elastic a machine's present run is. Memory in bytes.

    `boot` is what its QEMU was started with, `region` what can be plugged beside it. `memory` and `cpus` are granted:
    reserved on the host before it grows, and released when it is known to have shrunk. `total`: what its kernel said it
    had when none of the region was plugged. `requests`: the last one of each resource. `lost`: why it cannot have
    more or less of one any more. `gave_from`: what it had when the host last asked it to give memory back.
    """

    boot: int
    region: int
    mode: CpuMode
    memory: int
    cpus: int
    total: int | None = None
    requests: tuple[ScaleRequest, ...] = ()
    lost: dict[Resource, str] = {}
    gave_from: int = 0


class MachineRecord(Record):
    """A machine: what was asked, what it was given, and its present run."""

    spec: MachineSpec
    slot: int
    uuid: str
    created: float
    kernel: str
    memory: int
    nics: tuple[NicRecord, ...]
    state: State = State.CREATED
    reason: str = ""
    monitor: Stamp | None = None
    qemu: Stamp | None = None
    servers: tuple[Stamp, ...] = ()
    started: float | None = None
    ready: float | None = None
    exit: Exit | None = None
    limits: str = ""
    failsafe: bool = False
    settings: str = ""
    fallback: bool = False
    first: FirstSettings | None = None
    told: Told | None = None
    trial: OnTrial | None = None
    removing: bool = False
    published: tuple[PublishedPort, ...] = ()
    wanted: bool = False
    """Whether it was started and nobody has stopped it since."""
    restarts: int = 0
    tries: int = 0
    """Restarts in a row: since somebody started it, or since it ran for long."""
    again_at: float | None = None
    """When it will be started again."""
    change: SpecUpdate | None = None
    """What it is being made into."""
    booted: str = ""
    """The digest of the image that it was last started from."""
    origin: str = ""
    """What its present run goes on from: `template KEY`, `fork of web`; empty: it was booted."""
    capture: CaptureRecord | None = None
    """What is to be done about it if nobody finishes its capture."""
    shows_floppy: bool = False
    """Whether it has its floppy as a disk: there is more on that than settings."""
    template: bool = False
    """Whether it is made only to become a template."""
    becoming: bool = False
    """It goes on from another's moment and has not become itself yet: its ports lead nowhere."""
    shadows: str | None = None
    """The machine whose frames it gets copies of, while it runs as its fork."""
    group: str = ""
    """Its control group, where that is not called as it is: it came from a pool."""
    held: Holding | None = None
    """What it was taken from a pool as, until that has become this machine."""
    suspending: bool = False
    """What it is lies on disk, and it is suspended when its process has ended."""
    resuming: bool = False
    """It has not gone on yet from what lies on disk, and is suspended again if it does not come to that."""

    elastic: ElasticRecord | None = None
    """How far its present run can grow; None: its size is fixed."""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def boot_memory(self) -> int:
        """Bytes that its QEMU is started with."""
        return self.elastic.boot if self.elastic else self.memory

    @property
    def granted_memory(self) -> int:
        """Bytes that the host keeps for it."""
        return self.elastic.memory if self.elastic and self.state.is_live else self.memory

    @property
    def memory_mode(self) -> MemoryMode:
        """How its memory can come and go."""
        most = self.spec.elastic.max_memory if self.spec.elastic else None
        if most is None or most <= self.memory:
            return MemoryMode.FIXED
        return MemoryMode.BALLOON if self.spec.profile is Profile.MICROVM else MemoryMode.VIRTIO_MEM

    def find_request(self, resource: Resource) -> ScaleRequest | None:
        """The last one for another size of its present run."""
        requests = self.elastic.requests if self.elastic else ()
        return next((request for request in requests if request.resource is resource), None)

    @property
    def granted_cpus(self) -> int:
        """Processors that the host keeps for it."""
        return self.elastic.cpus if self.elastic and self.state.is_live else self.spec.cpus

    @property
    def hears(self) -> bool:
        """Of a shadow: whether it is to get copies now."""
        return self.state.is_live and not (self.becoming or self.removing)

    @property
    def group_name(self) -> str:
        """Of its control group."""
        return self.group or self.name

    @property
    def is_appliance(self) -> bool:
        """Whether it has the two sides of an inline appliance."""
        return have_sides([nic.role for nic in self.nics])

    def ends(self, nic: int) -> Ends:
        """The two links that this machine's port joins."""
        return Ends(patch_name(self.slot, nic), tap_name(self.slot, nic))

    def sides(self, *, inline: bool) -> Appliance:
        """The two links of an appliance."""
        return Appliance(tap_name(self.slot, 0), tap_name(self.slot, 1), inline)
