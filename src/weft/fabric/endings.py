"""The end of a machine's run: what it says, and what is left of it on the host."""

import asyncio
import shutil
import signal

from weft.fabric.layout import MachineFiles
from weft.fabric.logs import read_tail
from weft.fabric.records.machine import MachineRecord
from weft.guest.protocol import EntryStatus, ExitStatus
from weft.host.cgroup import Cgroup
from weft.host.drafts import draft_of
from weft.host.pids import ProcessId
from weft.model.errors import Unavailable, WrongState
from weft.model.machine import Exit, State

GROUP_TRIES, GROUP_PAUSE = 200, 0.01
POWERED_OFF = "powered off"
REBOOTED = "rebooted"
STOPPED_BY_US = "stopped"
_ENDS = {"guest-reset": REBOOTED, "host-signal": "its QEMU was ended by a signal"}
"""By the causes of which QEMU's exit status says nothing."""
UNSEEN = "it ended while no daemon was running"
PANIC = b"Kernel panic - not syncing"
NO_MEMORY = (b"Out of memory", b"deadlocked on memory")
"""What the kernel says in its last words when it panics for want of memory."""


def entry_exit(entry: EntryStatus, last: ExitStatus) -> Exit:
    """How a machine ends whose entry point has ended for good."""
    oom = entry.oom_kills > 0 and last.signal == signal.SIGKILL
    reason = "entry point was killed: the machine is out of memory" if oom else "entry point ended"
    if entry.reason:
        reason = f"entry point could not be started: {entry.reason}"
    return Exit(code=last.code, signal=last.signal, reason=reason, oom=oom)


def end_of_run(machine: MachineRecord, exit: Exit) -> MachineRecord:
    """What is on record of a machine whose run is over, or never came to be."""
    asked = machine.state is State.STOPPING
    clean = asked or exit.code is not None or exit.reason in (POWERED_OFF, REBOOTED)
    gone: dict[str, object] = {"monitor": None, "qemu": None, "servers": (), "capture": None}
    gone |= {"held": None, "group": "", "suspending": False, "resuming": False}
    if machine.suspending or (machine.resuming and not asked):
        reason = "" if machine.suspending else exit.reason
        ended: MachineRecord = machine.with_(state=State.SUSPENDED, reason=reason, exit=None, **gone)
    else:
        ended = machine.with_(state=State.STOPPED if clean else State.FAILED, reason=exit.reason, exit=exit, **gone)
    return ended


def exit_of(machine: MachineRecord, status: int | None, log: bytes, cause: str) -> Exit:
    """What the end of a machine's process says. After a restart of the daemon its status is nobody's to know.

    `cause` is what QEMU said of it as `ShutdownCause`, if somebody heard it.
    """
    if machine.state is State.STOPPING:
        return Exit(reason=STOPPED_BY_US)
    if PANIC in log:  # the kernel then resets the machine, which to QEMU is an end like any other
        last_words = log[log.rindex(PANIC) :]
        oom = any(words in last_words for words in NO_MEMORY)
        return Exit(reason="its kernel panicked" + ": out of memory" * oom, oom=oom)
    if status == 0 or status is None:
        return Exit(reason=_ENDS.get(cause, POWERED_OFF))
    return Exit(reason=f"QEMU ended with status {status}")


def leftovers(machine: MachineRecord, pids: list[int]) -> list[ProcessId]:
    """QEMU, when only the monitor around it was killed, file servers, and what else is in the machine's control group.

    A file server ends with QEMU's end of its socket, but nobody waits for that.
    """
    found = [ProcessId.find(pid) for pid in pids]
    servers = [process for server in machine.servers for process in (*server.id.children(), server.id)]
    return [process for process in (machine.qemu and machine.qemu.id, *servers, *found) if process and process.alive()]


def processes_of(machine: MachineRecord) -> list[ProcessId]:
    """QEMU first, then the monitor around it, which ends by itself when QEMU has."""
    if machine.monitor is None:
        return []
    return [*machine.monitor.id.children(), machine.monitor.id]


def explain_unready(machine: MachineRecord, files: MachineFiles, what: str) -> Unavailable:
    """What whoever waits for a machine is told, with what it and its QEMU said last."""
    detail = read_tail(files.log) + read_tail(files.errors)
    return Unavailable(f"machine {machine.name!r} {what}", detail=detail.decode(errors="replace") or None)


async def remove_group(group: Cgroup) -> None:
    """A process that has just ended stays in its group for a moment longer."""
    for tries_left in reversed(range(GROUP_TRIES)):
        try:
            group.remove()
            break
        except WrongState:
            if not tries_left:
                raise
            await asyncio.sleep(GROUP_PAUSE)


def remove_moment(files: MachineFiles) -> None:
    """What a machine was suspended with, whole or not."""
    for folder in (files.moment, draft_of(files.moment)):
        shutil.rmtree(folder, ignore_errors=True)


def remove_sockets(files: MachineFiles) -> None:
    for path in (files.qmp, files.serial, files.events, files.agent):
        path.unlink(missing_ok=True)
