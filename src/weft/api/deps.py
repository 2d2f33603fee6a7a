"""What routes need of the application they belong to."""

from typing import Annotated

from fastapi import Depends, Query
from starlette.requests import HTTPConnection

from weft.fabric.fabric import Fabric
from weft.fabric.room import Room
from weft.model.names import DEFAULT_ROOM


async def get_fabric(connection: HTTPConnection) -> Fabric:
    """The fabric that this application serves."""
    fabric: Fabric = connection.app.state.fabric
    return fabric


def find_room(connection: HTTPConnection) -> Room:
    """The room that a path names; where it names none, the default one. Raises NotFound, WrongState, Unavailable."""
    fabric: Fabric = connection.app.state.fabric
    return fabric.room(connection.path_params.get("room", DEFAULT_ROOM))


async def get_room(connection: HTTPConnection) -> Room:
    """As `find_room`, for routes."""
    return find_room(connection)


AllRooms = Annotated[bool, Query(description="of all rooms; of the one that the path names if not")]


async def get_rooms(connection: HTTPConnection, all_rooms: AllRooms = False) -> list[Room]:
    """Whose things a listing is to show."""
    fabric: Fabric = connection.app.state.fabric
    return list(fabric.rooms) if all_rooms else [find_room(connection)]


TheFabric = Annotated[Fabric, Depends(get_fabric)]
TheRoom = Annotated[Room, Depends(get_room)]
TheRooms = Annotated[list[Room], Depends(get_rooms)]
