"""Volumes."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from weft.api.deps import TheRoom
from weft.api.shield import finish
from weft.model.volume import MAX_VOLUME, MIN_VOLUME, VolumeSpec, VolumeView

router = APIRouter(prefix="/volumes", tags=["volumes"])


class VolumeChange(BaseModel):
    """`size`: the new one, in bytes."""

    model_config = ConfigDict(extra="forbid")

    size: int = Field(ge=MIN_VOLUME, le=MAX_VOLUME)


@router.get("")
async def list_volumes(room: TheRoom) -> list[VolumeView]:
    """All volumes."""
    found = sorted(room.site.shelves.volumes, key=lambda volume: volume.name)
    return [room.volumes.view(volume) for volume in found]


@router.post("", status_code=201)
async def create_volume(room: TheRoom, spec: VolumeSpec) -> VolumeView:
    """Make an empty volume."""
    return room.volumes.view(await finish(room.volumes.create(spec)))


@router.post("/prune")
async def prune_volumes(room: TheRoom) -> list[str]:
    """Remove all volumes that no machine uses; their names."""
    return await finish(room.volumes.prune())


@router.get("/{name}")
async def get_volume(room: TheRoom, name: str) -> VolumeView:
    """One volume."""
    return room.volumes.view(room.site.shelves.volumes.get(name))


@router.patch("/{name}")
async def resize_volume(room: TheRoom, name: str, change: VolumeChange) -> VolumeView:
    """Make a volume larger that no running machine has."""
    return room.volumes.view(await finish(room.volumes.resize(name, change.size)))


@router.delete("/{name}", status_code=204)
async def remove_volume(room: TheRoom, name: str) -> None:
    """Remove a volume that no machine uses."""
    await finish(room.volumes.remove(name))
