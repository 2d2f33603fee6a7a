"""What routes need of the application they belong to."""

from typing import Annotated

from fastapi import Depends
from starlette.requests import HTTPConnection

from weft.fabric.fabric import Fabric


def get_fabric(connection: HTTPConnection) -> Fabric:
    """The fabric that this application serves."""
    fabric: Fabric = connection.app.state.fabric
    return fabric


TheFabric = Annotated[Fabric, Depends(get_fabric)]
