"""A room as it is, as far as plans need to know it: what was asked for, what was given, and what runs."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address
from typing import Any

from weft.model.insert import InsertSpec, InsertState
from weft.model.machine import MachineSpec, State
from weft.model.network import NetworkSpec
from weft.model.pool import PoolSpec
from weft.model.room import Isolation, RoomResources, RoomSpec
from weft.model.volume import VolumeSpec


@dataclass(frozen=True, slots=True)
class GivenNic:
    """What a NIC has been given."""

    network: str | None
    mac: str
    address: IPv4Address | None = None
    address6: IPv6Address | None = None


@dataclass(frozen=True, slots=True)
class MachineNow:
    """A machine. `spec` is the one on record. `settings` are those saved as somebody's choice, without defaults.

    `outdated`: it runs on an image that has been built or pulled anew since it started.
    """

    spec: MachineSpec
    state: State
    nics: tuple[GivenNic, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict)
    outdated: bool = False


@dataclass(frozen=True, slots=True)
class InsertNow:
    """An insert. `stands_for` is its name in the file: after a replacement its own is another.

    `spec.settings` is what it was put in with; `settings` are those that are saved now.
    """

    spec: InsertSpec
    state: InsertState = InsertState.ACTIVE
    settings: Mapping[str, Any] = field(default_factory=dict)
    stands_for: str = ""

    @property
    def logical(self) -> str:
        """The name that a file knows it by."""
        return self.stands_for or self.spec.name


@dataclass(frozen=True, slots=True)
class RoomNow:
    """A room. Machines of inserts are not among `machines`; `inserts` are in the order of their chains."""

    name: str
    exists: bool = True
    description: str = ""
    isolation: Isolation = Isolation.NORMAL
    resources: RoomResources = field(default_factory=RoomResources)
    networks: Mapping[str, NetworkSpec] = field(default_factory=dict)
    machines: Mapping[str, MachineNow] = field(default_factory=dict)
    inserts: Mapping[str, InsertNow] = field(default_factory=dict)
    volumes: Mapping[str, VolumeSpec] = field(default_factory=dict)
    pools: Mapping[str, PoolSpec] = field(default_factory=dict)

    @property
    def spec(self) -> RoomSpec:
        """What was asked for, of the room itself."""
        same = {key: getattr(self, key) for key in ("name", "description", "isolation", "resources")}
        return RoomSpec(**same)
