"""What planning a room works with: the room as it is, what is wanted of it, and the plan in the making. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from weft.model.fabric_file import RoomFile
from weft.model.steps import Kind, Verb
from weft.plan.changes.draft import Draft
from weft.plan.changes.named import Named
from weft.plan.changes.settle import Image, want_nics
from weft.plan.changes.state import MachineNow, RoomNow
from weft.plan.fabric_file.scene import Scene

UNNAMED = "the file does not name it any more"
"""Why something goes."""


class Volumes(StrEnum):
    """Which volumes go that are named no more: those that had an entry of their own, all, or none."""

    DESCRIBED = "described"
    ALL = "all"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Wishes:
    """What is wanted besides the file: images built and pulled anew, and machines started on what they are now."""

    build: bool = False
    pull: bool = False
    renew: bool = False
    volumes: Volumes = Volumes.DESCRIBED


@dataclass(slots=True)
class Run:
    """The steps of one machine, by their keys.

    `begin` is the first, `let_go` the one after which it has nothing any more that it is not to have, `enter` the one
    with which it has all that it is to have, `start` one that does nothing but start it, `settings` the one
    that saves its settings, `end` the last.
    """

    begin: str | None = None
    let_go: str | None = None
    enter: str | None = None
    start: str | None = None
    settings: str | None = None
    end: str | None = None


@dataclass
class Work:
    """A room under planning."""

    now: RoomNow
    scene: Scene
    once: Named
    wishes: Wishes
    draft: Draft
    images: Mapping[str, str]
    """Images by name: the steps that make them."""
    notes: list[str]
    runs: dict[str, Run] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The room's."""
        return self.scene.name

    @property
    def file(self) -> RoomFile:
        """What is wanted."""
        return self.scene.room

    @cached_property
    def going(self) -> list[str]:
        """Machines that a file named once, and no more."""
        return [name for name in self.now.machines if name in self.once.machines and name not in self.file.machines]

    @cached_property
    def strangers(self) -> list[str]:
        """Machines that no file ever named."""
        named = {*self.once.machines, *self.file.machines}
        return [name for name in self.now.machines if name not in named]

    def add(self, kind: Kind, name: str, verb: Verb, mark: str = "", **rest: Any) -> str:
        """Another step in this room."""
        return self.draft.add(self.name, kind, name, verb, mark, **rest)

    def note(self, text: str) -> None:
        """Tell of something that stays as it is."""
        self.notes.append(f"{self.name}: {text}")

    def find_image(self, name: str) -> Image:
        """The image of a machine that the file names, as it is to be."""
        return self.scene.find_image(self.file.machines[name])

    def networks_of(self, name: str) -> set[str]:
        """The networks that a machine is on now."""
        machine = self.now.machines[name]
        known = {nic.network for nic in machine.nics} | {nic.network for nic in self._nics(machine)}
        return {network for network in known if network}

    def _nics(self, machine: MachineNow) -> Iterator[Any]:
        yield from want_nics(machine.spec, self.scene.knowledge.find_image(machine.spec.image)) or ()

    def members(self, network: str) -> list[str]:
        """Machines that are on a network now."""
        return [name for name in self.now.machines if network in self.networks_of(name)]
