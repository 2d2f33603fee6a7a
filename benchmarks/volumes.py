"""Volumes and folders of the host.

Promise: what a program in a machine has flushed to a volume is there after SIGKILL of QEMU, every time. Beside it,
without a promise: how fast a volume is, and a folder of the host by the two ways that QEMU has for one, 9p and
virtiofs. These machines are bare QEMU with the fabric's arguments and its file server, and take turns.
"""

import argparse
import asyncio
import os
import random
import signal
import statistics
import tempfile
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.harness.bare import Twin, find_twin
from benchmarks.harness.fabric import PATIENCE, BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say
from weft.guest.agent import Agent
from weft.guest.connecting import open_agent
from weft.host.disks import create_disk, takes_direct
from weft.host.file_server import start_file_server
from weft.host.sockets import listen_unix
from weft.model.machine import Profile
from weft.plan.boot import Boot, BootDisk, BootShare, plan_boot

MEMORY = 128 << 20
MOUNT = {
    "9p": "mount -t 9p -o trans=virtio,version=9p2000.L,msize=512000,cache=mmap share /mnt",
    "virtiofs": "mount -t virtiofs share /mnt",
    "volume": "mount -t ext4 /dev/vdb /mnt",
}
SCRIPT = """
mkdir /mnt/t && cd /mnt/t || exit
now() { read up rest < /proc/uptime; echo ${up%.*}${up#*.}; }
step() { s=$(now); eval "$2"; echo "$1 $(($(now) - s))"; }
forget() { echo 3 > /proc/sys/vm/drop_caches; }
each='i=0; while [ $i -lt 500 ]; do i=$((i+1)); '
step write '{ dd if=/dev/zero of=big bs=1M count=64 conv=fsync; } 2>/dev/null'; forget
step read '{ dd if=big of=/dev/null bs=1M; } 2>/dev/null'
step make "$each echo hello > f\\$i; done"
step look "$each [ -s f\\$i ]; done"; forget
step list 'ls -l > /dev/null'; forget
step load "$each read line < f\\$i; done"
step flush 'n=0; while [ $n -lt 20 ]; do dd if=/dev/zero of=s bs=4k count=1 conv=fsync 2>/dev/null; n=$((n+1)); done'
step remove 'cd /; rm -r /mnt/t'
"""
"""Each step prints its name and how long it took in hundredths of a second, by the guest's clock."""
COUNT_UP = "while i=$((i+1)); do echo $i | dd of=/data/log oflag=append conv=notrunc,fsync 2>/dev/null && echo $i; done"


def count_lost(fabric: BenchFabric, kills: int) -> list[int]:
    """How many flushed lines were missing after each kill of a machine that writes one after the other."""
    spec: dict[str, Any] = {"name": "writer", "image": "base", "nics": []}
    mounts = [{"kind": "volume", "source": "data", "target": "/data"}]
    fabric.client.create_machine(spec | {"mounts": mounts})
    lost, last = [], 0
    for number in range(kills):
        last = write_until_killed(fabric, last, lines=random.randint(5, 60))
        fabric.client.wait_machine("writer")
        fabric.client.start_machine("writer")
        with fabric.client.open_exec("writer", ["tail", "-n", "1", "/data/log"]) as session:
            found = int(b"".join(data for _, data in session) or b"0")
        lost.append(max(0, last - found))
        last = found
        say(f"  kill {number + 1} of {kills}: {found} lines, {lost[-1]} lost")
    return lost


def write_until_killed(fabric: BenchFabric, start: int, lines: int) -> int:
    """The last line that was said to be flushed when QEMU was killed, after so many of them."""
    said = b""
    with fabric.client.open_exec("writer", ["sh", "-c", f"i={start}; {COUNT_UP}"]) as session:
        for _, data in session:
            said += data
            if said.count(b"\n") >= lines:
                break
        os.kill(fabric.client.machine("writer")["pid"], signal.SIGKILL)
    return int(said[: said.rindex(b"\n")].split()[-1])


async def time_steps(twin: Twin, kind: str, profile: Profile, folder: Path) -> dict[str, float]:
    """Milliseconds of each step on one kind of storage."""
    async with booted(twin, kind, profile, folder) as agent:
        stream = await agent.exec(["sh", "-c", f"{MOUNT[kind]} && {SCRIPT}"])
        async with asyncio.timeout(PATIENCE * 5), stream:
            said = b"".join([data async for name, data in stream if name == "stdout"])
    words = said.decode().split()
    return {name: int(time) * 10 for name, time in zip(words[::2], words[1::2], strict=True)}


@asynccontextmanager
async def booted(twin: Twin, kind: str, profile: Profile, folder: Path) -> AsyncIterator[Agent]:
    """The agent of a bare machine with this storage."""
    share = folder / "share"
    share.mkdir()
    (folder / "initrd").write_bytes(twin.initrd)
    with ExitStack() as stack:
        names = ("qmp", "serial", "agent")
        sockets = [stack.enter_context(listen_unix(folder / f"{name}.sock")).fileno() for name in names]
        boot = plan_bare(twin, profile, folder, sockets)
        extra: list[str] = []
        if kind == "volume":
            await create_disk(folder / "disk", 1 << 30)
            disk = BootDisk("volume", str(folder / "disk"), direct=takes_direct(folder / "disk"))
            boot = replace(boot, disks=(disk,))
        elif kind == "virtiofs":
            server = start_file_server(stack, share, folder / "sock", read_only=False, log=2)
            server.latched.release()
            boot = replace(boot, shares=(BootShare("share", server.socket),))
        else:
            bus = "device" if profile is Profile.MICROVM else "pci"
            extra = ["-fsdev", f"local,id=share,path={share},security_model=none"]
            extra += ["-device", f"virtio-9p-{bus},fsdev=share,mount_tag=share"]
        fds = [*sockets, *(share.fd for share in boot.shares)]
        process = await asyncio.create_subprocess_exec(twin.facts.qemu, *plan_boot(boot), *extra, pass_fds=fds)
        try:
            async with open_agent(folder / "agent.sock", timeout=PATIENCE) as agent:
                yield agent
        finally:
            process.kill()
            await process.wait()


def plan_bare(twin: Twin, profile: Profile, folder: Path, sockets: list[int]) -> Boot:
    """The machine without any storage but its root."""
    qmp, serial, agent = sockets
    return Boot(
        name="bare",
        uuid="6f7d3a52-4f5e-4d0a-9a51-0c7c1f1f2a12",
        profile=profile,
        accel=twin.facts.accel,
        memory=MEMORY,
        cpus=1,
        kernel=str(twin.kernel),
        initrd=str(folder / "initrd"),
        root=str(twin.root),
        serial_log=str(folder / "serial.log"),
        qmp_fd=qmp,
        serial_fd=serial,
        agent_fd=agent,
        tsc_khz=twin.facts.tsc_khz or None,
    )


def compare_kinds(twin: Twin, profile: Profile, rounds: int) -> dict[str, dict[str, float]]:
    """The median of each step on each kind of storage, in milliseconds."""
    taken: dict[str, list[dict[str, float]]] = {kind: [] for kind in MOUNT}
    for number in range(rounds):
        for kind, runs in taken.items():
            with tempfile.TemporaryDirectory(prefix="weft-bench-", dir=twin.root.parents[2]) as name:
                runs.append(asyncio.run(time_steps(twin, kind, profile, Path(name))))
        say(f"  {profile}: round {number + 1} of {rounds}")
    return {
        kind: {step: statistics.median(run[step] for run in runs) for step in runs[0]} for kind, runs in taken.items()
    }


def main() -> None:
    parser = argparse.ArgumentParser(description="Volumes and folders of the host.")
    parser.add_argument("--kills", type=int, default=20, help="of a machine that writes to a volume")
    parser.add_argument("--rounds", type=int, default=3, help="of each kind of storage")
    options = parser.parse_args()
    report = Report("volumes", vars(options))
    with open_bench_fabric() as fabric:
        lost = count_lost(fabric, options.kills)
        fabric.client.create_machine({"name": "twin", "image": "base", "nics": []})
        twin = find_twin(fabric, "twin")
        fabric.client.kill_machine("twin")
        fabric.client.kill_machine("writer")
        report.figures = {str(profile): compare_kinds(twin, profile, options.rounds) for profile in Profile}
    report.promise(f"flushed lines lost in {options.kills} kills of QEMU", sum(lost), 0)
    report.publish()


if __name__ == "__main__":
    main()
