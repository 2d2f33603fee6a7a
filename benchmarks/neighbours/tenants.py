"""Three tenants of one host: one writes, one forks, one does its work. As processes in control groups, or as machines.

Both have the same limits of processor and memory, the same program, and files on the same disk.
"""

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

from benchmarks.harness.fabric import PATIENCE, BenchFabric, execute
from weft.fabric.latching import IO_CPUS, PIDS
from weft.host.cgroup import Cgroup, CgroupMode, Limits, find_cgroups
from weft.settings import load_settings

SOURCE = Path(__file__).parents[1] / "harness" / "neighbour.c"
MEMORY = 128 << 20
DIRTY_MIB = 640
"""Twice what the writer's control group may have in memory, so that it cannot keep it all."""
WORKER, WRITER, FORKER = "worker", "writer", "forker"


def make_program(folder: Path) -> Path:
    """The program of all of them, static."""
    tool = folder / "neighbour"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", tool, SOURCE], check=True)
    return tool


class Tenants(Protocol):
    """The three of one kind."""

    def turns(self, count: int) -> list[float]:
        """Milliseconds in which the worker has its program paged in and run, each time."""

    def disturb(self, *neighbours: str) -> None:
        """WRITER, FORKER or both begin."""

    def calm(self) -> None:
        """They end, if they have begun."""


class Processes:
    """Processes in control groups of one kernel."""

    def __init__(self, tool: Path, folder: Path, groups: dict[str, Cgroup]) -> None:
        self._tool, self._groups = str(tool), groups
        self._program, self._stop, self._file = (str(folder / name) for name in ("program", "stop", "dirty"))
        Path(self._program).write_bytes(tool.read_bytes())
        Path(self._program).chmod(0o755)
        self._running: list[subprocess.Popen[bytes]] = []

    def turns(self, count: int) -> list[float]:
        process = self._start(WORKER, "turns", self._program, str(count))
        said, _ = process.communicate(timeout=PATIENCE * 5)
        return parse_turns(said.decode(), count)

    def disturb(self, *neighbours: str) -> None:
        Path(self._stop).unlink(missing_ok=True)
        words = {WRITER: ("dirty", self._file, str(DIRTY_MIB), self._stop), FORKER: ("fork", self._stop)}
        self._running = [self._start(name, *words[name]) for name in neighbours]

    def calm(self) -> None:
        Path(self._stop).touch()
        while self._running:
            if status := self._running.pop().wait(PATIENCE):
                raise RuntimeError(f"a neighbour ended with {status}")

    def _start(self, tenant: str, *words: str) -> "subprocess.Popen[bytes]":
        """It goes into its group by itself, before it is the program."""
        doors = [str(door) for door in self._groups[tenant].doors]
        enter = 'while [ "$1" != -- ]; do echo 0 >"$1" || exit; shift; done; shift; exec "$@"'
        argv = ["sh", "-c", enter, "sh", *doors, "--", self._tool, *words]
        return subprocess.Popen(argv, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)


class Machines:
    """The same as machines of a fabric, with volumes for their files."""

    def __init__(self, fabric: BenchFabric, tool: Path) -> None:
        self._fabric = fabric
        self._disturbing: list[str] = []
        for name in (WORKER, WRITER, FORKER):
            mount = {"kind": "volume", "source": name, "target": "/data", "size": 1 << 30}
            fabric.run_machine(name, "base", memory=MEMORY, nics=[], mounts=[mount])
            for target in ("/data/neighbour", "/data/program"):
                fabric.weft("cp", str(tool), f"{name}:{target}")

    def limit_writer(self, **limits: int) -> None:
        """Other limits for the one who writes; none: none."""
        self._fabric.client.update_machine(WRITER, {"limits": limits or None})

    def turns(self, count: int) -> list[float]:
        return parse_turns(self._fabric.execute(WORKER, f"/data/neighbour turns /data/program {count}"), count)

    def disturb(self, *neighbours: str) -> None:
        words = {WRITER: f"dirty /data/dirty {DIRTY_MIB} /tmp/stop", FORKER: "fork /tmp/stop"}
        for name in neighbours:
            self._begin(name, f"/data/neighbour {words[name]}")
            self._disturbing.append(name)

    def calm(self) -> None:
        while self._disturbing:
            wait = "touch /tmp/stop; while [ ! -e /tmp/ended ]; do sleep 0.1; done"
            execute(self._fabric.client, self._disturbing.pop(), wait)

    def _begin(self, name: str, command: str) -> None:
        execute(
            self._fabric.client, name, f"rm -f /tmp/stop /tmp/ended; ({command}; touch /tmp/ended) >/dev/null 2>&1 &"
        )


def parse_turns(said: str, count: int) -> list[float]:
    """Milliseconds. Raises RuntimeError when there are fewer than there should be."""
    found = [int(line) / 1e6 for line in said.splitlines()]
    if len(found) != count:
        raise RuntimeError(f"{len(found)} turns of {count}")
    return found


@contextmanager
def open_processes(tool: Path, folder: Path) -> Iterator[Processes]:
    """Processes, in groups that are removed with them. Their limits are those of a machine with one processor."""
    cgroups = find_cgroups(f"bench-{os.getpid()}")
    if cgroups.mode is CgroupMode.NONE:
        raise SystemExit(f"there are no control groups: {cgroups.reason}")
    overhead = load_settings(folder).memory_overhead
    limits = Limits(cpus=1 + IO_CPUS, memory_bytes=MEMORY + overhead, pids=PIDS)
    groups = {name: cgroups.create(name, limits) for name in (WORKER, WRITER, FORKER)}
    processes = Processes(tool, folder, groups)
    try:
        yield processes
    finally:
        processes.calm()
        for group in groups.values():
            group.remove()
        cgroups.remove()
