"""Bare QEMU: the arguments, kernel, initrd and root of a machine of the fabric, without sandbox, limits or daemon."""

import asyncio
import ctypes
import fcntl
import os
import struct
import subprocess
import threading
import time
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from benchmarks.harness.fabric import PATIENCE, BenchFabric
from weft.guest.connecting import open_agent
from weft.host.facts import HostFacts, find_facts
from weft.host.sockets import listen_unix
from weft.image.store import ImageStore
from weft.model.machine import Profile
from weft.plan.boot import FLOPPY_SERIAL, Boot, BootNic, plan_boot

_CLONE_NEWNET = 0x40000000
_SET_INTERFACE = 0x400454CA  # TUNSETIFF
_TAP, _NO_INFO, _HEADER = 0x0002, 0x1000, 0x4000
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Twin:
    """What a machine of the fabric was started with: enough to start it again without the fabric."""

    view: dict[str, Any]
    initrd: bytes
    kernel: Path
    root: Path
    facts: HostFacts


def find_twin(fabric: BenchFabric, machine: str) -> Twin:
    """Look at a machine that runs, or has run."""
    view = fabric.client.machine(machine)
    images = ImageStore(fabric.home)
    return Twin(
        view=view,
        initrd=(fabric.home / "machines" / machine / "initrd").read_bytes(),
        kernel=fabric.home / "kernels" / view["kernel"] / "vmlinux",
        root=images.root_path(images.get(view["image"])),
        facts=asyncio.run(find_facts(fabric.home / "run")),
    )


def time_bare_boot(twin: Twin, folder: Path, keeper: int) -> float:
    """Seconds from the start of a bare QEMU to its agent's READY. It is gone afterwards; files go into `folder`."""
    folder.mkdir(exist_ok=True)
    initrd = folder / "initrd"
    initrd.write_bytes(twin.initrd)
    with ExitStack() as stack:
        names = ("qmp", "serial", "agent")
        sockets = [stack.enter_context(listen_unix(folder / f"{name}.sock")).fileno() for name in names]
        taps = [open_tap(keeper, f"bare{number}") for number in range(len(twin.view["networks"]))]
        for tap in taps:
            stack.callback(os.close, tap)
        floppy = os.open(twin.view["floppy"], os.O_RDONLY) if FLOPPY_SERIAL.encode() in twin.initrd else None
        if floppy is not None:
            stack.callback(os.close, floppy)
        argv = [twin.facts.qemu, *plan_boot(replace(plan_twin(twin, folder, sockets, taps), floppy_fd=floppy))]
        begin = time.perf_counter()
        process = subprocess.Popen(
            argv, pass_fds=[*sockets, *taps, *([] if floppy is None else [floppy])], stdin=subprocess.DEVNULL
        )
        stack.callback(process.wait, PATIENCE)
        stack.callback(process.kill)
        asyncio.run(wait_agent(folder / "agent.sock"))
        return time.perf_counter() - begin


async def wait_agent(path: Path) -> None:
    """Until a machine's agent answers."""
    async with open_agent(path, timeout=PATIENCE):
        pass


def plan_twin(twin: Twin, folder: Path, sockets: list[int], taps: list[int]) -> Boot:
    """How a twin is booted; its files are in `folder`."""
    view, (qmp, serial, agent) = twin.view, sockets
    macs = [nic["mac"] for nic in view["networks"]]
    return Boot(
        name="bare",
        uuid="6f7d3a52-4f5e-4d0a-9a51-0c7c1f1f2a11",
        profile=Profile(view["profile"]),
        accel=twin.facts.accel,
        memory=view["memory"],
        cpus=view["cpus"],
        kernel=str(twin.kernel),
        initrd=str(folder / "initrd"),
        root=str(twin.root),
        serial_log=str(folder / "serial.log"),
        qmp_fd=qmp,
        serial_fd=serial,
        agent_fd=agent,
        nics=tuple(BootNic(mac, tap) for mac, tap in zip(macs, taps, strict=True)),
        tsc_khz=twin.facts.tsc_khz or None,
    )


def open_tap(keeper: int, name: str) -> int:
    """A tap in the fabric's namespace that goes with its descriptor."""

    def make() -> int:
        fd = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
        fcntl.ioctl(fd, _SET_INTERFACE, struct.pack("16sH22x", name.encode(), _TAP | _NO_INFO | _HEADER))
        return fd

    return call_inside(keeper, make)


def call_inside(process: int, work: Callable[[], T]) -> T:
    """Call something in the network namespace of a process: on a thread of its own, which ends with it."""
    done: list[T] = []
    failed: list[BaseException] = []

    def enter() -> None:
        try:
            with Path(f"/proc/{process}/ns/net").open() as namespace:
                if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), _CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            done.append(work())
        except BaseException as err:
            failed.append(err)

    thread = threading.Thread(target=enter)
    thread.start()
    thread.join(PATIENCE)
    if failed:
        raise failed[0]
    return done[0]
