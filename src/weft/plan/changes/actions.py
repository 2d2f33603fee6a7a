"""What a plan consists of: actions with a reason, what has to be done before, and what they disturb."""

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, ClassVar

from weft.model.insert import FailPolicy, InsertSpec
from weft.model.machine import MachineSpec
from weft.model.network import NetworkSpec
from weft.model.room import RoomSpec
from weft.model.volume import VolumeSpec


class Effect(StrEnum):
    """What an action does to what is there: nothing, a change while it runs, a pause, or its end."""

    ADDS = "adds"
    LIVE = "live"
    RESTARTS = "restarts"
    REMOVES = "removes"


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One step. `reason` is for people, in a few words. `needs` are the keys of steps to be done before it."""

    verb: ClassVar[str] = ""
    what: ClassVar[str] = ""
    effect: ClassVar[Effect] = Effect.ADDS

    room: str
    name: str
    reason: str = ""
    needs: frozenset[str] = field(default=frozenset())

    @property
    def key(self) -> str:
        """What it is called in `needs`: `acme/create machine web`."""
        return f"{self.room}/{self.verb} {self.what} {self.name}"

    def __str__(self) -> str:
        """`restart machine web: memory 64M → 128M`."""
        return f"{self.verb} {self.what} {self.name}" + (f": {self.reason}" if self.reason else "")


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateRoom(Action):
    verb, what = "create", "room"
    spec: RoomSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class DescribeRoom(Action):
    verb, what, effect = "describe", "room", Effect.LIVE
    description: str


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateVolume(Action):
    verb, what = "create", "volume"
    spec: VolumeSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class GrowVolume(Action):
    """No machine that has it may run: those that do are stopped before and started after, by actions of their own."""

    verb, what, effect = "grow", "volume", Effect.LIVE
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateNetwork(Action):
    verb, what = "create", "network"
    spec: NetworkSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveNetwork(Action):
    verb, what, effect = "remove", "network", Effect.REMOVES


@dataclass(frozen=True, slots=True, kw_only=True)
class CreateMachine(Action):
    """Make a machine with these settings; start it unless it is to be stopped. Done when it is ready."""

    verb, what = "create", "machine"
    spec: MachineSpec
    settings: dict[str, Any] = field(default_factory=dict)
    start: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class StartMachine(Action):
    verb, what = "start", "machine"


@dataclass(frozen=True, slots=True, kw_only=True)
class StopMachine(Action):
    verb, what, effect = "stop", "machine", Effect.RESTARTS


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeMachine(Action):
    """Give a machine another spec without a restart: what changes is live, or it does not run."""

    verb, what, effect = "change", "machine", Effect.LIVE
    spec: MachineSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RestartMachine(Action):
    """Give a machine another spec, or the same one, and start it again with that."""

    verb, what, effect = "restart", "machine", Effect.RESTARTS
    spec: MachineSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoveMachine(Action):
    verb, what, effect = "remove", "machine", Effect.REMOVES


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeSettings(Action):
    """Change an appliance's settings, live if it runs: these values, and defaults for those to unset."""

    verb, what, effect = "configure", "machine", Effect.LIVE
    values: dict[str, Any] = field(default_factory=dict)
    unset: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Insert(Action):
    """Put an insert in. `stands_for` is its name in the file, which it does not have if another had it."""

    verb, what = "insert", "appliance"
    spec: InsertSpec
    stands_for: str


@dataclass(frozen=True, slots=True, kw_only=True)
class ChangeInsert(Action):
    verb, what, effect = "change", "insert", Effect.LIVE
    fail: FailPolicy | None = None
    lifetime: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MoveInsert(Action):
    """Take an insert out and put its machine in again elsewhere, at once."""

    verb, what, effect = "move", "insert", Effect.LIVE
    before: str
    position: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Eject(Action):
    verb, what, effect = "eject", "insert", Effect.REMOVES


@dataclass(frozen=True, slots=True)
class Plan:
    """All actions in an order in which they could be done one by one, and what is worth a word.

    `left` is what no file has named: it stays.
    """

    actions: tuple[Action, ...] = ()
    left: tuple[str, ...] = ()

    @property
    def steps(self) -> dict[str, frozenset[str]]:
        """What each action needs, by key."""
        return {action.key: action.needs for action in self.actions}

    @property
    def asks(self) -> tuple[Action, ...]:
        """What interrupts or ends something that is there, and so is worth a question."""
        return tuple(action for action in self.actions if action.effect in (Effect.RESTARTS, Effect.REMOVES))
