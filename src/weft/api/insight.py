"""What machines use, and what runs in them."""

from typing import Annotated

from fastapi import APIRouter, Query

from weft.api.deps import TheRoom
from weft.model.history import HistoryView
from weft.model.stats import ProcessView, StatsView

router = APIRouter(tags=["insight"])
_HOUR = 3600.0
_LATEST = 1e11
"""Seconds since the epoch: no time of anything comes near it."""


@router.get("/stats")
async def get_stats(
    room: TheRoom, machine: Annotated[list[str] | None, Query(description="which; all that run if none")] = None
) -> list[StatsView]:
    """What machines use now. Shares of a processor come from two answers."""
    return await room.insight.stats(machine or ())


@router.get("/machines/{name}/history")
async def get_history(
    room: TheRoom,
    name: str,
    since: Annotated[float | None, Query(ge=0, le=_LATEST, description="an hour ago if none")] = None,
    until: Annotated[float | None, Query(ge=0, le=_LATEST, description="now if none")] = None,
) -> HistoryView:
    """What a machine used between two times, in seconds since the epoch: steps of ten seconds for the last hour, of a
    minute for the last day."""
    end = room.site.clock() if until is None else until
    return room.recording.view(name, end - _HOUR if since is None else since, end)


@router.get("/machines/{name}/processes")
async def list_processes(room: TheRoom, name: str) -> list[ProcessView]:
    """What runs in a machine, whether or not its image has a program that could say."""
    return await room.insight.processes(name)
