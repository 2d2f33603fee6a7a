"""About the daemon itself."""

import os
from collections.abc import Callable
from typing import Any

from fastapi import APIRouter, Request
from pydantic import BaseModel

from weft import __version__
from weft.api.deps import TheFabric
from weft.host.doctor import diagnose

router = APIRouter(tags=["system"])
Shutdown = Callable[[bool], None]


class VersionView(BaseModel):
    """Who answers here."""

    version: str
    api: str
    pid: int
    home: str
    accel: str
    started: float


class CheckView(BaseModel):
    """One thing the host must have."""

    name: str
    ok: bool
    detail: str = ""
    hint: str | None = None
    package: str | None = None
    needed: bool = True


class ShutdownRequest(BaseModel):
    """`machines`: stop them too and take the wiring down. Otherwise everything goes on without the daemon."""

    machines: bool = False


@router.get("/version")
async def version(request: Request, fabric: TheFabric) -> VersionView:
    """Version and identity of the daemon."""
    return VersionView(
        version=__version__,
        api="v1",
        pid=os.getpid(),
        home=str(fabric.shared.layout.home),
        accel=fabric.shared.facts.accel,
        started=request.app.state.started,
    )


@router.get("/doctor")
async def doctor(fabric: TheFabric) -> list[CheckView]:
    """What this host has and lacks."""
    checks = [*await diagnose(fabric.shared.layout.run), fabric.host.check()]
    return [CheckView.model_validate(check, from_attributes=True) for check in checks]


@router.post("/shutdown", status_code=202)
async def shutdown(request: Request, body: ShutdownRequest) -> dict[str, Any]:
    """End the daemon."""
    request.app.state.shutdown(body.machines)
    return {}
