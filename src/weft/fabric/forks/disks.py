"""Copies of disks as they are at one instant."""

import asyncio
import shutil
import time
from collections.abc import Mapping
from pathlib import Path

from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.fabric.volumes import Volumes
from weft.host.clones import clone_file, flush_file
from weft.plan.mounts import plan_mounts

OWN = ""
"""What stands for a machine's own disk where disks have the names of volumes."""


def find_written(site: Site, volumes: Volumes, machine: MachineRecord) -> dict[str, Path]:
    """The disks that a machine writes to, by the names of their volumes. Raises Unavailable when one is lost."""
    plan = plan_mounts(machine.spec, site.images.get(machine.spec.image))
    found: dict[str, Path] = {}
    for disk in plan.disks:
        if disk.volume is None:
            found[OWN] = site.layout.machine(machine.name).disk
        elif not disk.read_only:
            found[disk.volume] = volumes.path(site.shelves.volumes.get(disk.volume))
    return {name: path for name, path in found.items() if path.exists()}


async def clone_disks(disks: Mapping[Path, Path]) -> float:
    """Make copies of disks, at the places that they are mapped to; the seconds it took. Raises NoRoom, Unavailable.

    They are not flushed: a machine that stands still for it is not to wait for the host's disk.
    """
    begin = time.monotonic()
    await asyncio.gather(*(asyncio.to_thread(_clone, source, target) for source, target in disks.items()))
    return time.monotonic() - begin


class DiskClones:
    """Copies of a machine's disks, in a folder of their own until its copies have taken theirs."""

    def __init__(self, folder: Path, disks: Mapping[str, Path]) -> None:
        self._folder = folder
        self._disks = {name: (disk, folder / f"{number}.img") for number, (name, disk) in enumerate(disks.items())}
        self.took = 0.0

    async def make(self) -> None:
        """What is on the disks now. Raises NoRoom, Unavailable."""
        if self._disks:
            self.took = await clone_disks(dict(self._disks.values()))

    async def give(self, name: str, target: Path) -> None:
        """Put one of them into its place, flushed. Raises NoRoom, Unavailable."""
        _, clone = self._disks[name]
        await asyncio.to_thread(_clone, clone, target)
        await asyncio.to_thread(flush_file, target)

    def __contains__(self, name: str) -> bool:
        return name in self._disks

    def close(self) -> None:
        """Away with them."""
        shutil.rmtree(self._folder, ignore_errors=True)


def _clone(source: Path, target: Path) -> None:
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    clone_file(source, target)
