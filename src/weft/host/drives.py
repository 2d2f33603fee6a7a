"""Drives of a QEMU that runs: another CD or floppy is put in, as by hand."""

from dataclasses import dataclass
from typing import Any

from weft.host.qemu import Qmp
from weft.model.errors import Internal

_SETS = "/dev/fdset/"
"""What QEMU calls files that it has as sets of descriptors."""


@dataclass(frozen=True, slots=True)
class Inserted:
    """What is in a drive: its node, and the number of the set of descriptors that it is read from."""

    node: str
    number: int


async def exchange_medium(qmp: Qmp, drive: str, fd: int, *, read_only: bool) -> None:
    """Put the open file `fd` into a drive in place of what is there, which QEMU lets go of. The caller keeps its own.

    Raises Internal, Unavailable: what was there still is, or nothing.
    """
    before = await _find_inserted(qmp, drive)
    number = await qmp.add_descriptor(fd)
    node = f"{drive}-{number}"
    file = {"driver": "file", "filename": f"{_SETS}{number}", "locking": "off" if read_only else "on"}
    try:
        await qmp.execute("blockdev-add", {"driver": "raw", "node-name": node, "read-only": read_only, "file": file})
    except Internal:
        await qmp.execute("remove-fd", {"fdset-id": number})  # it would stay locked
        raise
    await qmp.execute("blockdev-open-tray", {"id": drive, "force": True})  # also when the machine has locked it
    await qmp.execute("blockdev-remove-medium", {"id": drive})
    await qmp.execute("blockdev-insert-medium", {"id": drive, "node-name": node})
    await qmp.execute("blockdev-close-tray", {"id": drive})
    if before is not None:
        await qmp.execute("blockdev-del", {"node-name": before.node})
        await qmp.execute("remove-fd", {"fdset-id": before.number})


async def _find_inserted(qmp: Qmp, drive: str) -> Inserted | None:
    for found in await qmp.execute("query-block"):
        if _name_of(found) == drive:
            return _read_inserted(found.get("inserted"))
    raise Internal(f"this QEMU has no drive {drive!r}")


def _name_of(found: dict[str, Any]) -> str:
    """QEMU tells the path of a device within another, as the part of a controller that the drive is."""
    return str(found.get("qdev", "")).rpartition("/")[2]


def _read_inserted(found: dict[str, Any] | None) -> Inserted | None:
    return None if found is None else Inserted(found["node-name"], int(found["file"].removeprefix(_SETS)))
