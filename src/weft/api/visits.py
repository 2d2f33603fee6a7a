"""Requests on behalf of machines: a header says whose visit it is, and such a request may do less.

Whoever can ask the API at all may do everything; the file tree sends the header for what it serves to machines.
"""

import json
from typing import Annotated
from urllib.parse import parse_qs

from fastapi import Depends
from starlette.requests import HTTPConnection
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

from weft.fabric.fabric import Fabric
from weft.model.errors import NotFound, WeftError
from weft.model.expose import VISIT_HEADER, Visit, parse_visit
from weft.plan.visits import Asked, check_request


class Visiting:
    """Stands before all routes, and looks at requests with the header."""

    def __init__(self, app: ASGIApp, fabric: Fabric) -> None:
        self._app = app
        self._fabric = fabric

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        header = HTTPConnection(scope).headers.get(VISIT_HEADER) if scope["type"] in ("http", "websocket") else None
        if header is not None:
            try:
                scope.setdefault("state", {})["visit"] = visit = parse_visit(header)
                _check_given(self._fabric, visit)
                check_request(visit, _read(scope))
            except WeftError as err:
                await _refuse(err, scope, receive, send)
                return
        await self._app(scope, receive, send)


def _check_given(fabric: Fabric, visit: Visit) -> None:
    """Raises NotFound: the machine is gone, or has that part no more."""
    machine = fabric.room(visit.room).site.shelves.machines.find(visit.machine)
    if machine is None or machine.removing or visit.given not in machine.spec.expose:
        raise NotFound(f"machine {visit.machine!r} has not been given {visit.given}")


def _read(scope: Scope) -> Asked:
    """The path as routes are found by it."""
    path = tuple(scope["path"].split("/")[1:])
    query = parse_qs(scope["query_string"].decode(), keep_blank_values=True)
    return Asked(scope.get("method", "GET"), path, query, session=scope["type"] == "websocket")


async def _refuse(err: WeftError, scope: Scope, receive: Receive, send: Send) -> None:
    """As every other error is told at this kind of route."""
    if scope["type"] == "http":
        await JSONResponse({"error": err.as_dict()}, status_code=err.http_status)(scope, receive, send)
        return
    await receive()
    await send({"type": "websocket.accept"})
    await send({"type": "websocket.send", "text": json.dumps({"error": err.as_dict()})})
    await send({"type": "websocket.close", "code": 1000})


async def get_visit(connection: HTTPConnection) -> Visit | None:
    """Whose visit a request is part of, if it is one's."""
    visit: Visit | None = getattr(connection.state, "visit", None)
    return visit


TheVisit = Annotated[Visit | None, Depends(get_visit)]
