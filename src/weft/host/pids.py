"""Processes by identity: a pid alone may be anybody's by tomorrow, a pid with its start time may not.

A process is watched through a pidfd, so that its end reaches the event loop at once, whether it is our child or a
survivor of an earlier daemon. Whoever is our child is reaped by its watch.
"""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from weft.model.errors import Internal

_CHILDREN: dict["ProcessId", "ExitWatch"] = {}
"""The watches of our living children: a child can be reaped once, so all who ask share one watch."""


@dataclass(frozen=True, slots=True)
class ProcessId:
    """One process of this boot: `start_time` is in clock ticks since boot, field 22 of /proc/PID/stat."""

    pid: int
    start_time: int

    @classmethod
    def find(cls, pid: int) -> Self | None:
        """The process that has this pid now."""
        stat = _find_stat(pid)
        return cls(pid, int(stat[19])) if stat else None

    def alive(self) -> bool:
        """Whether it still runs; a zombie does not."""
        return self._state() not in ("", "Z", "X")

    def is_stopped(self) -> bool:
        """Whether it was halted by SIGSTOP or a debugger: alive, yet it will never answer."""
        return self._state() in ("T", "t")

    def children(self) -> list["ProcessId"]:
        """Its living children, oldest first."""
        if not self.alive():
            return []
        found = (ProcessId.find(pid) for pid in _list_children(self.pid))
        return [child for child in found if child and child.alive()]

    def send(self, number: signal.Signals) -> bool:
        """Send a signal to this very process. False when it is gone."""
        pidfd = _find_pidfd(self)
        if pidfd is None:
            return False
        try:
            signal.pidfd_send_signal(pidfd, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(pidfd)
        return True

    def _state(self) -> str:
        stat = _find_stat(self.pid)
        return stat[0] if stat and int(stat[19]) == self.start_time else ""


class ExitWatch:
    """Waits for the end of one process. Made by `watch_exit`; may be asked by many at once."""

    def __init__(self, process: ProcessId, pidfd: int | None) -> None:
        self.process = process
        self._pidfd = pidfd
        self._loop = asyncio.get_running_loop()
        self._ended: asyncio.Future[int | None] = self._loop.create_future()
        if pidfd is None:
            self._ended.set_result(None)
        else:
            self._loop.add_reader(pidfd, self._on_exit, pidfd)

    @property
    def done(self) -> bool:
        return self._ended.done()

    async def wait(self) -> int | None:
        """The exit status of a child (negative: the signal that ended it); None for any other process."""
        return await asyncio.shield(self._ended)

    def on_exit(self, callback: Callable[[int | None], None]) -> None:
        """Call back in the loop's next round after the end; at once when it has ended already."""
        self._ended.add_done_callback(lambda ended: None if ended.cancelled() else callback(ended.result()))

    def close(self) -> None:
        """Stop watching; whoever waits is cancelled."""
        self._forget()
        self._ended.cancel()

    def _on_exit(self, pidfd: int) -> None:
        status = _reap(pidfd)
        self._forget()
        if not self._ended.done():
            self._ended.set_result(status)

    def _forget(self) -> None:
        if self._pidfd is not None:
            self._loop.remove_reader(self._pidfd)
            os.close(self._pidfd)
            self._pidfd = None
        if _CHILDREN.get(self.process) is self:
            del _CHILDREN[self.process]


def watch_exit(process: ProcessId) -> ExitWatch:
    """Watch a process; one that is gone already counts as ended. Needs a running loop."""
    return _CHILDREN.get(process) or ExitWatch(process, _find_pidfd(process))


def watch_child(process: ProcessId) -> ExitWatch:
    """Watch our own child and reap it when it ends, whether or not anybody waits for it."""
    watch = ExitWatch(process, _find_pidfd(process))
    if not watch.done:
        _CHILDREN[process] = watch
    return watch


async def stop_processes(
    processes: Iterable[ProcessId],
    *,
    ask: Callable[[], Awaitable[None]] | None = None,
    ask_for: float = 5.0,
    term_for: float = 2.0,
    kill_for: float = 5.0,
) -> None:
    """End processes by a ladder: ask, SIGTERM, SIGKILL; each rung waits that many seconds for all of them.

    Returns when all are gone, which is verified. A cancelled caller still gets them killed and waited for.
    Raises Internal when something outlives SIGKILL.
    """
    watches = [watch_exit(process) for process in processes]
    try:
        await _climb_down(watches, ask, ask_for, term_for)
    finally:
        _send_all(watches, signal.SIGKILL)
        await asyncio.shield(_wait_all(watches, kill_for))
        left = [str(watch.process.pid) for watch in watches if not watch.done]
        for watch in watches:
            watch.close()
    if left:
        raise Internal(f"processes {', '.join(left)} outlive SIGKILL", hint="they may hang in the kernel")


async def _climb_down(
    watches: list[ExitWatch], ask: Callable[[], Awaitable[None]] | None, ask_for: float, term_for: float
) -> None:
    if ask is not None and not all(watch.done for watch in watches):
        try:
            async with asyncio.timeout(ask_for):
                await ask()
                await _wait_all(watches, ask_for)
        except TimeoutError:
            pass
    _send_all(watches, signal.SIGTERM)
    _send_all(watches, signal.SIGCONT)  # a stopped process takes SIGTERM only when it continues
    await _wait_all(watches, term_for)


def _send_all(watches: list[ExitWatch], number: signal.Signals) -> None:
    for watch in watches:
        if not watch.done:
            watch.process.send(number)


async def _wait_all(watches: list[ExitWatch], seconds: float) -> None:
    waiting = [asyncio.ensure_future(watch.wait()) for watch in watches if not watch.done]
    if waiting:
        _, pending = await asyncio.wait(waiting, timeout=seconds)
        for task in pending:
            task.cancel()


def _reap(pidfd: int) -> int | None:
    try:
        result = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)
    except ChildProcessError:
        return None
    if result is None:
        return None
    return result.si_status if result.si_code == os.CLD_EXITED else -result.si_status


def _find_pidfd(process: ProcessId) -> int | None:
    try:
        pidfd = os.pidfd_open(process.pid)
    except ProcessLookupError:
        return None
    if ProcessId.find(process.pid) == process:  # the pid may have been reused before the pidfd pinned it
        return pidfd
    os.close(pidfd)
    return None


def _find_stat(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the third, the state, on: the second may hold any character."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text(errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return None
    return text[text.rindex(")") + 2 :].split()


def _list_children(pid: int) -> list[int]:
    try:
        lists = [task.joinpath("children").read_text() for task in Path(f"/proc/{pid}/task").iterdir()]
    except (FileNotFoundError, ProcessLookupError):
        return _scan_children(pid)  # the process ended just now, or the kernel lacks CONFIG_PROC_CHILDREN
    return sorted(int(child) for text in lists for child in text.split())


def _scan_children(parent: int) -> list[int]:
    pids = (int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdecimal())
    return sorted(pid for pid in pids if (stat := _find_stat(pid)) and int(stat[1]) == parent)
