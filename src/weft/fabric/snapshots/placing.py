"""Disks and settings of snapshots, put where machines have them."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from weft.fabric.layout import Layout
from weft.fabric.records.machine import MachineRecord
from weft.fabric.settings.floppies import floppy_path
from weft.fabric.site import Site
from weft.fabric.snapshots.kept import FLOPPY, OpenSnapshot
from weft.fabric.volumes import Volumes
from weft.host.blocks import Tell
from weft.host.durable import put_in_place
from weft.plan.mounts import PlannedDisk, plan_mounts

DRAFT = ".restored"
Targets = Mapping[str, Path]
"""Where each piece goes."""


def targets_of(site: Site, volumes: Volumes, machine: MachineRecord, source: OpenSnapshot) -> Targets:
    """Where a machine has what a snapshot has copies of."""
    disks = disks_of(site, volumes, machine)
    found = {disk.piece: disks[disk.serial] for disk in source.record.disks if disk.serial in disks}
    return found | ({FLOPPY: floppy_path(site, machine)} if FLOPPY in source.sealed.pieces else {})


def disks_of(site: Site, volumes: Volumes, machine: MachineRecord) -> dict[str, Path]:
    """A machine's disks by their serial numbers. Raises Unavailable for one that is lost."""
    plan = plan_mounts(machine.spec, site.images.get(machine.spec.image))
    return {disk.serial: _path_of(site, volumes, machine, disk) for disk in plan.disks}


@asynccontextmanager
async def prepared(source: OpenSnapshot, targets: Targets, tell: Tell) -> AsyncIterator[None]:
    """All pieces beside where they go; `place` puts them there. Raises Unavailable when one is damaged, NoRoom."""
    try:
        for piece, path in targets.items():
            await source.write(piece, _draft(path), tell=tell)
        yield
    finally:
        for path in targets.values():
            _draft(path).unlink(missing_ok=True)


def place(targets: Targets) -> None:
    """Let what was prepared take the places of what is there."""
    for path in targets.values():
        put_in_place(_draft(path), path)


def sweep_prepared(layout: Layout) -> None:
    """Remove what was prepared when the daemon or the host died."""
    for folder in (layout.machines, layout.volumes):
        for path in folder.glob(f"*/*{DRAFT}"):
            path.unlink(missing_ok=True)


def _draft(path: Path) -> Path:
    return path.with_name(f"{path.name}{DRAFT}")


def _path_of(site: Site, volumes: Volumes, machine: MachineRecord, disk: PlannedDisk) -> Path:
    if disk.volume is None:
        return site.layout.machine(machine.name).disk
    return volumes.path(site.shelves.volumes.get(disk.volume))
