"""Rooms."""

from typing import Annotated

from fastapi import APIRouter, Query

from weft.api.deps import TheFabric
from weft.api.shield import finish
from weft.model.room import RoomSpec, RoomView

router = APIRouter(prefix="/rooms", tags=["rooms"])


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


@router.delete("/{name}", status_code=204)
async def remove_room(
    fabric: TheFabric,
    name: str,
    force: Annotated[bool, Query(description="with its machines and inserts")] = False,
    volumes: Annotated[bool, Query(description="with its volumes")] = False,
) -> None:
    """Remove a room with its networks."""
    await finish(fabric.rooms.remove(name, force=force, volumes=volumes))
