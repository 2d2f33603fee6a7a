"""Machines that bring their own system, while they run: nobody inside says that it is ready, or can be asked to end."""

from contextlib import suppress
from pathlib import Path

from weft.fabric.consoles import Consoles
from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.host.qemu import open_qmp
from weft.model.errors import Unavailable, WrongState

HALT = "fshalt"
"""What makes a Plan 9 machine write everything back and end."""


async def wait_running(qmp: Path, timeout: float) -> None:
    """Until a machine's processors run. Raises Unavailable."""
    monitor = await open_qmp(qmp, timeout=timeout)
    try:
        if (status := await monitor.status()) != "running":
            raise Unavailable(f"its QEMU is {status}")
    finally:
        await monitor.close()


async def wait_cause(events: Path, timeout: float) -> str:
    """How a machine ends, in the words of QEMU's `ShutdownCause`; empty: its QEMU went without a word, or is one that
    has no such socket.
    """
    with suppress(Unavailable):
        monitor = await open_qmp(events, timeout=timeout)
        try:
            return await monitor.wait_shutdown()
        finally:
            await monitor.close()
    return ""


def has_to_end(machine: MachineRecord) -> bool:
    """Whether something could be lost if it were just switched off, or somebody said how it is to end."""
    foreign = machine.spec.foreign
    return foreign is not None and (bool(foreign.writes) or foreign.end is not None)


async def ask_off(site: Site, consoles: Consoles, machine: MachineRecord) -> None:
    """Type what ends it, or press the power button."""
    foreign = machine.spec.foreign
    assert foreign is not None, "it is foreign"
    text = foreign.end or (HALT if foreign.plan9 is not None else None)
    with suppress(Unavailable, WrongState):  # it may have ended by itself just now
        if text is not None:
            await consoles.type_last_line(machine.name, text)
            return
        monitor = await open_qmp(site.layout.machine(machine.name).qmp)
        await monitor.powerdown()
        await monitor.close()
