"""Traces: why something gets through, or does not."""

from fastapi import APIRouter

from weft.api.deps import TheFabric, TheRoom
from weft.api.shield import finish
from weft.api.visits import TheVisit
from weft.fabric.tracing.tracer import trace
from weft.model.trace import TraceRequest, TraceView
from weft.plan.visits import check_trace

router = APIRouter(tags=["traces"])


@router.post("/trace")
async def make_trace(fabric: TheFabric, room: TheRoom, visit: TheVisit, body: TraceRequest) -> TraceView:
    """Say hop by hop what lies between two places, by wiring, routes and rules, and send a packet that way."""
    if visit is not None:
        check_trace(visit, body)
    return await finish(trace(fabric, room.site.room, body))
