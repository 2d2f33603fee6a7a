"""What every record is, and how one names a process."""

from typing import Any

from pydantic import BaseModel, ConfigDict

from weft.host.pids import ProcessId


class Record(BaseModel):
    """Base: frozen; `with_` makes the next version."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    def with_(self, **changes: Any) -> "Any":
        """A copy with some fields changed."""
        return self.model_copy(update=changes)


class Stamp(Record):
    """A process that cannot be mistaken for a later one with the same number."""

    pid: int
    start_time: int

    @classmethod
    def of(cls, process: ProcessId) -> "Stamp":
        return cls(pid=process.pid, start_time=process.start_time)

    @property
    def id(self) -> ProcessId:
        return ProcessId(self.pid, self.start_time)
