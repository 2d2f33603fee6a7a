"""How fast a QEMU lets a machine use its disks: one budget for all of them, which can change while it runs.

It is QEMU's own, of the `throttle` kind that each of a machine's disks can join: it needs no right on the host, no
version of control groups, and no word on the command line.
"""

from typing import Any

from weft.host.qemu import Qmp
from weft.model.limits import LimitsSpec

GROUP = "machine"
FLASH = "/machine/system.flash"
"""Where QEMU has the chips with a machine's firmware. While one of them is waited for, all of QEMU waits."""


async def limit_disks(qmp: Qmp, limits: LimitsSpec) -> None:
    """Hold all disks of a machine together to this, or to nothing. Raises Unavailable, Internal (QEMU refuses)."""
    for device in find_disks(await qmp.execute("query-block")):
        await qmp.execute("block_set_io_throttle", dump_throttle(device, limits))


def find_disks(blocks: list[dict[str, Any]]) -> list[str]:
    """The devices with a disk in them, by their places in QEMU, from what `query-block` answers."""
    places = [block["qdev"] for block in blocks if block.get("inserted") and block.get("qdev")]
    return [place for place in places if not place.startswith(FLASH)]


def dump_throttle(device: str, limits: LimitsSpec) -> dict[str, Any]:
    """What QEMU is told for one device; zero is no limit, and a device without any is in no group."""
    rates = {
        "bps": 0,
        "bps_rd": limits.disk_read or 0,
        "bps_wr": limits.disk_write or 0,
        "iops": 0,
        "iops_rd": limits.disk_read_ops or 0,
        "iops_wr": limits.disk_write_ops or 0,
    }
    return {"id": device, **rates, **({"group": GROUP} if limits.of_disks else {})}
