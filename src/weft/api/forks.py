"""Forks of machines."""

from fastapi import APIRouter

from weft.api.deps import TheRoom
from weft.api.shield import finish
from weft.fabric.room import Room
from weft.model.fork import ForkSpec, ForkView

router = APIRouter(prefix="/machines", tags=["machines"])


@router.post("/{name}/fork", status_code=201)
async def fork_machine(room: TheRoom, name: str, body: ForkSpec) -> ForkView:
    """Make copies of a machine that runs: each goes on from its memory, as somebody else. The answer comes when all are
    ready."""
    return await finish(_fork(room, name, body))


async def _fork(room: Room, name: str, wanted: ForkSpec) -> ForkView:
    forked = await room.forks.fork(name, wanted)
    shelf = room.site.shelves.machines
    return ForkView(
        machines=[room.machines.view(machine) for one in forked.names if (machine := shelf.find(one)) is not None],
        failed=forked.failed,
        pause=forked.pause,
        disks=forked.disks,
        took=forked.took,
    )
