"""The application: routers put together, errors translated."""

import time
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from pydantic import BaseModel
from starlette.exceptions import HTTPException

from weft import __version__
from weft.api import (
    configs,
    events,
    fabric_files,
    files,
    firewalls,
    floppies,
    forks,
    host,
    images,
    inserts,
    insight,
    kernels,
    logs,
    machines,
    networks,
    pools,
    rooms,
    scaling,
    snapshots,
    sniffing,
    streams,
    system,
    templates,
    traces,
    updates,
    volumes,
)
from weft.api.metrics import routes as metrics_routes
from weft.api.specs import dump_problems
from weft.api.visits import Visiting
from weft.fabric.fabric import Fabric
from weft.fabric.metering import Metering
from weft.model.errors import Invalid, NotFound, WeftError

API_VERSION = "v1"
SHARED = (system, host, rooms, fabric_files, images, kernels, floppies)
"""Routes of what all rooms have in common."""
OF_A_ROOM = (
    machines,
    forks,
    scaling,
    updates,
    files,
    insight,
    logs,
    sniffing,
    streams,
    networks,
    inserts,
    volumes,
    pools,
    templates,
    snapshots,
    configs,
    traces,
    firewalls,
    events,
)
"""Routes of what each room has for itself: at /v1 those of the room `default`, at /v1/rooms/ROOM those of any."""


class ErrorBody(BaseModel):
    """What went wrong. `code` is one of the stable codes; `detail` may have several lines."""

    code: str
    message: str
    hint: str | None
    detail: str | None


class ErrorAnswer(BaseModel):
    """The answer to every request that fails."""

    error: ErrorBody


_FAILURES: dict[int | str, dict[str, Any]] = {
    "4XX": {"model": ErrorAnswer, "description": "The request cannot be carried out."},
    "5XX": {"model": ErrorAnswer, "description": "The host or the daemon cannot carry it out."},
}


def make_app(fabric: Fabric, on_shutdown: "system.Shutdown") -> FastAPI:
    """The HTTP API of a fabric. `on_shutdown` ends the daemon."""
    app = FastAPI(
        title="Weft",
        version=__version__,
        description="A microVM fabric: slip small machines into a running network.",
        responses=_FAILURES,
    )
    app.state.fabric = fabric
    app.state.shutdown = on_shutdown
    app.state.started = time.time()
    app.state.metering = Metering(fabric)
    for module in SHARED:
        app.include_router(module.router, prefix=f"/{API_VERSION}")
    for module in OF_A_ROOM:
        app.include_router(module.router, prefix=f"/{API_VERSION}")
        # Not in the OpenAPI document: the same routes again, which would say nothing new twice over.
        app.include_router(module.router, prefix=f"/{API_VERSION}/rooms/{{room}}", include_in_schema=False)
    app.include_router(metrics_routes.router)
    app.add_middleware(Visiting, fabric=fabric)
    app.add_exception_handler(WeftError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    app.add_exception_handler(HTTPException, _answer_no_route)
    return app


async def _answer_error(request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, WeftError)
    return JSONResponse({"error": err.as_dict()}, status_code=err.http_status)


async def _answer_invalid(request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, RequestValidationError)
    return await _answer_error(request, Invalid(dump_problems(err.errors())))


async def _answer_no_route(request: Request, err: Exception) -> JSONResponse:
    """A path that does not exist, or a method that it does not take."""
    assert isinstance(err, HTTPException)
    found = NotFound(f"no route {request.method} {request.url.path}", hint="see /openapi.json")
    return JSONResponse({"error": found.as_dict()}, status_code=err.status_code)
