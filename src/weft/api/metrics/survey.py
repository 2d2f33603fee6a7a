"""One scrape: every subject puts its samples on a sheet."""

from weft.api.metrics import host, ledger, machines, rooms
from weft.api.metrics.sheet import Family, Sheet
from weft.fabric.fabric import Fabric
from weft.fabric.metering import Metering

SUBJECTS = (host, ledger, rooms, machines)
"""In the order in which they are sent."""


def list_families() -> list[Family]:
    """All there are."""
    return [family for subject in SUBJECTS for family in subject.FAMILIES]


async def survey(fabric: Fabric, metering: Metering, *, ask: bool) -> Sheet:
    """All samples as they are now; with `ask`, guests are asked for what only they know."""
    sheet = Sheet.of(list_families())
    readings = await metering.read(ask=ask)
    host.fill(sheet, fabric.shared.facts)
    ledger.fill(sheet, fabric.host.recall())
    rooms.fill(sheet, readings)
    machines.fill(sheet, readings, asked=ask)
    return sheet
