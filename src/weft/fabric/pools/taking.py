"""Taking a copy from a pool: what it has on the host becomes a machine's. The machine's start then tells it who it is.

The machine's record comes first. A daemon that dies on the way leaves a machine that has been made and not started;
the next one ends the copy, and the machine's start is like any other.
"""

import shutil

from weft.fabric.machines import Checked
from weft.fabric.pools.fitting import find_copy, want_copy
from weft.fabric.pools.keeping import Keeping
from weft.fabric.ports import Ports
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.pool import CopyRecord
from weft.fabric.site import Site
from weft.model.errors import Unavailable


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
        return find_copy(self._site, self._keeping.describe_copy(checked))

    async def take(self, copy: CopyRecord, machine: MachineRecord) -> None:
        """Give a copy's links and folder to the machine that has it by its record. Raises NotFound, Unavailable."""
        folder = self._site.layout.machine(machine.name).folder
        shutil.rmtree(folder, ignore_errors=True)  # of a machine of this name that was not removed to its end
        try:
            self._site.layout.pool.machine(copy.name).folder.rename(folder)
        except OSError as err:
            raise Unavailable(f"the folder of copy {copy.name} does not move: {err.strerror}") from err
        finally:
            await self._site.shelves.copies.drop(copy.name)
        await self._ports.take_over(machine)
