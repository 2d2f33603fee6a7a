"""Serial consoles: one visitor at a time, since QEMU serves one connection and lets others wait unseen."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

from weft.fabric.site import Site
from weft.host.sockets import connect_unix
from weft.model.errors import Unavailable, WrongState

_READ_BYTES = 1 << 14
KILL_LINE = "\x15"
"""Ctrl-U: Plan 9's consoles and the terminals of Unix forget by it what has been typed of a line."""


class Console:
    """Raw bytes to and from a machine's serial line; also when the machine goes on in another QEMU meanwhile."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._line: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    async def connect(self) -> None:
        """To whichever QEMU the machine is in. Raises Unavailable: it is in none."""
        sock = await connect_unix(self._path, "the console's socket")
        self._line = await asyncio.open_unix_connection(sock=sock)

    async def read(self) -> bytes:
        """What has come; nothing when the machine has ended."""
        while self._line is not None:
            with suppress(ConnectionError):  # so ends the socket of a process that was killed
                if data := await self._line[0].read(_READ_BYTES):
                    return data
            self.close()
            with suppress(Unavailable):
                await self.connect()
        return b""

    async def write(self, data: bytes) -> None:
        """Type something; it is lost in the moment in which the machine changes its QEMU."""
        if self._line is not None:
            with suppress(ConnectionError):
                self._line[1].write(data)
                await self._line[1].drain()

    def close(self) -> None:
        """Hang up."""
        if self._line is not None:
            self._line[1].close()
            self._line = None


class Consoles:
    """The serial lines of a fabric's machines."""

    def __init__(self, site: Site) -> None:
        self._site = site
        self._open: dict[str, Console] = {}

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Console]:
        """A machine's serial line. Raises NotFound, or WrongState: not running, or in use."""
        machine = self._site.shelves.machines.get(name)
        if not machine.state.is_live:
            raise WrongState(f"machine {name!r} is {machine.state}")
        if name in self._open:
            raise WrongState(f"the console of machine {name!r} is in use")
        console = self._open[name] = Console(self._site.layout.machine(name).serial)
        try:
            await console.connect()
            yield console
        finally:
            console.close()
            del self._open[name]

    async def type_last_line(self, name: str, text: str) -> None:
        """Type a line that ends the machine, beside a visitor if there is one, and in place of what has been typed of
        another. Returns when it has ended: what its serial line has not taken yet would be lost if we hung up.

        Raises NotFound, WrongState, Unavailable.
        """
        line = f"{KILL_LINE}{text}\n".encode()
        if visitor := self._open.get(name):
            await visitor.write(line)
            return
        async with self.open(name) as console:
            await console.write(line)
            while await console.read():
                pass
