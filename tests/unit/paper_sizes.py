"""A machine on paper that grows and shrinks: real requests and grants, with a lever and accounts that are not."""

import asyncio
from dataclasses import dataclass, field
from typing import Any, cast

from weft.fabric.elastic.levers import APPLIED, Effective, Floor, Outcome
from weft.fabric.elastic.scaling import Scaling
from weft.fabric.records.machine import ElasticRecord, MachineRecord
from weft.fabric.room import Room
from weft.model.elastic import CpuMode, Resource, ScaleRequest, ScaleState
from weft.model.errors import Internal, NoRoom, Unavailable
from weft.model.machine import MachineSpec, State

MIB = 1 << 20
MOST, LEAST = 512 * MIB, 64 * MIB
SPEC: dict[str, object] = {"name": "db", "image": "base", "memory": LEAST, "elastic": {"max_memory": MOST}}
STEP = 32 * MIB


class PaperRuns:
    """Every machine's agent answers."""

    def find(self, name: str) -> None:
        return None

    async def reach(self, name: str) -> None:
        await asyncio.sleep(0)


@dataclass
class Book:
    """Accounts that say no beyond `most`, and see that nothing is left open."""

    most: int = 1 << 60
    reserved: int | None = None

    async def reserve(self, machine: MachineRecord, resource: Resource, size: int) -> None:
        await asyncio.sleep(0)
        if size > self.most:
            raise NoRoom("the host has no more")
        self.reserved = size

    async def release(self, machine: MachineRecord, resource: Resource, size: int) -> None:
        assert size == machine.granted_memory, "its record says so already"
        self.reserved = None


@dataclass
class PaperLever:
    """Moves bit by bit, and sees at every bit that the host has granted that."""

    room: Room
    has: int = LEAST
    used: int = 0
    books: int = 0
    """One part in so many of what it has is used because it has that."""
    failing: list[str] = field(default_factory=list)
    """What becomes of the next moves; none: they are applied."""
    mute: bool = False
    steps: list[int] = field(default_factory=list)
    wrong: list[int] = field(default_factory=list)
    """What it had when nobody had granted that."""

    async def prepare(self, machine: MachineRecord) -> MachineRecord:
        if self.mute:
            raise Unavailable("its kernel has no driver")
        assert machine.elastic is not None
        return cast(MachineRecord, machine.with_(elastic=machine.elastic.with_(total=5)))

    async def read(self, machine: MachineRecord) -> Effective:
        await asyncio.sleep(0)
        if self.mute:
            raise Unavailable("the agent does not answer")
        return Effective(qemu=self.has, guest=self.has)

    async def find_floor(self, machine: MachineRecord) -> Floor:
        await asyncio.sleep(0)
        return Floor(self.used + (self.has // self.books if self.books else 0), "the guest uses it")

    async def move(self, machine: MachineRecord, size: int, seconds: float) -> Outcome:
        fails = self.failing.pop(0) if self.failing else ""
        ways = max(1, abs(size - self.has) // STEP)
        for done in range(ways):
            await asyncio.sleep(0)
            if fails and done >= ways // 2:
                if fails == "refused":
                    return Outcome(ScaleState.REFUSED, "it does not want to")
                raise Unavailable("gone") if fails == "silent" else Internal("QEMU refuses it")
            self.set(size if done == ways - 1 else self.has + (STEP if size > self.has else -STEP))
        return APPLIED

    def set(self, size: int) -> None:
        self.has = size
        self.steps.append(size)
        machine = self.room.site.shelves.machines.find("db")
        if machine is not None and machine.granted_memory < size:
            self.wrong.append(size)


@dataclass
class World:
    room: Room
    lever: PaperLever
    scaling: Scaling
    book: Book

    @property
    def machine(self) -> MachineRecord:
        return self.room.site.shelves.machines.get("db")

    async def scale(self, wanted: int) -> ScaleRequest:
        return await self.scaling.scale("db", Resource.MEMORY, wanted, "a test")

    async def settled(self) -> ScaleRequest:
        return await self.scaling.settled("db", Resource.MEMORY)

    async def ask(self, wanted: int) -> ScaleRequest:
        await self.scale(wanted)
        return await self.settled()


async def make_world(room: Room, state: State = State.RUNNING) -> World:
    machine = MachineRecord(
        spec=MachineSpec.model_validate(SPEC),
        slot=7,
        uuid="6f7d3a52-4f5e-4d0a-9a51-0c7c1f1f2a11",
        created=1.0,
        kernel="default",
        memory=LEAST,
        nics=(),
        state=state,
        elastic=ElasticRecord(boot=96 * MIB, region=512 * MIB, mode=CpuMode.FIXED, memory=LEAST, cpus=1),
    )
    await room.site.shelves.machines.save(machine)
    lever, book = PaperLever(room), Book()
    scaling = Scaling(room.site, cast(Any, PaperRuns()), {Resource.MEMORY: lever})
    scaling.accounts = book
    return World(room, lever, scaling, book)
