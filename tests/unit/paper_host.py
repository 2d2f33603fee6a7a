"""A host on paper: rooms whose machines are as large as their records say, and do as they are told, or do not."""

from typing import Any

from tests.unit.paper_fabric import FACTS

from weft.fabric.elastic.levers import Effective, Floor, Outcome
from weft.fabric.elastic.scaling import Scaling
from weft.fabric.fabric import Fabric
from weft.fabric.ledger.entries import Seen
from weft.fabric.ledger.host_ledger import HostLedger
from weft.fabric.ledger.reclaiming import Reclaiming
from weft.fabric.ledger.room_accounts import RoomAccounts
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.site import Site
from weft.model.elastic import CpuMode, ElasticSpec, Resource, ScaleState
from weft.model.machine import MachineSpec, NicSpec, State

MIB, GIB = 1 << 20, 1 << 30


class Host:
    """A host of 4 GiB that may promise 3.75, as it is said to be."""

    def __init__(self, fabric: Fabric) -> None:
        self.fabric = fabric
        self.available = FACTS.memory_bytes
        self.now = 100.0
        self.refusing: set[str] = set()
        self._rooms: dict[str, PaperRoom] = {}
        self.ledger, self.reclaiming = self._begin()

    def restart(self) -> None:
        """Another daemon."""
        seen = self.ledger.seen
        self.ledger, self.reclaiming = self._begin()
        self.ledger.seen = seen
        self._rooms.clear()

    def _begin(self) -> tuple[HostLedger, Reclaiming]:
        shared: Any = self.fabric.shared
        ledger = HostLedger(FACTS, shared.settings, lambda: self.available, lambda: self.now)
        ledger.find_entries = shared.ledger.find_entries
        rooms: Any = self
        reclaiming = Reclaiming(rooms, ledger, rooms, shared.events, lambda: self.now)
        ledger.collect = reclaiming.collect
        return ledger, reclaiming

    def get(self, name: str) -> Any:
        """A room whose machines are as large as their records say."""
        if name not in self._rooms:
            self._rooms[name] = PaperRoom(self, self.fabric.room(name).site)
        return self._rooms[name]

    async def ask(self, *, elastic: bool) -> None:
        """Everybody has been seen already."""
        assert elastic

    def glance(self, *, elastic: bool) -> None:
        """Nothing is new."""
        assert elastic

    def size(self, name: str, room: str = "default") -> int:
        """What a machine is granted, in MiB."""
        return self.machine(name, room).granted_memory // MIB

    def machine(self, name: str, room: str = "default") -> MachineRecord:
        return self.fabric.room(room).site.shelves.machines.get(name)


class PaperRoom:
    """A room, and requests that are carried out at once."""

    def __init__(self, host: Host, site: Site) -> None:
        self.site = site
        runs: Any = PaperRuns()
        self.scaling = Scaling(site, runs, {Resource.MEMORY: PaperLever(host)})
        self.scaling.accounts = RoomAccounts(host.ledger, site.room)


class PaperRuns:
    """Every agent answers."""

    def find(self, _name: str) -> None:
        """No run is watched."""

    async def reach(self, _name: str) -> None:
        """It is there."""


class PaperLever:
    """Changes nothing, and says so where it is told to."""

    def __init__(self, host: Host) -> None:
        self._host = host

    async def prepare(self, machine: MachineRecord) -> MachineRecord:
        return machine

    async def read(self, machine: MachineRecord) -> Effective:
        return Effective(qemu=machine.granted_memory)

    async def find_floor(self, _machine: MachineRecord) -> Floor:
        return Floor(0)

    async def move(self, machine: MachineRecord, _size: int, _seconds: float) -> Outcome:
        refuses = machine.name in self._host.refusing
        return Outcome(ScaleState.FAILED, "it does not want to") if refuses else Outcome(ScaleState.APPLIED)


async def run(host: Host, name: str, granted: int, used: int | None = 32, room: str = "default") -> None:
    """A machine of 128 MiB that may have 4 GiB, and has so many MiB."""
    elastic = ElasticSpec(max_memory=4 * GIB)
    nics = (NicSpec(network="lan"),)
    spec = MachineSpec(name=name, image="base", memory=128 * MIB, nics=nics, elastic=elastic)
    machine = await host.fabric.room(room).machines.create(spec)
    noted = ElasticRecord(boot=512 * MIB, region=4 * GIB, mode=CpuMode.PARKED, memory=granted * MIB, cpus=1)
    await host.fabric.room(room).site.shelves.machines.save(machine.with_(state=State.RUNNING, elastic=noted))
    host.ledger.seen[room, name] = Seen(used=None if used is None else used * MIB, idle=True)


async def scale(host: Host, name: str, size: int, by: str = "weft scale", room: str = "default") -> ScaleState:
    scaling = host.get(room).scaling
    await scaling.scale(name, Resource.MEMORY, size * MIB, by)
    state: ScaleState = (await scaling.settled(name, Resource.MEMORY)).state
    return state
