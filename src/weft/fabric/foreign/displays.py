"""Screens: QEMU listens nowhere for who wants to look at one, but is handed the end of a socket."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from weft.fabric.site import Site
from weft.host.qemu import open_qmp
from weft.model.errors import WrongState
from weft.model.machine import State

_READ_BYTES = 1 << 16


class Screen:
    """A machine's screen, keyboard and mouse, as one viewer has them: raw bytes of RFB both ways."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    async def read(self) -> bytes:
        """What has come; nothing when the machine has ended."""
        with suppress(ConnectionError):
            return await self._reader.read(_READ_BYTES)
        return b""

    async def write(self, data: bytes) -> None:
        with suppress(ConnectionError):
            self._writer.write(data)
            await self._writer.drain()


class Displays:
    """The screens of a room's machines."""

    def __init__(self, site: Site) -> None:
        self._site = site

    @asynccontextmanager
    async def open(self, name: str) -> AsyncIterator[Screen]:
        """Look at a machine's screen, beside others. Raises NotFound, WrongState: it does not run, or has none."""
        machine = self._site.shelves.machines.get(name)
        if machine.spec.foreign is None or machine.spec.foreign.display is None:
            raise WrongState(f"machine {name!r} has no screen", hint="weft run --display vnc makes one with a screen")
        if machine.state is not State.RUNNING:
            raise WrongState(f"machine {name!r} is {machine.state}, not running")
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                await self._hand_over(name, theirs.fileno())
            except BaseException:
                ours.close()
                raise
        reader, writer = await asyncio.open_unix_connection(sock=ours)
        try:
            yield Screen(reader, writer)
        finally:
            writer.close()

    async def _hand_over(self, name: str, fd: int) -> None:
        qmp = await open_qmp(self._site.layout.machine(name).qmp)
        try:
            await qmp.add_viewer(fd)
        finally:
            await qmp.close()
