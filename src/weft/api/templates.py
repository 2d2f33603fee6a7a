"""Templates."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict

from weft.api.deps import TheRoom, TheRooms
from weft.api.shield import finish
from weft.model.template import TemplatePruneReport, TemplateSpec, TemplateView

router = APIRouter(prefix="/templates", tags=["templates"])


class TemplatePrune(BaseModel):
    """`all`: every template, and not only those that are of no use any more."""

    model_config = ConfigDict(extra="forbid")

    all: bool = False


@router.get("")
async def list_templates(rooms: TheRooms) -> list[TemplateView]:
    """Templates that machines of the room go on from; of all rooms each once."""
    found = {(view.room, view.key): view for room in rooms for view in room.templates.views()}
    return list(found.values())


@router.post("", status_code=201)
async def create_template(room: TheRoom, spec: TemplateSpec) -> TemplateView:
    """Make a template. One that is there already stays as it is."""
    return await finish(room.templates.create(spec))


@router.post("/prune")
async def prune_templates(room: TheRoom, body: TemplatePrune) -> TemplatePruneReport:
    """Remove templates that no machine will ever go on from."""
    return room.templates.prune(everything=body.all)


@router.get("/{key:path}")
async def get_template(room: TheRoom, key: str) -> TemplateView:
    """One template, by the beginning of its key, or by the name of an image that has one."""
    return room.templates.view(room.templates.get(key))


@router.delete("/{key:path}", status_code=204)
async def remove_template(room: TheRoom, key: str) -> None:
    """Remove a template; machines that went on from it run on."""
    room.templates.remove(key)
