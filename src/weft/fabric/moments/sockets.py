"""The sockets of a machine's QEMU when another takes over: their names move, and a connection is there beforehand."""

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

from weft.fabric.layout import MachineFiles
from weft.host.sockets import connect_unix

CHANNELS = ("qmp", "serial", "agent")
Connection = tuple[asyncio.StreamReader, asyncio.StreamWriter]


async def open_connection(path: Path) -> Connection:
    """A connection to a QEMU that does not run its machine yet. Raises Unavailable."""
    return await asyncio.open_unix_connection(sock=await connect_unix(path, "the agent's socket"))


def move_sockets(files: MachineFiles) -> None:
    """Give the names of a machine's sockets to those of the QEMU that has taken over, as far as that is not done."""
    for channel in CHANNELS:
        with suppress(FileNotFoundError):
            files.next.channel(channel).replace(files.channel(channel))
    remove_next(files)


def remove_next(files: MachineFiles) -> None:
    """Remove what is left of a second QEMU's sockets."""
    shutil.rmtree(files.next.folder, ignore_errors=True)
