"""The images that a machine with a system of its own has in its drives."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.host.boot_folder import walk_folder
from weft.host.drives import exchange_medium
from weft.host.media import Drive, check_medium, open_medium
from weft.host.qemu import open_qmp
from weft.model.boot_files import parse_boot_file
from weft.model.errors import Invalid, WrongState
from weft.model.foreign import ForeignSpec
from weft.plan.foreign_boot import FLOPPY_DRIVE, Medium, cdrom_drive


@dataclass(frozen=True, slots=True)
class OpenMedia:
    """All of them, open."""

    cdroms: tuple[Medium, ...]
    floppy: Medium | None
    disks: tuple[Medium, ...]

    @property
    def fds(self) -> list[int]:
        floppy = () if self.floppy is None else (self.floppy,)
        return [medium.fd for medium in (*self.cdroms, *floppy, *self.disks)]


def check_media(home: Path, foreign: ForeignSpec) -> None:
    """Raises NotFound, Unavailable, Invalid for a file that no machine of the fabric in `home` can have."""
    for drive, path in _list_media(foreign):
        check_medium(path, drive, home)
    for file in map(parse_boot_file, foreign.boot_files):
        if file.is_folder:
            for _ in walk_folder(Path(file.path), home):
                pass
        elif Path(file.path).is_dir():
            raise Invalid(f"{file.path} is a folder", hint="with / at its end: all that is in it")
        else:
            check_medium(Path(file.path), Drive.CDROM, home)  # it is only read, too


def open_media(stack: ExitStack, site: Site, machine: MachineRecord) -> OpenMedia:
    """Open here as long as `stack`, and locked until nobody has them open.

    Raises Unavailable, Invalid, WrongState when somebody else writes to one of them, or has one that this writes to.
    """
    foreign = machine.spec.foreign
    assert foreign is not None, "it is foreign"
    found: dict[Drive, list[Medium]] = {drive: [] for drive in Drive}
    for drive, path in _list_media(foreign):
        found[drive].append(_open(stack, site, machine, drive, path))
    floppies = found[Drive.FLOPPY]
    return OpenMedia(tuple(found[Drive.CDROM]), floppies[0] if floppies else None, tuple(found[Drive.DISK]))


async def exchange_media(site: Site, machine: MachineRecord, wanted: ForeignSpec) -> None:
    """Put other CDs and another floppy into the drives of a machine that runs. Raises as `open_media` does, Internal
    when its QEMU refuses."""
    before, after = _list_removable(machine.spec.foreign), _list_removable(wanted)
    with ExitStack() as stack:
        media = {name: _open(stack, site, machine, *what) for name, what in after.items() if before.get(name) != what}
        qmp = await open_qmp(site.layout.machine(machine.name).qmp)
        try:
            for name, medium in media.items():
                await exchange_medium(qmp, name, medium.fd, read_only=medium.read_only)
        finally:
            await qmp.close()


def _open(stack: ExitStack, site: Site, machine: MachineRecord, drive: Drive, path: Path) -> Medium:
    try:
        medium = open_medium(stack, path, drive, site.home)
    except WrongState as err:
        raise _explain(site, machine, path) from err
    return Medium(medium.fd, medium.format, read_only=not drive.writes)


def _list_removable(foreign: ForeignSpec | None) -> dict[str, tuple[Drive, Path]]:
    """By the names of drives."""
    assert foreign is not None, "it is foreign"
    cds = {cdrom_drive(index): (Drive.CDROM, Path(file)) for index, file in enumerate(foreign.cdroms)}
    floppy = foreign.floppy_drive
    return cds if floppy is None else {**cds, FLOPPY_DRIVE: (Drive.FLOPPY, Path(floppy))}


def _list_media(foreign: ForeignSpec) -> Iterator[tuple[Drive, Path]]:
    yield from ((Drive.CDROM, Path(file)) for file in foreign.cdroms)
    if foreign.floppy_drive is not None:
        yield Drive.FLOPPY, Path(foreign.floppy_drive)
    yield from ((Drive.DISK, Path(file)) for file in foreign.disks)


def _explain(site: Site, machine: MachineRecord, path: Path) -> WrongState:
    """Whoever it is: of machines in other rooms nobody here is to know."""
    place = path.resolve()
    for other in site.shelves.machines:
        foreign = other.spec.foreign if other.state.is_live and other.name != machine.name else None
        if foreign is not None and any(file.resolve() == place for _, file in _list_media(foreign)):
            return WrongState(f"{path} is in use by machine {other.name!r}", hint="stop it first")
    return WrongState(f"{path} is in use: it is in another drive, or another program has it")
