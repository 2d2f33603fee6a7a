"""The settings of appliances, and the button that puts one back to its factory state."""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from weft.api.deps import TheRoom
from weft.api.shield import finish
from weft.fabric.room import Room
from weft.model.config import ConfigChange, ConfigView, RevisionView
from weft.model.json_schema import dump_json_schema
from weft.model.machine import MachineView
from weft.model.schema import SettingsSchema

router = APIRouter(prefix="/machines/{name}", tags=["settings"])
Running = Annotated[bool | None, Query(description="what runs, or what is saved; default: what runs, if it says so")]
Revision = Annotated[int | None, Query(ge=1)]
Confirm = Annotated[
    float | None, Field(gt=0, le=86400, description="go back after so many seconds, unless it is confirmed")
]


class ConfigRequest(BaseModel):
    """`set` gives values, by the types of the schema or as text; `unset` gives defaults back."""

    model_config = ConfigDict(extra="forbid")

    set: dict[str, Any] = Field(default={})
    unset: list[str] = []
    revision: int | None = Field(default=None, ge=0, description="only if this is still the revision that is saved")
    confirm: Confirm = None


class ImportRequest(BaseModel):
    """`text`: a whole settings file, as an export gives it."""

    model_config = ConfigDict(extra="forbid")

    text: str
    revision: int | None = Field(default=None, ge=0, description="only if this is still the revision that is saved")
    by: str = Field(default="", description="who or what made it, for the history")
    confirm: Confirm = None


class RevertRequest(BaseModel):
    """`revision` None: the machine runs with what is saved again."""

    model_config = ConfigDict(extra="forbid")

    revision: int | None = Field(default=None, ge=1)


class ResetRequest(BaseModel):
    """`failsafe`: the floppy is ignored by the next run, and stays as it is. `timeout`: seconds for a stop."""

    model_config = ConfigDict(extra="forbid")

    failsafe: bool = False
    wait: bool = True
    timeout: float | None = Field(default=None, ge=0)


@router.get("/config")
async def show_config(room: TheRoom, name: str, running: Running = None, secrets: bool = False) -> ConfigView:
    """An appliance's settings."""
    return await room.configs.show(name, running=running, secrets=secrets)


@router.patch("/config")
async def change_config(room: TheRoom, name: str, body: ConfigRequest) -> ConfigView:
    """Change settings: checked, applied if it runs, saved; or an error and nothing of it."""
    change = room.configs.change(name, body.set, body.unset, revision=body.revision, confirm=body.confirm)
    return await finish(change)


@router.get("/config/schema")
async def show_schema(room: TheRoom, name: str) -> SettingsSchema:
    """What can be set."""
    return room.configs.schema(name)


@router.get("/config/json-schema")
async def show_json_schema(room: TheRoom, name: str) -> dict[str, Any]:
    """The same as a JSON Schema."""
    return dump_json_schema(room.configs.schema(name), name)


@router.get("/config/export", response_class=PlainTextResponse)
async def export_config(room: TheRoom, name: str, running: bool = False) -> PlainTextResponse:
    """The settings as a TOML file, secrets included."""
    return PlainTextResponse(await room.configs.export(name, running=running), media_type="application/toml")


@router.post("/config/import")
async def import_config(room: TheRoom, name: str, body: ImportRequest) -> ConfigView:
    """Take a TOML file as the settings."""
    data = body.text.encode()
    return await finish(room.configs.import_(name, data, revision=body.revision, by=body.by, confirm=body.confirm))


@router.post("/config/confirm")
async def confirm_config(room: TheRoom, name: str) -> ConfigView:
    """What is on trial stays."""
    return await finish(room.configs.confirm(name))


@router.get("/config/history")
async def list_revisions(room: TheRoom, name: str) -> list[RevisionView]:
    """The last revisions, the newest first."""
    return await room.configs.history(name)


@router.get("/config/diff")
async def diff_config(room: TheRoom, name: str, before: Revision = None, after: Revision = None) -> list[ConfigChange]:
    """What is different in `after`. Left out: what is saved; both left out: what runs against what is saved."""
    return await room.configs.diff(name, before, after)


@router.post("/config/revert")
async def revert_config(room: TheRoom, name: str, body: RevertRequest) -> ConfigView:
    """Go back to a revision, which becomes a new one."""
    return await finish(room.configs.revert(name, body.revision))


@router.post("/config/commit")
async def commit_config(room: TheRoom, name: str) -> ConfigView:
    """Save what the machine says it runs with."""
    return await finish(room.configs.commit(name))


@router.post("/reset")
async def reset_machine(room: TheRoom, name: str, body: ResetRequest) -> MachineView:
    """Factory state: an empty floppy, and a restart if the machine runs."""
    await finish(_reset(room, name, body))
    return room.machines.view(room.site.shelves.machines.get(name))


async def _reset(room: Room, name: str, body: ResetRequest) -> None:
    room.configs.schema(name)
    live = room.site.shelves.machines.get(name).state.is_live
    if not body.failsafe:
        await room.configs.reset(name)
        if not live:
            return
    await room.lifecycle.stop(name, timeout=body.timeout)
    await room.lifecycle.start(name, failsafe=body.failsafe)
    if body.wait:
        await room.lifecycle.wait_ready(name)
