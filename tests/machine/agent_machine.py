"""Boots one machine with bare QEMU, for tests of the guest."""

import asyncio
import io
import os
import shutil
import socket
import subprocess
import tarfile
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from tests.machine.fabrics import PREPARED

from weft.guest.agent import Agent
from weft.guest.config import GuestConfig, GuestRoot
from weft.guest.connecting import open_agent
from weft.guest.initramfs import build_initramfs
from weft.host.facts import parse_khz
from weft.image.store import KernelStore

GUEST = Path(__file__).parents[2] / "guest"
ACCELERATOR = "tcg,tb-size=16"
READY_TIMEOUT = 120.0

Profile = Literal["microvm", "q35"]


def find_kernel() -> Path:
    """The vmlinux that WEFT_TEST_KERNEL names, else that of the prepared home."""
    if named := os.environ.get("WEFT_TEST_KERNEL"):
        return Path(named)
    kernels = KernelStore(PREPARED)
    return kernels.vmlinux_path(kernels.default())


def build_init() -> bytes:
    subprocess.run(["make", "-s", "-C", GUEST], check=True)
    return (GUEST / "build/weft-init").read_bytes()


def find_busybox() -> bytes:
    busybox = shutil.which("busybox")
    assert busybox, "busybox-static is not installed: make bootstrap does it"
    return Path(busybox).read_bytes()


APPLETS = ("sh", "cat", "echo", "sleep", "id", "stty", "seq", "head", "wc", "dd", "kill", "poweroff", "reboot")


def build_root(directory: Path) -> Path:
    """A squashfs with busybox and what a root needs: mount points, passwd, group."""
    tree = directory / "tree"
    for name in ("bin", "dev", "proc", "sys", "run", "tmp", "etc", "root", "mnt"):
        (tree / name).mkdir(parents=True)
    (tree / "bin/busybox").write_bytes(find_busybox())
    (tree / "bin/busybox").chmod(0o755)
    for applet in APPLETS:
        (tree / "bin" / applet).symlink_to("busybox")
    (tree / "etc/passwd").write_text("root:x:0:0::/root:/bin/sh\nweb:x:33:34::/srv:/bin/sh\n")
    (tree / "etc/group").write_text("root:x:0:\nwww:x:34:\nextra:x:35:web\n")
    for name in ("hosts", "hostname", "resolv.conf"):
        (tree / "etc" / name).touch()
    image = directory / "root.squashfs"
    command = ["mksquashfs", str(tree), str(image), "-all-root", "-noappend", "-comp", "lz4", "-quiet", "-no-progress"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return image


def build_image(directory: Path, files: dict[str, tuple[int, bytes]], links: dict[str, str] | None = None) -> Path:
    """A squashfs with exactly these files (mode, content) and links, all root's: an image need not have any tools."""
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name, (mode, content) in files.items():
            member = tarfile.TarInfo(name.rstrip("/"))
            member.mode, member.size, member.type = mode, len(content), b"5" if name.endswith("/") else b"0"
            tar.addfile(member, io.BytesIO(content))
        for name, target in (links or {}).items():
            member = tarfile.TarInfo(name)
            member.type, member.linkname = tarfile.SYMTYPE, target
            tar.addfile(member)
    image = directory / "image.squashfs"
    command = ["sqfstar", "-comp", "lz4", "-no-progress", "-quiet", str(image)]
    subprocess.run(command, input=archive.getvalue(), check=True, stdout=subprocess.DEVNULL)
    return image


def initramfs_files() -> dict[str, bytes]:
    """busybox and links to it by script, for machines that stay in their initramfs."""
    scripts = {f"/bin/{name}": f'#!/bin/busybox sh\nexec busybox {name} "$@"\n'.encode() for name in APPLETS[1:]}
    passwd = {"/etc/passwd": b"root:x:0:0::/root:/bin/sh\n"}
    return {"/bin/busybox": find_busybox(), "/bin/sh": find_busybox(), **scripts, **passwd}


@dataclass
class Nic:
    """A NIC whose wire is a pair of datagram sockets: a datagram is a frame."""

    mac: str
    test: socket.socket
    arguments: str

    def close(self) -> None:
        self.test.close()


def open_nic(directory: Path, number: int, mac: str) -> Nic:
    ours, theirs = directory / f"nic{number}.test", directory / f"nic{number}.qemu"
    test = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    test.bind(str(ours))
    test.setblocking(False)
    test.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
    ends = f"local.type=unix,local.path={theirs},remote.type=unix,remote.path={ours}"
    return Nic(mac, test, f"dgram,id=nic{number},{ends}")


@dataclass
class Machine:
    directory: Path
    process: asyncio.subprocess.Process
    nics: list[Nic] = field(default_factory=list)

    @property
    def agent(self) -> Path:
        return self.directory / "agent.sock"

    @property
    def qmp(self) -> Path:
        return self.directory / "qmp.sock"

    def log(self) -> str:
        """What came out of the serial port, byte for byte."""
        return (self.directory / "serial.log").read_bytes().decode(errors="replace")

    async def wait_exit(self, timeout: float = READY_TIMEOUT) -> int:
        async with asyncio.timeout(timeout):
            return await self.process.wait()

    async def send_frame(self, nic: int, frame: bytes, timeout: float = 10.0) -> None:
        target = str(self.directory / f"nic{nic}.qemu")
        async with asyncio.timeout(timeout):
            await asyncio.get_running_loop().sock_sendto(self.nics[nic].test, frame, target)

    async def receive_frame(self, nic: int, timeout: float = 10.0) -> bytes:
        async with asyncio.timeout(timeout):
            return await asyncio.get_running_loop().sock_recv(self.nics[nic].test, 1 << 17)


def _plan_arguments(
    machine: Path, profile: Profile, kernel: Path, drives: dict[str, Path], nics: list[Nic]
) -> list[str]:
    bus = "device" if profile == "microvm" else "pci"
    board = "microvm,acpi=off" if profile == "microvm" else "q35"
    arguments = ["qemu-system-x86_64", "-M", board, "-accel", ACCELERATOR, "-nodefaults", "-no-user-config"]
    arguments += ["-no-reboot", "-display", "none", "-kernel", str(kernel), "-initrd", str(machine / "initrd")]
    # On a busy host an emulated guest cannot measure its TSC, and then counts time in ticks of 10 ms: it is told.
    clock = f"tsc_early_khz={parse_khz(Path('/proc/cpuinfo').read_text())} tsc=reliable"
    arguments += ["-append", f"console=ttyS0 quiet reboot=t panic=-1 no_timer_check {clock}"]
    arguments += ["-serial", f"file:{machine / 'serial.log'}", "-device", f"virtio-serial-{bus}"]
    arguments += ["-chardev", f"socket,id=agent,path={machine / 'agent.sock'},server=on,wait=off"]
    arguments += ["-device", "virtserialport,chardev=agent,name=weft.agent"]
    arguments += ["-qmp", f"unix:{machine / 'qmp.sock'},server=on,wait=off"]
    for serial, path in drives.items():
        arguments += ["-drive", f"file={path},if=none,id={serial},format=raw,readonly=on"]
        arguments += ["-device", f"virtio-blk-{bus},drive={serial},serial={serial}"]
    for number, nic in enumerate(nics):
        arguments += ["-netdev", nic.arguments]
        arguments += ["-device", f"virtio-net-{bus},netdev=nic{number},mac={nic.mac}"]
    return arguments


def _is_listening(path: Path) -> bool:
    """The file alone is there a moment before anybody listens: the flag __SO_ACCEPTCON tells (proc(5))."""
    rows = [line.split() for line in Path("/proc/net/unix").read_text().splitlines()]
    return any(row[3] == "00010000" and row[-1] == str(path) for row in rows[1:])


async def _wait_for_socket(machine: Machine) -> None:
    await wait_until(lambda: _is_listening(machine.agent) or machine.process.returncode is not None)
    assert machine.process.returncode is None, f"QEMU ended with status {machine.process.returncode}"


def _plan_storage(profile: Profile, disks: dict[str, Path], shares: dict[str, Path]) -> list[str]:
    bus = "device" if profile == "microvm" else "pci"
    arguments = []
    for serial, path in disks.items():
        arguments += ["-drive", f"file={path},if=none,id={serial},format=raw"]
        arguments += ["-device", f"virtio-blk-{bus},drive={serial},serial={serial}"]
    for tag, folder in shares.items():
        arguments += ["-fsdev", f"local,id={tag},path={folder},security_model=mapped-xattr"]
        arguments += ["-device", f"virtio-9p-{bus},fsdev={tag},mount_tag={tag}"]
    return arguments


@asynccontextmanager
async def boot(
    directory: Path,
    config: GuestConfig,
    *,
    profile: Profile = "microvm",
    drives: dict[str, Path] | None = None,
    disks: dict[str, Path] | None = None,
    shares: dict[str, Path] | None = None,
    macs: Sequence[str] = (),
    files: dict[str, bytes] | None = None,
    memory: int = 64,
) -> AsyncIterator[Machine]:
    """A machine with this configuration; gone when the context is left. Without a root it has busybox and `files`.

    `drives` are read-only, `disks` are not; `shares` are folders of this host by their tags.
    """
    kernel = find_kernel()
    contents = {} if config.root else initramfs_files() | (files or {})
    (directory / "initrd").write_bytes(build_initramfs(build_init(), config, contents))
    (directory / "serial.log").touch()
    nics = [open_nic(directory, number, mac) for number, mac in enumerate(macs)]
    arguments = _plan_arguments(directory, profile, kernel, drives or {}, nics)
    arguments += [*_plan_storage(profile, disks or {}, shares or {}), "-m", str(memory)]
    process = await asyncio.create_subprocess_exec(*arguments)
    machine = Machine(directory, process, nics)
    try:
        await _wait_for_socket(machine)
        yield machine
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
        for nic in nics:
            nic.close()


@asynccontextmanager
async def boot_agent(directory: Path, config: GuestConfig, **options: Any) -> AsyncIterator[tuple[Machine, Agent]]:
    """The machine and its agent, when it is ready. Options: those of `boot`."""
    async with boot(directory, config, **options) as machine, open_agent(machine.agent, timeout=READY_TIMEOUT) as agent:
        yield machine, agent


async def wait_until(condition: Callable[[], bool], timeout: float = READY_TIMEOUT) -> None:
    """For what nobody announces: a line in a log, a file."""
    async with asyncio.timeout(timeout):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


SQUASHFS = GuestRoot("root", "squashfs")
