"""What all controllers of a room share: adapters, shelves, settings, the clock."""

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Iterable, Sequence, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.fabric.events import RoomEvents
from weft.fabric.layout import Layout
from weft.fabric.ledger.host_ledger import HostLedger
from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.records.pool import CopyRecord, PoolRecord
from weft.fabric.records.shelf import Shelf
from weft.fabric.records.volume import VolumeRecord
from weft.host.cgroup import Cgroups, Limits
from weft.host.facts import HostFacts
from weft.host.links import Links
from weft.host.namespace import Namespace
from weft.host.sandbox import Identity
from weft.image.store import ImageStore, KernelStore
from weft.model.errors import NoRoom, WeftError
from weft.model.expose import Visit
from weft.model.names import DEFAULT_ROOM
from weft.settings import Settings
from weft.store.contract import Store

log = logging.getLogger(__name__)

ROOMS = "rooms"
"""Where records and folders of all rooms but the default one are."""
KVM = Path("/dev/kvm")
UIDS_PER_ROOM = 4096
"""Rooms and fabrics side by side use user ids of their own."""
MACHINE_SLOTS, NETWORK_SLOTS = range(1, 3000), range(1, 1000)
"""Slots are in names of links and in user ids: machines have the first of a room's ids, name servers those behind."""
DISK_USER = UIDS_PER_ROOM - 1
"""Whom programs run as that look into a volume which no machine has."""
SERVICES = "_services"
"""The control group of what serves a room's machines: no machine has such a name."""
SERVICE_PIDS = 512
TRIAL_USER = UIDS_PER_ROOM - 2
"""Whom the machine runs as that nobody has asked for: it shows what can be done here."""
FORWARDERS = MACHINE_SLOTS.stop + NETWORK_SLOTS.stop
"""The number of the user id that all forwarders of published ports have: they are alike, and know no secret."""


@dataclass(frozen=True, slots=True)
class Shelves:
    """Everything a room remembers."""

    machines: Shelf[MachineRecord]
    networks: Shelf[NetworkRecord]
    inserts: Shelf[InsertRecord]
    volumes: Shelf[VolumeRecord]
    pools: Shelf[PoolRecord]
    copies: Shelf[CopyRecord]

    @classmethod
    def of(cls, store: Store, room: str) -> "Shelves":
        """Those of a room, empty until they are loaded. Keys of the room `default` have no prefix."""
        prefix = "" if room == DEFAULT_ROOM else f"{ROOMS}/{room}/"
        return cls(
            Shelf(store, f"{prefix}machines", MachineRecord),
            Shelf(store, f"{prefix}networks", NetworkRecord),
            Shelf(store, f"{prefix}inserts", InsertRecord),
            Shelf(store, f"{prefix}volumes", VolumeRecord),
            Shelf(store, f"{prefix}pools", PoolRecord),
            Shelf(store, f"{prefix}copies", CopyRecord),
        )

    async def load(self) -> None:
        """Read what the store has."""
        for shelf in (self.machines, self.networks, self.inserts, self.volumes, self.pools, self.copies):
            await shelf.load()

    def copies_taken(self) -> set[str]:
        """Names of copies that machines have, by their records."""
        return {machine.held.copy_name for machine in self.machines if machine.held is not None}

    def machine_slots(self) -> list[int]:
        """Those that are taken: by machines, and by copies that will be some."""
        return [*(one.slot for one in self.machines), *(one.machine.slot for one in self.copies)]


@dataclass(frozen=True, slots=True)
class Site:
    """What a room is built on. Settings, facts, images, kernels, the ledger, the clock (seconds since the epoch) and
    the guest's init are those of the whole fabric, whose folder is `home`; everything else is the room's own.

    `block` is the number of its user ids' block; `receive` answers machines that call for the file tree.
    """

    room: str
    block: int
    home: Path
    layout: Layout
    settings: Settings
    facts: HostFacts
    namespace: Namespace
    links: Links
    cgroups: Cgroups
    images: ImageStore
    kernels: KernelStore
    shelves: Shelves
    events: RoomEvents
    clock: Callable[[], float]
    tasks: "Tasks"
    init: bytes
    ledger: HostLedger
    receive: "Receive"

    def service_doors(self) -> list[Path]:
        """Of the control group of name servers, uplink and forwarders, made if it is not there. Raises Unavailable.

        Machines make them work, so together they weigh as much as one machine, and not as much as the host's own work.
        """
        return self.cgroups.create(SERVICES, Limits(pids=SERVICE_PIDS)).doors

    def identity(self, number: int) -> Identity | None:
        """A user id for the `number`th thing of this room, where the daemon may give one away."""
        if os.geteuid() != 0:
            return None
        uid = self.settings.uid_base + self.block * UIDS_PER_ROOM + number
        groups = (KVM.stat().st_gid,) if self.facts.accel == "kvm" else ()
        return Identity(uid, uid, groups)


Receive = Callable[[socket.socket, Sequence[Visit]], Coroutine[Any, Any, None]]
"""Serves the file tree at a connection, as these parts of it, until the other end has gone."""


async def hang_up(_connection: socket.socket, _visits: Sequence[Visit]) -> None:
    """Where nobody serves the tree."""


def free_slot(slots: range, taken: Iterable[int], what: str) -> int:
    """The lowest slot nobody has. Raises NoRoom."""
    used = set(taken)
    for slot in slots:
        if slot not in used:
            return slot
    raise NoRoom(f"this room has {len(slots)} {what} already, and no room for more")


class Tasks:
    """Background work of a room: named, known, and cancelled with it. An error in one ends up in the log."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    @property
    def running(self) -> Set["asyncio.Task[Any]"]:
        """What has not ended."""
        return self._tasks

    async def cancel(self) -> None:
        """End them all and wait for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if task.cancelled() or (err := task.exception()) is None:
            return
        if isinstance(err, WeftError):
            log.warning("%s: %s", task.get_name(), err)
        else:
            log.error("%s failed", task.get_name(), exc_info=err)
