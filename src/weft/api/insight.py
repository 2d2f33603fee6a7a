"""What machines use, and what runs in them."""

from typing import Annotated

from fastapi import APIRouter, Query

from weft.api.deps import TheRoom
from weft.model.stats import ProcessView, StatsView

router = APIRouter(tags=["insight"])


@router.get("/stats")
async def get_stats(
    room: TheRoom, machine: Annotated[list[str] | None, Query(description="which; all that run if none")] = None
) -> list[StatsView]:
    """What machines use now. Shares of a processor come from two answers."""
    return await room.insight.stats(machine or ())


@router.get("/machines/{name}/processes")
async def list_processes(room: TheRoom, name: str) -> list[ProcessView]:
    """What runs in a machine, whether or not its image has a program that could say."""
    return await room.insight.processes(name)
