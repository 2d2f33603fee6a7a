"""Rooms."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from weft.api.deps import TheFabric
from weft.api.shield import finish
from weft.api.specs import dump_problems
from weft.model.errors import Invalid
from weft.model.fork import RoomForkSpec, RoomForkView
from weft.model.room import Isolation, RoomSpec, RoomView

router = APIRouter(prefix="/rooms", tags=["rooms"])


class RoomChange(BaseModel):
    """What of a room is to be otherwise; the rest stays. Of `resources` null takes away."""

    model_config = ConfigDict(extra="forbid")

    description: str | None = None
    isolation: Isolation | None = None
    resources: dict[str, Any] = Field(default_factory=dict, description="as in a room's spec")


@router.get("")
async def list_rooms(fabric: TheFabric) -> list[RoomView]:
    """All rooms, the default one first."""
    return [fabric.rooms.view(record) for record in fabric.rooms.records()]


@router.post("", status_code=201)
async def create_room(fabric: TheFabric, spec: RoomSpec) -> RoomView:
    """Make a room."""
    return fabric.rooms.view(await finish(fabric.rooms.create(spec)))


@router.get("/{name}")
async def get_room(fabric: TheFabric, name: str) -> RoomView:
    """One room."""
    return fabric.rooms.view(fabric.rooms.record(name))


@router.patch("/{name}")
async def change_room(fabric: TheFabric, name: str, body: RoomChange) -> RoomView:
    """Change a room, while its machines run: at once, its isolation from the next starts on."""
    spec = _merge(fabric.rooms.record(name).spec, body)
    return fabric.rooms.view(await finish(fabric.rooms.change(spec)))


def _merge(spec: RoomSpec, change: RoomChange) -> RoomSpec:
    plain = change.model_dump(exclude={"resources"}, exclude_none=True)
    resources = {**spec.resources.model_dump(), **change.resources}
    try:
        return RoomSpec.model_validate({**spec.model_dump(), **plain, "resources": resources})
    except ValidationError as err:
        raise Invalid(dump_problems(err.errors())) from err


@router.post("/{name}/fork", status_code=201)
async def fork_room(fabric: TheFabric, name: str, body: RoomForkSpec) -> RoomForkView:
    """Copy a room at one instant: what runs in it goes on in the copy, with the same names and addresses, isolated. The
    answer comes when all of it is ready."""
    forked = await finish(fabric.room_forks.fork(name, body))
    room = fabric.room(body.name)
    machines = sorted(room.site.shelves.machines, key=lambda machine: machine.slot)
    return RoomForkView(
        room=fabric.rooms.view(fabric.rooms.record(body.name)),
        machines=[room.machines.view(machine) for machine in machines],
        pauses=forked.pauses,
        disks=forked.disks,
        left_out=forked.left_out,
        took=forked.took,
    )


@router.delete("/{name}", status_code=204)
async def remove_room(
    fabric: TheFabric,
    name: str,
    force: Annotated[bool, Query(description="with its machines and inserts")] = False,
    volumes: Annotated[bool, Query(description="with its volumes and snapshots")] = False,
) -> None:
    """Remove a room with its networks."""
    await finish(fabric.rooms.remove(name, force=force, volumes=volumes))
