"""Changes of machines that are there."""

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weft.api.deps import TheRoom
from weft.api.shield import finish
from weft.api.specs import dump_problems
from weft.api.visits import TheVisit
from weft.fabric.room import Room
from weft.model.errors import Invalid
from weft.model.machine import MachineSpec, MachineUpdate
from weft.plan.update import SpecChange, change_spec
from weft.plan.visits import check_machine

router = APIRouter(prefix="/machines", tags=["machines"])


class UpdateRequest(BaseModel):
    """`changes`: parts of its spec with other values; null is what the image says, or none.

    `restart`: stop and start it where that is needed. `wait`: the answer comes when its agent answers again. `plan`:
    change nothing, say what would be.
    """

    model_config = ConfigDict(extra="forbid")

    changes: dict[str, Any] = Field(description="as in a machine's spec; what is left out stays, also within `elastic`")
    restart: bool = False
    wait: bool = True
    plan: bool = False


@router.patch("/{name}")
async def update_machine(room: TheRoom, visit: TheVisit, name: str, body: UpdateRequest) -> MachineUpdate:
    """Change parts of a machine's spec: at once where that can be, with a restart where it has to be."""
    before = room.site.shelves.machines.get(name).spec
    spec = _merge(before, body.changes)
    if visit is not None:
        check_machine(visit, spec, before)
    if body.plan:
        change = await room.updates.plan(name, spec)
    else:
        change = await finish(_update(room, name, spec, body))
    view = room.machines.view(room.site.shelves.machines.get(name))
    return MachineUpdate(machine=view, live=list(change.live), restart=list(change.restart))


def _merge(spec: MachineSpec, changes: dict[str, Any]) -> MachineSpec:
    try:
        return MachineSpec.model_validate(change_spec(spec, changes))
    except ValidationError as err:
        raise Invalid(dump_problems(err.errors())) from err


async def _update(room: Room, name: str, spec: MachineSpec, body: UpdateRequest) -> SpecChange:
    ran = room.site.shelves.machines.get(name).state.is_live
    change = await room.updates.update(name, spec, restart=body.restart)
    if change.restart and ran and body.wait:
        await room.lifecycle.wait_ready(name)
    return change
