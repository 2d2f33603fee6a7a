"""Serial consoles: one visitor at a time, since QEMU serves one connection and lets others wait unseen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from weft.fabric.site import Site
from weft.host.sockets import connect_unix
from weft.model.errors import WrongState

Console = tuple[asyncio.StreamReader, asyncio.StreamWriter]


class Consoles:
    """The serial lines of a fabric's machines."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._open: set[str] = set()

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Console]:
        """Raw bytes to and from a machine's serial line. Raises NotFound, or WrongState: not running, or in use."""
        machine = self._site.shelves.machines.get(name)
        if not machine.state.is_live:
            raise WrongState(f"machine {name!r} is {machine.state}")
        if name in self._open:
            raise WrongState(f"the console of machine {name!r} is in use")
        self._open.add(name)
        try:
            sock = await connect_unix(self._site.layout.machine(name).serial, "the console's socket")
            reader, writer = await asyncio.open_unix_connection(sock=sock)
            try:
                yield reader, writer
            finally:
                writer.close()
        finally:
            self._open.discard(name)
