"""What programs in machines tell: the fabric's events of kind `machine.told`, so many and no more."""

from collections.abc import Callable

from weft.fabric.events import RoomEvents
from weft.fabric.records.machine import MachineRecord
from weft.guest.protocol import MachineEvent
from weft.plan.allowance import Allowance

BURST, PER_SECOND = 100, 10.0
"""A machine that tells more would drive everybody else's events out of the log."""


class Telling:
    """Passes on what machines tell, each within its allowance."""

    def __init__(self, events: RoomEvents, clock: Callable[[], float]) -> None:
        self._events = events
        self._clock = clock
        self._allowances: dict[str, Allowance] = {}
        self.listeners: list[Callable[[str, MachineEvent], None]] = []

    def on_event(self, name: str, event: MachineEvent) -> None:
        """A machine tells something. The machine is not trusted, so its text is made printable."""
        allowance = self._allowances.setdefault(name, Allowance(BURST, PER_SECOND))
        passed_over = allowance.passed_over
        if not allowance.take(self._clock()):
            return
        if passed_over:
            self._publish(name, "passed-over", f"{passed_over} events were too many")
        self._publish(name, event.kind, "".join(char if char.isprintable() else " " for char in event.text))
        for listener in self.listeners:
            listener(name, event)

    async def on_end(self, machine: MachineRecord) -> None:
        """Its run is over."""
        self._allowances.pop(machine.name, None)

    def _publish(self, name: str, what: str, text: str) -> None:
        self._events.publish("machine.told", name, f"{name}: {what}: {text}", what=what, said=text)
