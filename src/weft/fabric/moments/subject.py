"""One machine of a capture: it is prepared, stands still, is taken, and goes on; or all of that is undone.

In which process it goes on is for `succession` and `holding` to say.
"""

import time
from abc import ABC, abstractmethod
from dataclasses import dataclass

from weft.fabric.moments.moment import Moment, Shape, shape_of
from weft.fabric.moments.receiver import Receiver, start_receiver
from weft.fabric.records.machine import CaptureRecord, MachineRecord
from weft.fabric.runs import Runs
from weft.fabric.site import Site
from weft.guest.agent import Agent
from weft.host.qemu import Qmp, open_qmp
from weft.model.errors import WeftError
from weft.plan.incoming import RunningCommand


@dataclass(slots=True)
class Captured:
    """A moment, for the caller to close. `pause`: seconds that the machine's programs stood still; 0: they do."""

    moment: Moment
    pause: float = 0.0


class Subject(ABC):
    """A machine that is captured; nobody stops it meanwhile. Each step raises WeftErrors."""

    slow_to_stand = False
    """Whether it runs on for long after it is told to stand still, so that others had better wait for it."""

    def __init__(self, site: Site, runs: Runs, machine: MachineRecord, running: RunningCommand) -> None:
        self.name = machine.name
        self.site = site
        self.runs = runs
        self.files = site.layout.machine(machine.name)
        self.pause = 0.0
        self._running = running
        self._shape: Shape = shape_of(site, machine).model_copy(update={"image": machine.booted})
        self._stood: float | None = None
        self.frozen: Agent | None = None

    @property
    def machine(self) -> MachineRecord:
        return self.site.shelves.machines.get(self.name)

    @abstractmethod
    async def prepare(self, *, go_on: bool) -> None:
        """Start what is needed, while the machine runs."""

    @abstractmethod
    async def stand(self) -> None:
        """Let the machine stand still."""

    @abstractmethod
    async def take(self) -> None:
        """Get what it is at that moment."""

    @abstractmethod
    async def go_on(self) -> None:
        """Let it go on."""

    @abstractmethod
    async def undo(self) -> None:
        """Whatever has happened, let it go on, and end what was started."""

    @abstractmethod
    async def finish(self) -> Captured:
        """End what is not needed any more, and say what was captured."""

    async def freeze(self) -> None:
        """Have the init stop all programs of the machine; where it does not do so, they are captured as they run."""
        self._stood = time.monotonic()
        agent, why = self.runs.find_agent(self.name), "its agent does not answer"
        if agent is not None:
            try:
                await agent.freeze()
            except WeftError as err:
                why = err.message
            else:
                self.frozen = agent
                return
        text = f"programs of {self.name} were captured while they ran: {why}"
        self.site.events.publish("machine.unfrozen", self.name, text)

    async def thaw(self) -> bool:
        """Let the programs go on, if they are frozen. False: the agent is silent; a new conversation will thaw them."""
        agent, self.frozen = self.frozen, None
        if agent is None:
            return True
        try:
            await agent.thaw()
        except WeftError:
            return False
        return True

    def note_going(self) -> None:
        if self._stood is not None:
            self.pause, self._stood = time.monotonic() - self._stood, None

    async def note(self, capture: CaptureRecord | None, **changes: object) -> None:
        """Put on record what is to be done if the daemon dies now."""
        shelf = self.site.shelves.machines
        machine = shelf.find(self.name)
        if machine is not None and machine.state.is_live:  # else it has ended, and all that is settled
            await shelf.save(machine.with_(capture=capture, **changes))

    async def open_monitor(self) -> Qmp:
        return await open_qmp(self.files.qmp)

    async def start_receiver(self, *, hold: bool) -> Receiver:
        return await start_receiver(self.site, self.machine, self._running, hold=hold)

    def captured(self, memory: int, device: bytes) -> Captured:
        return Captured(Moment(self._shape, memory, device), self.pause)
