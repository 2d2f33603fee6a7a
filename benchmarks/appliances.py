"""What appliances take: on disk with their kernel, and of a machine's memory.

Kept: the files a fabric has of an appliance, kernel, init and root, in bytes as `ls -l` tells them; all are used
as they lie there, nothing is unpacked beside them. Shipped: the same files after `zstd -19`, what a download would
be. Kernel and init are counted whole for each appliance, though all share them.

Memory: what the guest's kernel calls available in a machine of the fabric, when its agent has answered and a program
has run in it, NICs up; and the smallest memory, down to the least that Weft gives a machine, with which it still comes
up and runs a program. MB of disk are 10^6 bytes, MB of memory 2^20, as in `--memory`.
"""

import argparse
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say
from weft.guest.binary import find_init
from weft.image.store import ImageStore, KernelStore
from weft.model.errors import WeftError
from weft.model.machine import MIN_MEMORY

DISK_LIMITS = {"base": 12.0, "sniffer": 16.0, "firewall": 35.0}
"""MB with the kernel, as kept."""
FULL, SMALL, AVAILABLE = 64, 48, 35.0
STEP = 4
MEGABYTE, MEBIBYTE = 1e6, 1 << 20
READ_AVAILABLE = "awk '/MemAvailable/ { print $2 }' /proc/meminfo"


def find_shipped(path: Path) -> int:
    """Bytes of a file after zstd."""
    done = subprocess.run(["zstd", "-19", "-q", "-c", path], stdout=subprocess.PIPE, check=True, timeout=300)
    return len(done.stdout)


def measure_disk(home: Path, names: list[str]) -> dict[str, Any]:
    """Bytes of the kernel, the init and each image, kept and shipped."""
    kernels, images = KernelStore(home), ImageStore(home)
    files = {"kernel": kernels.vmlinux_path(kernels.default()), "init": find_init()}
    files |= {name: images.root_path(images.get(name)) for name in names}
    sizes = {name: {"kept": path.stat().st_size, "shipped": find_shipped(path)} for name, path in files.items()}
    whole = {
        name: {how: sum(sizes[part][how] for part in ("kernel", "init", name)) for how in ("kept", "shipped")}
        for name in names
    }
    return {"files": sizes, "with_kernel": whole}


@contextmanager
def booted(fabric: BenchFabric, image: str, megabytes: int) -> Iterator[str]:
    """A machine's name, while it runs. Raises a WeftError when it does not come up."""
    name = f"{image}-{megabytes}"
    try:
        fabric.run_machine(name, image, memory=megabytes * MEBIBYTE)
        yield name
    finally:
        fabric.client.remove_machine(name, force=True)


def find_available(fabric: BenchFabric, image: str, megabytes: int) -> float | None:
    """MB that programs can still have; None when the machine does not come up or runs no program."""
    try:
        with booted(fabric, image, megabytes) as name:
            return int(fabric.execute(name, READ_AVAILABLE)) / 1024
    except (WeftError, RuntimeError):
        return None


def measure_memory(fabric: BenchFabric, image: str) -> dict[str, Any]:
    available = find_available(fabric, image, FULL)
    say(f"  {image}: {available} MB available of {FULL}")
    smallest = FULL
    for megabytes in range(SMALL, (MIN_MEMORY >> 20) - 1, -STEP):
        if find_available(fabric, image, megabytes) is None:
            break
        smallest = megabytes
    return {"available_of_64_mb": available, "smallest_mb": smallest}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--images", nargs="+", default=["base", "sniffer", "firewall", "web", "bench"])
    options = parser.parse_args()
    report = Report("appliances", vars(options))
    with open_bench_fabric() as fabric:
        disk = measure_disk(fabric.home, options.images)
        memory = {image: measure_memory(fabric, image) for image in options.images}
    report.figures |= {"bytes": disk, "memory": memory}
    for image, limit in DISK_LIMITS.items():
        if image in memory:
            report.promise(f"{image} with its kernel, MB kept", disk["with_kernel"][image]["kept"] / MEGABYTE, limit)
            taken = FULL - (memory[image]["available_of_64_mb"] or 0.0)
            report.promise(f"{image}, MB of {FULL} that are not available", taken, FULL - AVAILABLE)
            report.promise(f"{image}, smallest machine in MB", memory[image]["smallest_mb"], SMALL)
    report.publish()


if __name__ == "__main__":
    main()
