"""A fabric in the test's own process, for what no command does by itself."""

import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from tests.machine.fabrics import PREPARED, share_file

from weft.fabric.opening import open_fabric
from weft.fabric.room import Room
from weft.guest.binary import read_init
from weft.model.machine import MachineSpec
from weft.model.names import DEFAULT_ROOM
from weft.settings import load_settings


@asynccontextmanager
async def open_inside(home: Path) -> AsyncIterator[Room]:
    """The default room of a fabric in `home`, as a daemon has it. Closing it leaves everything running."""
    for kind in ("images", "kernels"):
        if not (home / kind).exists():
            shutil.copytree(
                PREPARED / kind, home / kind, copy_function=share_file, ignore=shutil.ignore_patterns(".lock")
            )
    async with open_fabric(home, load_settings(home), read_init()) as fabric:
        yield fabric.room(DEFAULT_ROOM)


async def run_machine(room: Room, image: str, name: str, **spec: object) -> None:
    """Make a machine, and wait until it is ready."""
    await room.machines.create(MachineSpec.model_validate({"image": image, "name": name, **spec}))
    await room.lifecycle.wait_ready(name)


async def execute(room: Room, machine: str, *argv: str) -> str:
    """What a program in a machine prints; it must succeed."""
    agent = await room.runs.reach(machine)
    async with await agent.exec(argv) as process:
        status, out, err = await process.collect()
    assert status.code == 0, f"{argv}: {status}: {err.decode()}"
    return out.decode()
