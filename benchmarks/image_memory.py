"""What images and the kernel take: on disk, and of a machine's memory.

For each image: size of the root file, memory available in a machine of 64 MB once its agent answers, and the smallest
memory, in steps of 2 MB, with which the machine still comes up and runs a program. Machines are bare QEMU microvms.
Prints JSON. Uses the home that `make prepare` makes, or the one given.
"""

import argparse
import asyncio
import json
import os
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from weft.guest.agent import Agent, open_agent
from weft.guest.config import GuestConfig, GuestNic, GuestRoot
from weft.guest.initramfs import build_initramfs
from weft.host.process import program
from weft.image.cache import cache_home
from weft.image.folders import REPOSITORY
from weft.image.store import ImageStore, KernelStore
from weft.model.errors import WeftError
from weft.model.image import ImageManifest, ImageNic

FULL = 64
STEP = 2
READY_TIMEOUT = 10.0
"""Seconds until a machine counts as one that does not come up: ten times what a start takes under emulation."""


def plan_addresses(image: ImageManifest) -> list[tuple[ImageNic, str]]:
    """The NICs of an image, each with a hardware address."""
    return [(nic, f"52:54:00:00:00:{number:02x}") for number, nic in enumerate(image.nics)]


def plan_arguments(home: Path, image: ImageManifest, folder: Path, megabytes: int) -> list[str]:
    kernels, nics = KernelStore(home), plan_addresses(image)
    return [
        *(program("qemu-system-x86_64"), "-M", "microvm,acpi=off", "-accel", "tcg,tb-size=16", "-m", str(megabytes)),
        *("-nodefaults", "-no-user-config", "-no-reboot", "-display", "none", "-serial", f"file:{folder}/log"),
        *("-kernel", str(kernels.vmlinux_path(kernels.default())), "-initrd", f"{folder}/initrd"),
        *("-append", "console=ttyS0 quiet reboot=t panic=-1 no_timer_check acpi=off"),
        *("-drive", f"file={ImageStore(home).root_path(image)},if=none,id=root,format=raw,readonly=on"),
        *("-device", "virtio-blk-device,drive=root,serial=root", "-device", "virtio-serial-device,max_ports=2"),
        *("-chardev", f"socket,id=agent,path={folder}/agent,server=on,wait=off"),
        *("-device", "virtserialport,chardev=agent,name=weft.agent"),
        *(word for nic in image.nics for word in ("-netdev", f"user,id={nic.name},restrict=on")),
        *(word for nic, mac in nics for word in ("-device", f"virtio-net-device,netdev={nic.name},mac={mac}")),
    ]


@asynccontextmanager
async def booted(home: Path, image: ImageManifest, megabytes: int) -> AsyncIterator[Agent]:
    """The agent of a machine. Raises a WeftError when it does not come up."""
    with tempfile.TemporaryDirectory(prefix="weft-bench-") as name:
        folder = Path(name)
        config = GuestConfig(
            hostname=image.name,
            root=GuestRoot("root", image.root_type),
            overlay="50%",
            nics=tuple(GuestNic(mac, nic.name) for nic, mac in plan_addresses(image)),
            wires=((image.nics[0].name, image.nics[1].name),) if image.wire else (),
            argv=image.entry.argv,
            restart=image.entry.restart.value,
        )
        init = (REPOSITORY / "guest" / "build" / "weft-init").read_bytes()
        (folder / "initrd").write_bytes(build_initramfs(init, config))
        process = await asyncio.create_subprocess_exec(*plan_arguments(home, image, folder, megabytes))
        try:
            await wait_listening(folder / "agent")
            async with open_agent(folder / "agent", timeout=READY_TIMEOUT) as agent:
                yield agent
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()


async def wait_listening(path: Path) -> None:
    """Until QEMU has made its socket. Raises TimeoutError."""
    async with asyncio.timeout(READY_TIMEOUT):
        while not path.exists():  # noqa: ASYNC110 (a file that another process makes)
            await asyncio.sleep(0.01)


async def measure_available(home: Path, image: ImageManifest, megabytes: int) -> int | None:
    """KiB available when the machine is up and has run a program; None when it does not get that far."""
    try:
        async with asyncio.timeout(2 * READY_TIMEOUT), booted(home, image, megabytes) as agent:
            async with await agent.exec(["awk", "/MemAvailable/ { print $2 }", "/proc/meminfo"]) as process:
                status, out, _err = await process.collect()
            return int(out) if status.code == 0 else None
    except (WeftError, TimeoutError):
        return None


async def find_smallest(home: Path, image: ImageManifest) -> int:
    """Megabytes; the first size at which it fails ends the search."""
    smallest = FULL
    for megabytes in range(FULL // 2, 8, -STEP):
        if await measure_available(home, image, megabytes) is None:
            return smallest
        smallest = megabytes
    return smallest


async def measure(home: Path) -> dict[str, object]:
    kernel = KernelStore(home).default()
    images = {}
    for image in ImageStore(home).list():
        images[image.name] = {
            "root_bytes": image.size,
            "available_kib_of_64_mb": await measure_available(home, image, FULL),
            "smallest_mb": await find_smallest(home, image),
        }
    return {"kernel": {"release": kernel.release, "bytes": kernel.size}, "images": images}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    prepared = Path(os.environ.get("WEFT_TEST_HOME", cache_home() / "test-home"))
    parser.add_argument("--home", type=Path, default=prepared, help="a home with a kernel and images")
    print(json.dumps(asyncio.run(measure(parser.parse_args().home)), indent=2))


if __name__ == "__main__":
    main()
