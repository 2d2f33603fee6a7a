"""Sizes of elastic machines."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress
from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from weft.api.deps import TheRoom
from weft.api.shield import finish
from weft.fabric.room import Room
from weft.model.elastic import ElasticAccount, ElasticView, Resource
from weft.model.errors import Invalid
from weft.plan.elastic.growth import find_target

router = APIRouter(prefix="/machines", tags=["machines"])
Patience = Annotated[
    float, Query(ge=0, le=60, description="seconds that the answer may wait until nothing is on its way")
]


class ScaleBody(BaseModel):
    """What a machine is to have. None: as now; `add_`: so much more, or less, than it has been granted, or than was
    asked for last and is on its way. `wait`: the answer comes when nothing more will become of it.
    """

    model_config = ConfigDict(extra="forbid")

    cpus: int | None = Field(default=None, ge=1)
    memory: int | None = Field(default=None, ge=1, description="bytes")
    add_cpus: int | None = None
    add_memory: int | None = Field(default=None, description="bytes")
    wait: bool = True
    by: str = Field(default="weft scale", max_length=80, description="who asks")


@router.post("/{name}/scale")
async def scale_machine(room: TheRoom, name: str, body: ScaleBody) -> ElasticView:
    """Give a machine that runs more or less, within its range. What becomes of it is in the answer."""
    return await finish(_scale(room, name, body))


@router.get("/{name}/elastic")
async def get_elastic(room: TheRoom, name: str, patience: Patience = 0.0) -> ElasticView:
    """How elastic a machine is, and what it has now by the host's, QEMU's and its kernel's word."""
    with suppress(TimeoutError):
        async with asyncio.timeout(patience):
            await _await_settled(room, name)
    return await room.scaling.view(name)


@router.get("/{name}/elastic/account")
async def explain_elastic(room: TheRoom, name: str) -> ElasticAccount:
    """What a machine's policy did last and why, and what it waits for."""
    return room.explaining.explain(name)


async def _scale(room: Room, name: str, body: ScaleBody) -> ElasticView:
    wanted = _find_wanted(room, name, body)
    for resource, size in wanted.items():
        room.scaling.check(room.site.shelves.machines.get(name), resource, size)
    for resource, size in wanted.items():
        await room.scaling.scale(name, resource, size, body.by)
    if body.wait:
        await _await_settled(room, name)
    return await room.scaling.view(name)


def _find_wanted(room: Room, name: str, body: ScaleBody) -> Mapping[Resource, int]:
    """Raises NotFound, and Invalid when nothing is wanted, or two things at once."""
    machine = room.site.shelves.machines.get(name)
    granted = {Resource.CPUS: machine.granted_cpus, Resource.MEMORY: machine.granted_memory}
    wanted: dict[Resource, int] = {}
    for resource, now in granted.items():
        size, change = getattr(body, resource.value), getattr(body, f"add_{resource}")
        if size is not None and change is not None:
            raise Invalid(f"{resource}: either so much, or so much more")
        if size is not None:
            wanted[resource] = size
        elif change is not None:
            wanted[resource] = find_target(now, machine.find_request(resource), change)
    if not wanted:
        raise Invalid("nothing to change", hint="say how many cpus, or how much memory")
    return wanted


async def _await_settled(room: Room, name: str) -> None:
    for resource in Resource:
        if room.site.shelves.machines.get(name).find_request(resource):
            await room.scaling.settled(name, resource)
