"""Accounts of machines, rooms and the host, and the sums of them. Memory in bytes.

* *promised*: what cannot be taken back: the minimum of each machine that runs, and the guarantee of each room, whether
  or not its machines use it;
* *granted*: what the host keeps for a machine now; above its minimum it is lent, and can be asked back;
* *used*: what its guest cannot give up;
* *capacity*: how much may be promised and granted, all together.
"""

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property

from weft.model.elastic import MemoryMode

HEADROOM = 32 << 20
HEADROOM_SHARE = 8
"""A guest keeps so much more than it uses, or one part in so many of that: what it needs next comes without delay."""


@dataclass(frozen=True, slots=True)
class MachineAccount:
    """A machine that runs or is about to. `used` is None where nobody could say; `cost` is what QEMU uses beside the
    guest's memory; `before` is what it had before it gave memory back; 0: it gave none.
    """

    room: str
    name: str
    minimum: int
    granted: int
    cpus_minimum: int = 1
    cpus_granted: int = 1
    used: int | None = None
    cost: int = 0
    idle: bool = False
    mode: MemoryMode = MemoryMode.FIXED
    before: int = 0

    @property
    def key(self) -> tuple[str, str]:
        """Its name in the whole fabric."""
        return self.room, self.name

    @property
    def lent(self) -> int:
        """What it has above its minimum."""
        return self.granted - self.minimum

    @property
    def needs(self) -> int:
        """The least that it can be brought down to: all of it while nobody knows what it uses."""
        if self.used is None or self.mode is MemoryMode.FIXED:
            return self.granted
        wanted = self.used + max(HEADROOM, self.used // HEADROOM_SHARE)
        return min(self.granted, max(self.minimum, wanted))

    @property
    def gave(self) -> int:
        """What it gave back and has not got again."""
        return max(0, self.before - self.granted)


@dataclass(frozen=True, slots=True)
class RoomAccount:
    """What a room is guaranteed, and what its machines may have at most; None: as much as there is."""

    name: str
    memory: int = 0
    max_memory: int | None = None
    cpus: float = 0.0
    max_cpus: float | None = None
    weight: int = 100


@dataclass(frozen=True, slots=True)
class HostAccount:
    """The host, or the part of it that is given to machines. `available` is what it could give to programs now.

    `reserve` is kept for the host itself. The overcommits say how much of what there is may be promised;
    None: there is no bound.
    """

    memory: int
    cpus: int
    available: int
    reserve: int = 0
    memory_overcommit: float = 1.0
    cpu_overcommit: float | None = None

    @property
    def capacity(self) -> int:
        """Bytes that may be promised and granted."""
        return int(max(0, self.memory - self.reserve) * self.memory_overcommit)

    @property
    def cpu_capacity(self) -> float | None:
        """Processors that may be promised and granted."""
        return None if self.cpu_overcommit is None else self.cpus * self.cpu_overcommit

    @property
    def spare(self) -> int:
        """Bytes that it could give to machines now and keep its reserve."""
        return max(0, self.available - self.reserve)


@dataclass(frozen=True)
class Ledger:
    """All accounts. A room that has none has neither guarantee nor limit."""

    host: HostAccount
    machines: tuple[MachineAccount, ...] = ()
    rooms: Mapping[str, RoomAccount] = field(default_factory=dict)

    def room(self, name: str) -> RoomAccount:
        """A room's account."""
        return self.rooms.get(name) or RoomAccount(name)

    @cached_property
    def names(self) -> list[str]:
        """Rooms with an account or a machine."""
        return sorted({*self.rooms, *(machine.room for machine in self.machines)})

    @cached_property
    def _of_rooms(self) -> Mapping[str, list[MachineAccount]]:
        found = defaultdict(list)
        for machine in self.machines:
            found[machine.room].append(machine)
        return found

    def machines_of(self, room: str) -> list[MachineAccount]:
        """The machines of a room."""
        return self._of_rooms.get(room, [])

    def minima_of(self, room: str) -> int:
        """What the machines of a room are promised."""
        return sum(machine.minimum for machine in self.machines_of(room))

    def promised_to(self, room: str) -> int:
        """What a room is promised: its guarantee, or what its machines are if that is more."""
        return max(self.room(room).memory, self.minima_of(room))

    def granted_to(self, room: str) -> int:
        """What the machines of a room have."""
        return sum(machine.granted for machine in self.machines_of(room))

    def cpus_promised_to(self, room: str) -> float:
        """The same in processors."""
        return max(self.room(room).cpus, sum(machine.cpus_minimum for machine in self.machines_of(room)))

    @cached_property
    def promised(self) -> int:
        """Bytes, to all rooms."""
        return sum(map(self.promised_to, self.names))

    @cached_property
    def granted(self) -> int:
        """Bytes that all machines have."""
        return sum(machine.granted for machine in self.machines)

    @cached_property
    def free(self) -> int:
        """Bytes that could still be granted, by the ledger alone."""
        return max(0, self.host.capacity - self.granted)

    @cached_property
    def excess(self) -> int:
        """Bytes that have been granted beyond what there is: within a guarantee that others had borrowed."""
        return max(0, self.granted - self.host.capacity)

    @cached_property
    def cpus_promised(self) -> float:
        """Processors, to all rooms."""
        return sum(map(self.cpus_promised_to, self.names))

    @cached_property
    def cpus_granted(self) -> int:
        """Processors that all machines have."""
        return sum(machine.cpus_granted for machine in self.machines)

    def find(self, room: str, name: str) -> MachineAccount | None:
        """A machine's account."""
        return next((machine for machine in self.machines_of(room) if machine.name == name), None)

    def with_machine(self, machine: MachineAccount) -> "Ledger":
        """With this account, in place of the one of the same machine."""
        others = tuple(other for other in self.machines if other.key != machine.key)
        return Ledger(self.host, (*others, machine), self.rooms)

    def with_room(self, room: RoomAccount) -> "Ledger":
        """With this account, in place of the one of the same room."""
        return Ledger(self.host, self.machines, {**self.rooms, room.name: room})

    def without(self, keys: Iterable[tuple[str, str]]) -> "Ledger":
        """Without these machines."""
        gone = set(keys)
        return Ledger(self.host, tuple(machine for machine in self.machines if machine.key not in gone), self.rooms)
