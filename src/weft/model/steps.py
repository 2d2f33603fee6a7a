"""What leads from rooms as they are to what a fabric file says: steps, why each is taken, and what became of them."""

from enum import StrEnum
from typing import Any

from pydantic import BaseModel, Field

from weft.model.insert import InsertSpec
from weft.model.machine import MachineSpec, Spec
from weft.model.network import NetworkSpec
from weft.model.pool import PoolSpec
from weft.model.room import RoomSpec
from weft.model.volume import VolumeSpec


class Kind(StrEnum):
    """What a step is about. Images are the fabric's: their steps have no room."""

    ROOM = "room"
    IMAGE = "image"
    VOLUME = "volume"
    NETWORK = "network"
    MACHINE = "machine"
    INSERT = "insert"
    POOL = "pool"


class Verb(StrEnum):
    """What a step does. `configure` changes settings of an appliance; `recreate` is for what cannot be changed.

    A machine is changed between two runs where it must be: it runs after as it did before. To `start` an insert is to
    start its machine, whatever state that is in.
    """

    BUILD = "build"
    PULL = "pull"
    CREATE = "create"
    CHANGE = "change"
    CONFIGURE = "configure"
    RECREATE = "recreate"
    START = "start"
    STOP = "stop"
    REMOVE = "remove"


class Step(Spec):
    """One step of a plan. `why`: a line for each reason. `after`: keys of steps that have to be done before it.

    `spec`, `settings` and `recipe` are what is to be; a machine that is created is started, unless `start` is False.
    `settings` are all that are to be saved: those that are now and not in it are unset.
    """

    key: str = Field(description="unique in its plan, like `acme/machine/web/create`")
    room: str
    kind: Kind
    name: str = Field(description="an insert's own, which after a replacement is not that in the file")
    verb: Verb
    stands_for: str | None = Field(default=None, description="an insert's name in the file, if its own is another")
    why: tuple[str, ...] = ()
    restarts: tuple[str, ...] = Field(default=(), description="machines of the room that it stops and starts")
    loses: tuple[str, ...] = Field(default=(), description="what is lost for good by it, like what is on a volume")
    after: tuple[str, ...] = ()
    spec: RoomSpec | NetworkSpec | VolumeSpec | MachineSpec | InsertSpec | PoolSpec | None = Field(
        default=None, exclude=True
    )
    settings: dict[str, Any] | None = Field(default=None, exclude=True, description="None: they stay as they are")
    recipe: str | None = Field(default=None, description="the folder of what is built")
    start: bool = True


class Plan(Spec):
    """All steps, in an order in which they could be taken one by one."""

    file: str | None = None
    rooms: tuple[str, ...] = ()
    steps: tuple[Step, ...] = ()
    notes: tuple[str, ...] = Field(default=(), description="what stays as it is, though somebody may expect otherwise")

    @property
    def restarts(self) -> tuple[tuple[str, str], ...]:
        """Rooms and machines that are stopped and started."""
        return tuple((step.room, name) for step in self.steps for name in step.restarts)

    @property
    def losses(self) -> tuple[str, ...]:
        """What is lost for good."""
        return tuple(loss for step in self.steps for loss in step.loses)


class Progress(StrEnum):
    """What became of a step. `skipped`: something that it depends on failed, or nothing more was to be begun."""

    BEGUN = "begun"
    DONE = "done"
    FAILED = "failed"
    SKIPPED = "skipped"


class StepReport(BaseModel):
    """A step, and how it ended."""

    step: Step
    progress: Progress
    seconds: float | None = Field(default=None, description="how long it took")
    error: dict[str, str | None] | None = Field(default=None, description="as the API tells errors")


class ApplyReport(BaseModel):
    """What carrying out a plan came to. `stopped`: somebody ended it before its end."""

    file: str | None = None
    steps: list[StepReport] = Field(default_factory=list)
    stopped: bool = False
    seconds: float

    @property
    def failed(self) -> list[StepReport]:
        """Steps that failed."""
        return [report for report in self.steps if report.progress is Progress.FAILED]
