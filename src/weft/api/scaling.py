"""Sizes of elastic machines."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from weft.api.deps import TheRoom
from weft.api.shield import finish
from weft.fabric.room import Room
from weft.model.elastic import ElasticView, Resource
from weft.model.errors import Invalid

router = APIRouter(prefix="/machines", tags=["machines"])


class ScaleBody(BaseModel):
    """What a machine is to have: None: as now. `wait`: the answer comes when nothing more will become of it."""

    model_config = ConfigDict(extra="forbid")

    cpus: int | None = Field(default=None, ge=1)
    memory: int | None = Field(default=None, ge=1, description="bytes")
    wait: bool = True
    by: str = Field(default="weft scale", max_length=80, description="who asks")


@router.post("/{name}/scale")
async def scale_machine(room: TheRoom, name: str, body: ScaleBody) -> ElasticView:
    """Give a machine that runs more or less, within its range. What becomes of it is in the answer."""
    return await finish(_scale(room, name, body))


@router.get("/{name}/elastic")
async def get_elastic(room: TheRoom, name: str) -> ElasticView:
    """How elastic a machine is, and what it has now by the host's, QEMU's and its kernel's word."""
    return await room.scaling.view(name)


async def _scale(room: Room, name: str, body: ScaleBody) -> ElasticView:
    wanted = {resource: size for resource in Resource if (size := getattr(body, resource.value)) is not None}
    if not wanted:
        raise Invalid("nothing to change", hint="say how many cpus, or how much memory")
    for resource, size in wanted.items():
        room.scaling.check(room.site.shelves.machines.get(name), resource, size)
    for resource, size in wanted.items():
        await room.scaling.scale(name, resource, size, body.by)
    if body.wait:
        for resource in wanted:
            await room.scaling.settled(name, resource)
    return await room.scaling.view(name)
