"""What others want to be told, or are asked, in the course of a machine's life."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from weft.fabric.moments.moment import Moment
from weft.fabric.records.machine import MachineRecord
from weft.guest.agent import Agent
from weft.guest.protocol import MachineEvent
from weft.model.errors import Invalid, NotFound

Hook = Callable[[MachineRecord], Awaitable[None]]


async def _find_none(_machine: MachineRecord) -> None:
    """There are no templates."""


async def _find_nothing(machine: MachineRecord) -> Moment:
    raise NotFound(f"machine {machine.name!r} is suspended, and nothing of it is there")


async def _refuse_commit(_name: str, _text: str) -> None:
    raise Invalid("nothing of this machine is kept")


@dataclass(slots=True)
class Hooks:
    """Of all machines of a room. Those in lists are awaited one after the other, in order."""

    find_template: Callable[[MachineRecord], Awaitable[Moment | None]] = _find_none
    """What a machine that is started goes on from when nothing else was said; who starts it does not close it."""
    on_bad_template: Callable[[MachineRecord, str], None] = lambda _machine, _reason: None
    """A machine could not go on from its template, and is booted instead."""
    load_suspended: Callable[[MachineRecord], Awaitable[Moment]] = _find_nothing
    """What a machine that is suspended goes on from."""
    before_start: list[Hook] = field(default_factory=list)
    """A machine is about to be started; who cannot do his part of it raises a WeftError, and it is not."""
    on_begin: list[Hook] = field(default_factory=list)
    """A machine's QEMU runs, and nobody has talked to its agent yet; told again after an adoption."""
    before_ready: list[Callable[[MachineRecord, Agent], Awaitable[None]]] = field(default_factory=list)
    """A machine that has just been started answers, and nobody has been told of it."""
    on_ready: list[Hook] = field(default_factory=list)
    on_moved: list[Hook] = field(default_factory=list)
    """Told when a machine goes on in another process than before."""
    on_tidy: list[Hook] = field(default_factory=list)
    """A run is over, or never came to be: what it had on the host is taken away."""
    on_end: list[Hook] = field(default_factory=list)
    on_commit: Callable[[str, str], Awaitable[None]] = _refuse_commit
    """A machine wants settings of its own kept: its name, and what its agent says."""
    on_event: Callable[[str, MachineEvent], None] = lambda _name, _event: None
