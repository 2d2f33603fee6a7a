"""Whether processors can be hot-plugged here: what a trial has found out, kept for what it was made with.

QEMU 7.2, when it emulates processors, dies when it adds one after it has removed one. Nobody is to find that out with a
machine that is needed.
"""

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from weft.host.facts import HostFacts

_FILE, _LOCK = "hotplug.json", "hotplug.lock"


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether they came, went, and came again; and what happened else."""

    works: bool
    reason: str = ""


class Verdicts:
    """Those of one host's QEMU and accelerator, by digests of kernels, in `run_dir`."""

    def __init__(self, run_dir: Path, facts: HostFacts) -> None:
        self._file, self._lock = run_dir / _FILE, run_dir / _LOCK
        self._facts = facts

    def find(self, kernel: str) -> Verdict | None:
        """None: it has not been tried."""
        return self.all().get(kernel)

    def all(self) -> dict[str, Verdict]:
        """All that hold for what is installed now."""
        try:
            kept = json.loads(self._file.read_text())
            if kept["of"] != self._describe():
                return {}
            return {kernel: Verdict(bool(one["works"]), str(one["reason"])) for kernel, one in kept["kernels"].items()}
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return {}  # never written, or not by us

    def keep(self, kernel: str, verdict: Verdict) -> None:
        """What was found out, in one step: a reader sees the old file or the new one."""
        verdicts = self.all() | {kernel: verdict}
        kept: dict[str, Any] = {"of": self._describe(), "kernels": {key: asdict(one) for key, one in verdicts.items()}}
        fresh = self._file.with_suffix(".new")
        fresh.write_text(json.dumps(kept))
        fresh.replace(self._file)

    @contextmanager
    def trying(self) -> Iterator[bool]:
        """Whether nobody else tries it out meanwhile; who gets False is not to."""
        with self._lock.open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                yield False
            else:
                yield True

    def _describe(self) -> str:
        """Another build of the same version is another QEMU, and the host's kernel has its part in it."""
        facts, version = self._facts, ".".join(map(str, self._facts.qemu_version))
        try:
            built = Path(facts.qemu).stat()
        except OSError:
            return ""
        return f"{facts.qemu} {version} {built.st_size} {built.st_mtime_ns} {facts.accel} {os.uname().release}"
