"""The images that a machine with a system of its own has in its drives."""

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from weft.fabric.records.machine import MachineRecord
from weft.fabric.site import Site
from weft.host.media import Drive, check_medium, open_medium
from weft.model.errors import WrongState
from weft.model.foreign import ForeignSpec
from weft.plan.foreign_boot import Medium


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


def open_media(stack: ExitStack, site: Site, machine: MachineRecord) -> OpenMedia:
    """Open here as long as `stack`, and locked until nobody has them open.

    Raises Unavailable, Invalid, WrongState when somebody else writes to one of them, or has one that this writes to.
    """
    foreign = machine.spec.foreign
    assert foreign is not None, "it is foreign"
    found: dict[Drive, list[Medium]] = {drive: [] for drive in Drive}
    for drive, path in _list_media(foreign):
        try:
            medium = open_medium(stack, path, drive, site.home)
        except WrongState as err:
            raise _explain(site, machine, path) from err
        found[drive].append(Medium(medium.fd, medium.format, read_only=not drive.writes))
    floppies = found[Drive.FLOPPY]
    return OpenMedia(tuple(found[Drive.CDROM]), floppies[0] if floppies else None, tuple(found[Drive.DISK]))


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
