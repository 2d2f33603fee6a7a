"""Taking a copy from a pool: what it has on the host becomes a machine's. The machine's start then tells it who it is.

The machine's record comes first. A daemon that dies on the way leaves a machine that has been made and not started;
the next one ends the copy, and the machine's start is like any other.
"""

import shutil

from weft.fabric.machines import Checked
from weft.fabric.pools.fitting import describe_copy, find_copy, want_copy
from weft.fabric.pools.keeping import Keeping
from weft.fabric.ports import Ports
from weft.fabric.records import CopyRecord, MachineRecord
from weft.fabric.site import Site


class Taking:
    """What machines ask when they are to be there at once."""

    def __init__(self, site: Site, ports: Ports, keeping: Keeping) -> None:
        self._site = site
        self._ports = ports
        self._keeping = keeping

    def find(self, checked: Checked) -> CopyRecord | None:
        """A copy that could become this machine. It is nobody else's once the machine's record says that it has it."""
        if not len(self._site.shelves.copies) or not want_copy(self._site, checked.spec):
            return None
        fits = describe_copy(self._site, checked.spec, checked.kernel, checked.memory, checked.nics)
        return find_copy(self._site, fits)

    async def take(self, copy: CopyRecord, machine: MachineRecord) -> None:
        """Give a copy's links and folder to the machine that has it by its record."""
        await self._ports.take_over(machine)
        folder = self._site.layout.machine(machine.name).folder
        shutil.rmtree(folder, ignore_errors=True)  # of a machine of this name that was not removed to its end
        self._site.layout.pool.machine(copy.name).folder.rename(folder)
        await self._site.shelves.copies.drop(copy.name)
        self._keeping.wake()
