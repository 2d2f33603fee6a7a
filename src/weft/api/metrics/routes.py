"""The route that Prometheus asks."""

import asyncio
from enum import StrEnum
from importlib import import_module
from typing import Annotated

from fastapi import APIRouter, Header, Query, Request
from fastapi.responses import PlainTextResponse, Response

from weft.api.deps import TheFabric
from weft.api.metrics.sheet import Sheet
from weft.api.metrics.survey import survey

router = APIRouter(tags=["metrics"])


class Format(StrEnum):
    """The text format 0.0.4, or OpenMetrics 1.0.0."""

    TEXT = "text"
    OPENMETRICS = "openmetrics"


@router.get("/metrics", response_class=PlainTextResponse)
async def get_metrics(
    request: Request,
    fabric: TheFabric,
    ask: Annotated[bool, Query(description="whether guests are asked for what only they know")] = True,
    format: Annotated[Format | None, Query(description="what `Accept` says if none")] = None,
    accept: Annotated[str, Header(include_in_schema=False)] = "",
) -> Response:
    """Numbers of all rooms, machines, the host and the daemon, as Prometheus reads them. A silent guest costs a second,
    however many are silent."""
    sheet = await survey(fabric, request.app.state.metering, ask=ask)
    return await asyncio.to_thread(_dump, sheet, format, accept)


def _dump(sheet: Sheet, wanted: Format | None, accept: str) -> Response:
    """Beside the loop: the import takes 80 ms once, and many machines make many lines."""
    exposition = import_module("weft.api.metrics.exposition")
    body, media_type = exposition.dump_sheet(sheet, exposition.accept_of(wanted) if wanted else accept)
    return Response(body, media_type=media_type)
