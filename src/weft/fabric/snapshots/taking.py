"""Taking snapshots: a machine's moment and its disks at the same instant, then all of it into a sealed folder."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

from weft.fabric.moments.capturing import Capturing
from weft.fabric.moments.folders import about_moment, add_moment
from weft.fabric.moments.subject import Captured
from weft.fabric.records.machine import MachineRecord
from weft.fabric.settings.floppies import floppy_path, is_appliance
from weft.fabric.site import Site
from weft.fabric.snapshots.fitting import check_no_insert
from weft.fabric.snapshots.kept import FLOPPY, HEAD, KeptDisk, KeptSnapshots, SnapshotRecord, about_snapshot
from weft.fabric.snapshots.placing import disks_of
from weft.fabric.snapshots.progress import meter
from weft.fabric.volumes import Volumes
from weft.host.clones import clone_file
from weft.host.drafts import Draft, open_draft
from weft.image.progress import Progress
from weft.model.snapshot import SnapshotSpec, SnapshotView
from weft.plan.mounts import plan_mounts


@dataclass(frozen=True, slots=True)
class _Files:
    """What a machine has on the host's disk, and where each goes."""

    disks: tuple[tuple[KeptDisk, Path], ...]
    floppy: Path | None

    def clone(self, folder: Path) -> None:
        """Copy all while the machine stands still."""
        for disk, path in self.disks:
            clone_file(path, folder / disk.piece)
        if self.floppy is not None:
            clone_file(self.floppy, folder / FLOPPY)

    @property
    def pieces(self) -> list[str]:
        return [*(disk.piece for disk, _ in self.disks), *([FLOPPY] if self.floppy else [])]


class Taking:
    """Takes snapshots of machines that run."""

    def __init__(self, site: Site, kept: KeptSnapshots, volumes: Volumes, capturing: Capturing) -> None:
        self._site = site
        self._kept = kept
        self._volumes = volumes
        self._capturing = capturing

    async def take(self, spec: SnapshotSpec, progress: Progress) -> SnapshotView:
        """Take one; the machine stands still for an instant and goes on.

        Raises NotFound, Exists, WrongState (it does not run), Invalid (it cannot be captured), NoRoom, Unavailable;
        nothing is left then, and the machine goes on.
        """
        machine = self._site.shelves.machines.get(spec.machine)
        check_no_insert(self._site, machine.name)
        name = spec.name or self._kept.choose_name(machine.name)
        with self._kept.reserved(name) as folder:
            async with open_draft(folder, HEAD) as draft:
                files = self._find_files(machine)
                progress("capturing", None)
                captured = await self._capture(machine.name, files, draft)
                try:
                    await self._save(spec, captured, files, draft, progress)
                finally:
                    captured.moment.close()
        self._site.events.publish("snapshot.created", name, f"snapshot {name} was taken of {machine.name}")
        return await self._kept.view(name)

    async def _capture(self, name: str, files: _Files, draft: Draft) -> Captured:
        async def clone() -> None:
            await asyncio.to_thread(files.clone, draft.folder)

        return (await self._capturing.capture([name], at_instant=clone))[name]

    async def _save(
        self, spec: SnapshotSpec, captured: Captured, files: _Files, draft: Draft, progress: Progress
    ) -> None:
        record = SnapshotRecord(
            created=self._site.clock(),
            paused=captured.pause,
            labels=spec.labels,
            machine=self._site.shelves.machines.get(spec.machine),
            disks=tuple(disk for disk, _ in files.disks),
        )
        sizes = [(draft.folder / piece).stat().st_size for piece in files.pieces]
        tell = meter(progress, "saving", record.machine.memory + sum(sizes))
        await add_moment(draft, captured.moment, tell=tell)
        for piece in files.pieces:
            await draft.take(piece, tell=tell)
        await draft.seal({**about_moment(captured.moment), **about_snapshot(record)})

    def _find_files(self, machine: MachineRecord) -> _Files:
        image = self._site.images.get(machine.spec.image)
        paths = disks_of(self._site, self._volumes, machine)
        floppy = floppy_path(self._site, machine) if is_appliance(image) else None
        disks = [KeptDisk(serial=disk.serial, volume=disk.volume) for disk in plan_mounts(machine.spec, image).disks]
        return _Files(tuple((disk, paths[disk.serial]) for disk in disks), floppy)
