"""Programs in walls that outlive the daemon, by their records: found again, watched, and ended whole."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from weft.host.pids import ProcessId, stop_processes, watch_exit
from weft.host.records import find_record, is_on_record, read_record, write_record

_POLL = 0.01


@dataclass(frozen=True, slots=True)
class Servant:
    """A running server or porter. `process` is the wall's watcher, the program its one child."""

    process: ProcessId
    record: Path

    @property
    def on_record(self) -> bool:
        """Whether it still is what is on record, be it there or not."""
        return is_on_record(self.record, self.process)

    async def wait_end(self) -> None:
        """Until the watcher has ended. The program, which outlives one that is killed, is on record meanwhile."""
        await self._note_program()
        await watch_exit(self.process).wait()

    async def _note_program(self) -> None:
        while self.process.alive() and (found := read_record(self.record)):
            if "program" in found[1]:
                return
            if children := self.process.children():
                program = [children[0].pid, children[0].start_time]
                write_record(self.record, self.process, **_rest(found[1]), program=program)
                return
            await asyncio.sleep(_POLL)


def find_servant(record: Path) -> Servant | None:
    """The living one on record."""
    found = find_record(record)
    return Servant(found[0], record) if found else None


async def end_servant(record: Path, *, patience: float = 0.0) -> None:
    """Have what is on record end, within so many seconds by itself: the watcher, and the program without one."""
    if (found := read_record(record)) is None:
        return
    watcher, data = found
    programs = [ProcessId(*data["program"])] if "program" in data else []
    living = [process for process in {*watcher.children(), *programs, watcher} if process.alive()]
    await stop_processes(living, term_for=patience)
    record.unlink(missing_ok=True)


def _rest(data: dict[str, Any]) -> dict[str, Any]:
    """What is on record beside the process itself."""
    return {key: value for key, value in data.items() if key not in ("pid", "start_time")}
