"""What all controllers of a fabric share: adapters, shelves, settings, the clock."""

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from typing import Any

import asyncio

from weft.fabric.events import EventLog
from weft.fabric.layout import Layout
from weft.fabric.records import InsertRecord, MachineRecord, NetworkRecord, Shelf
from weft.host.cgroup import Cgroups
from weft.host.facts import HostFacts
from weft.host.namespace import Namespace
from weft.host.netlink import Links
from weft.image.store import ImageStore, KernelStore
from weft.settings import Settings


@dataclass(frozen=True, slots=True)
class Shelves:
    """Everything a fabric remembers."""

    machines: Shelf[MachineRecord]
    networks: Shelf[NetworkRecord]
    inserts: Shelf[InsertRecord]

    async def load(self) -> None:
        for shelf in (self.machines, self.networks, self.inserts):
            await shelf.load()


@dataclass(frozen=True, slots=True)
class Site:
    """Where a fabric is built. `clock` gives seconds since the epoch."""

    layout: Layout
    settings: Settings
    facts: HostFacts
    namespace: Namespace
    links: Links
    cgroups: Cgroups
    images: ImageStore
    kernels: KernelStore
    shelves: Shelves
    events: EventLog
    clock: Callable[[], float]
    tasks: "Tasks"


class Tasks:
    """Background work of a fabric: named, known, and cancelled with it. An error in one ends up in the log."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any], name: str) -> asyncio.Task[Any]:
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    async def cancel(self) -> None:
        """End them all and wait for it."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (err := task.exception()):
            asyncio.get_running_loop().call_exception_handler({"message": f"task {task.get_name()}", "exception": err})
