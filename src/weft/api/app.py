"""The application: routers put together, errors translated."""

import time

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse

from weft import __version__
from weft.api import events, images, inserts, kernels, machines, networks, streams, system
from weft.api.specs import dump_problems
from weft.fabric.fabric import Fabric
from weft.model.errors import Invalid, WeftError

API_VERSION = "v1"


def make_app(fabric: Fabric, on_shutdown: "system.Shutdown") -> FastAPI:
    """The HTTP API of a fabric. `on_shutdown` ends the daemon."""
    app = FastAPI(
        title="Weft",
        version=__version__,
        description="A microVM fabric: slip small machines into a running network.",
    )
    app.state.fabric = fabric
    app.state.shutdown = on_shutdown
    app.state.started = time.time()
    for module in (system, machines, streams, networks, inserts, images, kernels, events):
        app.include_router(module.router, prefix=f"/{API_VERSION}")
    app.add_exception_handler(WeftError, _answer_error)
    app.add_exception_handler(RequestValidationError, _answer_invalid)
    return app


async def _answer_error(request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, WeftError)
    return JSONResponse({"error": err.as_dict()}, status_code=err.http_status)


async def _answer_invalid(request: Request, err: Exception) -> JSONResponse:
    assert isinstance(err, RequestValidationError)
    return await _answer_error(request, Invalid(dump_problems(err.errors())))
