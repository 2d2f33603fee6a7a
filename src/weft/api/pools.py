"""Pools."""

from typing import Annotated

from fastapi import APIRouter, Query

from weft.api.deps import TheRoom
from weft.api.shield import finish
from weft.model.pool import PoolSpec, PoolView

router = APIRouter(prefix="/pools", tags=["pools"])


@router.get("")
async def list_pools(room: TheRoom) -> list[PoolView]:
    """All pools."""
    found = sorted(room.site.shelves.pools, key=lambda pool: pool.name)
    return [await room.pools.view(pool) for pool in found]


@router.post("")
async def set_pool(
    room: TheRoom,
    spec: PoolSpec,
    wait: Annotated[bool, Query(description="the answer comes when all copies are ready")] = True,
) -> PoolView:
    """Make a pool of an image's copies, or change the one there is. If they cannot be made ready, the pool stays."""
    record = await finish(room.pools.set(spec))
    if wait:
        await room.pools.wait_full(record.name)
    return await room.pools.view(record)


@router.get("/{image:path}")
async def get_pool(room: TheRoom, image: str) -> PoolView:
    """The pool of an image."""
    return await room.pools.view(room.pools.get(image))


@router.delete("/{image:path}", status_code=204)
async def remove_pool(room: TheRoom, image: str) -> None:
    """Take the pool of an image away; its copies end. Machines that were taken from it stay."""
    await finish(room.pools.remove(image))
