"""Processes on record: a small file tells the next daemon what an earlier one left running."""

import json
from pathlib import Path
from typing import Any

from weft.host.pids import ProcessId


def write_record(path: Path, process: ProcessId, **more: Any) -> None:
    """Put a process on record, in one step: a reader sees the old file or the new one."""
    fresh = path.with_suffix(".new")
    fresh.write_text(json.dumps({"pid": process.pid, "start_time": process.start_time, **more}))
    fresh.replace(path)


def find_record(path: Path) -> tuple[ProcessId, dict[str, Any]] | None:
    """The process on record and what else was written; None when there is no record or the process is gone."""
    found = read_record(path)
    return found if found and found[0].alive() else None


def read_record(path: Path) -> tuple[ProcessId, dict[str, Any]] | None:
    """The same, be the process there or not."""
    try:
        data = json.loads(path.read_text())
        return ProcessId(int(data["pid"]), int(data["start_time"])), data
    except (FileNotFoundError, ValueError, KeyError, TypeError):
        return None


def is_on_record(path: Path, process: ProcessId) -> bool:
    """Whether this process is the one on record, be it there or not."""
    found = read_record(path)
    return found is not None and found[0] == process


def is_of(path: Path, namespace: str) -> bool:
    """Whether the process on record lives in the namespace with this mark."""
    found = find_record(path)
    return found is not None and found[1].get("namespace") == namespace


def was_of(path: Path, namespace: str) -> bool:
    """Whether the process on record lived there and has ended."""
    found = read_record(path)
    return found is not None and found[1].get("namespace") == namespace and not found[0].alive()
