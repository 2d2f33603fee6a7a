"""What the store remembers of rooms, machines, networks, inserts and volumes, and typed shelves to keep it on.

A record is written before the act that it speaks of, so a daemon that dies at any instant leaves either the intention
or the result behind, and the next one goes on from there.
"""

from collections.abc import Iterator
from fractions import Fraction
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict

from weft.host.pids import ProcessId
from weft.model.errors import NotFound
from weft.model.image import NicRole, have_sides
from weft.model.insert import InsertSpec, InsertState
from weft.model.machine import Exit, MachineSpec, PublishedPort, State
from weft.model.names import PortName, parse_port
from weft.model.network import NetworkSpec
from weft.model.pool import PoolSpec
from weft.model.room import RoomSpec
from weft.model.volume import VolumeSpec
from weft.plan.address import gateway_of, plan_address_behind, plan_gateway_mac
from weft.plan.linknames import (
    bridge_name,
    gateway_far_name,
    gateway_name,
    gateway_patch_name,
    patch_name,
    tap_name,
)
from weft.plan.splice import Appliance, Ends
from weft.store.contract import Store


class Record(BaseModel):
    """Base: frozen; `with_` makes the next version."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def with_(self, **changes: Any) -> "Any":
        """A copy with some fields changed."""
        return self.model_copy(update=changes)


class Stamp(Record):
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    start_time: int

    @classmethod
    def of(cls, process: ProcessId) -> "Stamp":
        return cls(pid=process.pid, start_time=process.start_time)

    @property
    def id(self) -> ProcessId:
        return ProcessId(self.pid, self.start_time)


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

    @property
    def name(self) -> str:
        return self.spec.name

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


class NetworkRecord(Record):
    """A network; its spec always has a subnet. `relays`: links that lead copies of what its gateway sends to rooms that
    shadow this one. `silent`: it is in such a room, and its gateway refuses nothing."""

    spec: NetworkSpec
    slot: int
    created: float
    removing: bool = False
    relays: tuple[str, ...] = ()
    silent: bool = False

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def subnet(self) -> IPv4Network:
        assert self.spec.subnet is not None, "a network is recorded with its subnet"
        return self.spec.subnet

    @property
    def gateway(self) -> IPv4Address:
        return gateway_of(self.subnet)

    @property
    def subnet6(self) -> IPv6Network | None:
        return self.spec.subnet6

    @property
    def gateway6(self) -> IPv6Address | None:
        """None also where the fabric is the gateway: it has no IPv6."""
        return self.subnet6[1] if self.subnet6 is not None and self.spec.gateway is not None else None

    @property
    def bridge(self) -> str:
        return bridge_name(self.slot)

    @property
    def gateway_link(self) -> str:
        """The link with the gateway's address, where the fabric is the gateway."""
        return gateway_name(self.slot)

    @property
    def gateway_mac(self) -> str:
        """That link's hardware address."""
        return plan_gateway_mac(self.name, self.slot)

    @property
    def behind(self) -> IPv4Address:
        """What has taken over the gateway's address has this one towards the fabric."""
        return plan_address_behind(self.slot)

    @property
    def has_gateway_port(self) -> bool:
        """Whether the fabric is the gateway, and not a machine."""
        return self.spec.gateway is None

    @property
    def ends(self) -> Ends:
        """The two links that the gateway's port joins."""
        return Ends(gateway_patch_name(self.slot), gateway_far_name(self.slot))


class InsertRecord(Record):
    """An insert. `rank` orders those of one port from the network side; it is a fraction, so nobody else moves. An
    `ephemeral` one lives as long as the request that made it; a `parked` one's machine was there before it. One that
    replaced another `stands_for` the name that a fabric file has for both.
    """

    spec: InsertSpec
    rank: Fraction
    created: float
    state: InsertState = InsertState.STARTING
    reason: str = ""
    expires: float | None = None
    ephemeral: bool = False
    parked: bool = False
    keep: bool = False
    until: float | None = None
    """While it drains: when that is over at the latest."""
    stands_for: str = ""

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def port(self) -> PortName:
        return parse_port(self.spec.before)

    @property
    def carries(self) -> bool:
        """Whether the chain leads through it: a blocked insert stays in the way, that is its policy, and one that
        drains has flows that need it."""
        return self.state in (InsertState.ACTIVE, InsertState.BLOCKED) or self.until is not None


class VolumeRecord(Record):
    """A volume. `made`: its disk has been whole; one that is missing since is lost, and not made anew."""

    spec: VolumeSpec
    created: float
    made: bool = False
    removing: bool = False

    @property
    def name(self) -> str:
        return self.spec.name


class PoolRecord(Record):
    """A pool. Its name is its image's."""

    spec: PoolSpec
    created: float

    @property
    def name(self) -> str:
        return self.spec.image


class CopyRecord(Record):
    """A copy that a pool keeps: a machine that has yet to become one of the room's.

    `image`: whose pool's it is; `fits`: what it was made for, as a text; `macs`: by which its guest knows its NICs;
    `ready`: it holds, and can be taken.
    """

    machine: MachineRecord
    macs: tuple[str, ...] = ()
    image: str
    fits: str
    created: float
    ready: bool = False

    @property
    def name(self) -> str:
        return self.machine.name

    def lend_to(self, machine: MachineRecord) -> MachineRecord:
        """A machine that has yet to be put on record, with what the copy has: its processes, its slot, its group."""
        lent = ("slot", "uuid", "monitor", "qemu", "limits", "booted", "origin", "group")
        changes = {part: getattr(self.machine, part) for part in lent}
        held = Holding(copy_name=self.name, macs=self.macs)
        return machine.model_copy(update={"held": held, **changes})


class RoomRecord(Record):
    """A room. `block`: of its user ids. `file` and `applied`: the fabric file it was last made to match, where that was
    and what it said, as JSON.
    """

    spec: RoomSpec
    block: int
    created: float
    file: str | None = None
    applied: str | None = None
    shadows: str | None = None
    """The room that it gets copies of frames from."""
    forking: bool = False
    """It is to be a copy of another room, and is not complete yet."""
    removing: bool = False

    @property
    def name(self) -> str:
        return self.spec.name


R = TypeVar("R", MachineRecord, NetworkRecord, InsertRecord, VolumeRecord, PoolRecord, CopyRecord, RoomRecord)


class Shelf(Generic[R]):
    """All records of one kind, in memory and in the store."""

    def __init__(self, store: Store, prefix: str, kind: type[R]) -> None:
        self._store = store
        self._prefix = prefix
        self._kind: type[R] = kind
        self._records: dict[str, R] = {}

    @property
    def what(self) -> str:
        """The kind's name for messages: `machine`."""
        return self._prefix.rpartition("/")[2].rstrip("s")

    async def load(self) -> None:
        """Read everything the store has. Keys that go on behind a name are other shelves'."""
        for entry in await self._store.list(f"{self._prefix}/"):
            if "/" in entry.key.removeprefix(f"{self._prefix}/"):
                continue
            record = self._kind.model_validate_json(entry.value)
            self._records[record.name] = record

    def find(self, name: str) -> R | None:
        return self._records.get(name)

    def get(self, name: str) -> R:
        """The record. Raises NotFound."""
        record = self._records.get(name)
        if record is None:
            raise NotFound(f"{self.what} {name!r} does not exist", hint=self._closest(name))
        return record

    def __iter__(self) -> Iterator[R]:
        return iter(list(self._records.values()))

    def __len__(self) -> int:
        return len(self._records)

    def _key(self, name: str) -> str:
        """A slash in a name, as images have, would be another shelf's key."""
        return f"{self._prefix}/{name.replace('/', '%2F')}"

    async def save(self, record: R) -> R:
        """Write through; afterwards this is the record."""
        await self._store.put(self._key(record.name), record.model_dump_json().encode())
        self._records[record.name] = record
        return record

    async def drop(self, name: str) -> None:
        """Forget it."""
        await self._store.delete(self._key(name))
        self._records.pop(name, None)

    def _closest(self, name: str) -> str | None:
        from difflib import get_close_matches

        close = get_close_matches(name, self._records, n=1)
        return f"did you mean {close[0]}?" if close else None
