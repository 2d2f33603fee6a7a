"""Bare QEMU that goes on from what another one was: what any copy of a machine takes at least.

The same arguments, root and memory as the fabric's own machine has, without sandbox, limits, links or daemon; QMP over
a plain socket.
"""

import asyncio
import fcntl
import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from benchmarks.harness.bare import Twin, open_tap, plan_twin, wait_agent
from benchmarks.harness.fabric import PATIENCE
from weft.host.sockets import listen_unix
from weft.plan.boot import plan_boot

_SEALS = fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_WRITE
_POLL = 0.001
_NAMES = ("qmp", "serial", "agent")


@dataclass(frozen=True, slots=True)
class BareMoment:
    """Memory and device state of a bare machine whose agent had answered."""

    twin: Twin
    folder: Path
    keeper: int
    memory: int
    device: int


class BareQmp:
    """A monitor, spoken to one command after the other."""

    def __init__(self, path: Path) -> None:
        self._sock = socket.socket(socket.AF_UNIX)
        self._sock.settimeout(PATIENCE)
        self._sock.connect(str(path))
        self._lines = self._sock.makefile("rb")
        self._lines.readline()
        self.ask("qmp_capabilities")

    def ask(self, command: str, fd: int | None = None, **arguments: Any) -> Any:
        """What it answers; `fd` goes along. Raises RuntimeError."""
        words = json.dumps({"execute": command, "arguments": arguments}).encode()
        socket.send_fds(self._sock, [words], [] if fd is None else [fd])
        while "event" in (answer := json.loads(self._lines.readline())):
            pass
        if "error" in answer:
            raise RuntimeError(f"{command}: {answer['error']}")
        return answer["return"]

    def ignore_memory(self) -> None:
        """Memory is where it is; only the state of devices is moved."""
        self.ask("migrate-set-capabilities", capabilities=[{"capability": "x-ignore-shared", "state": True}])

    def close(self) -> None:
        self._lines.close()
        self._sock.close()


@contextmanager
def open_bare_moment(twin: Twin, folder: Path, keeper: int) -> Iterator[BareMoment]:
    """Boot a bare twin of a machine, and keep what it is once its agent has answered; files go into `folder`."""
    folder.mkdir(exist_ok=True)
    (folder / "initrd").write_bytes(twin.initrd)
    memory = os.memfd_create("bare", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(memory, twin.view["memory"])
    device = os.memfd_create("bare-device", os.MFD_CLOEXEC)
    with ExitStack() as stack:
        stack.callback(os.close, memory)
        stack.callback(os.close, device)
        moment = BareMoment(twin, folder, keeper, memory, device)
        with _start(moment, incoming=False):
            asyncio.run(wait_agent(folder / "agent.sock"))
            qmp = BareQmp(folder / "qmp.sock")
            qmp.ask("stop")
            qmp.ignore_memory()
            qmp.ask("getfd", fd=device, fdname="out")
            qmp.ask("migrate", uri="fd:out")
            while qmp.ask("query-migrate")["status"] != "completed":
                time.sleep(_POLL)
            qmp.close()
        fcntl.fcntl(memory, fcntl.F_ADD_SEALS, _SEALS)
        yield moment


def time_bare_copy(moment: BareMoment) -> float:
    """Seconds from the start of a QEMU that goes on from a moment to its guest's answer. It is gone afterwards."""
    begin = time.perf_counter()
    device = os.memfd_create("bare-copy", os.MFD_CLOEXEC)
    try:
        os.write(device, os.pread(moment.device, os.fstat(moment.device).st_size, 0))
        os.lseek(device, 0, os.SEEK_SET)
        with _start(moment, incoming=True):
            qmp = BareQmp(moment.folder / "qmp.sock")
            qmp.ignore_memory()
            qmp.ask("getfd", fd=device, fdname="in")
            qmp.ask("migrate-incoming", uri="fd:in")
            while qmp.ask("query-status")["status"] == "inmigrate":
                time.sleep(_POLL)
            qmp.ask("cont")
            asyncio.run(wait_agent(moment.folder / "agent.sock"))
            taken = time.perf_counter() - begin
            qmp.close()
            return taken
    finally:
        os.close(device)


@contextmanager
def _start(moment: BareMoment, *, incoming: bool) -> Iterator[None]:
    twin, folder = moment.twin, moment.folder
    with ExitStack() as stack:
        sockets = [stack.enter_context(listen_unix(folder / f"{name}.sock")).fileno() for name in _NAMES]
        taps = [open_tap(moment.keeper, f"bare{number}") for number in range(len(twin.view["networks"]))]
        for tap in taps:
            stack.callback(os.close, tap)
        boot = replace(plan_twin(twin, folder, sockets, taps), memory_fd=moment.memory, incoming=incoming)
        argv = [twin.facts.qemu, *plan_boot(replace(boot, memory_shared=not incoming))]
        process = subprocess.Popen(argv, pass_fds=[*sockets, *taps, moment.memory], stdin=subprocess.DEVNULL)
        stack.callback(process.wait, PATIENCE)
        stack.callback(process.kill)
        yield
