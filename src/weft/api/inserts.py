"""Inserts, and the ports with their chains."""

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field

from weft.api.deps import TheRoom
from weft.api.shield import finish
from weft.api.specs import InsertDraft
from weft.fabric.room import Room
from weft.model.insert import FailPolicy, InsertSpec, InsertView, PortView
from weft.model.reference import find_stem

router = APIRouter(tags=["inserts"])
_DRAIN = "seconds that flows translated by a routed insert may stay on it, by default 30; 0 also ends a wait for them"
Drain = Annotated[float | None, Query(ge=0, le=86400, description=_DRAIN)]


class InsertRequest(BaseModel):
    """`wait`: the answer comes when frames flow through it."""

    model_config = ConfigDict(extra="forbid")

    spec: InsertDraft
    wait: bool = True


class InsertChange(BaseModel):
    """What may change while it is there. `lifetime` counts from now, in seconds."""

    model_config = ConfigDict(extra="forbid")

    fail: FailPolicy | None = None
    lifetime: float | None = Field(default=None, gt=0)


@router.get("/inserts")
async def list_inserts(room: TheRoom) -> list[InsertView]:
    """All inserts."""
    return [room.inserts.view(insert) for insert in room.site.shelves.inserts]


@router.post("/inserts", status_code=201)
async def create_insert(room: TheRoom, body: InsertRequest) -> InsertView:
    """Slip an appliance in front of a machine or a network's gateway."""
    spec = _name(room, body.spec)
    await finish(_create(room, spec, wait=body.wait))
    return _view(room, spec.name)


@router.get("/inserts/{name}")
async def get_insert(room: TheRoom, name: str) -> InsertView:
    """One insert."""
    return _view(room, name)


@router.patch("/inserts/{name}")
async def change_insert(room: TheRoom, name: str, change: InsertChange) -> InsertView:
    """Change the fail policy or the lifetime."""
    await finish(room.inserts.change(name, fail=change.fail, lifetime=change.lifetime))
    return _view(room, name)


@router.delete("/inserts/{name}", status_code=204)
async def eject_insert(room: TheRoom, name: str, keep: bool = False, drain: Drain = None) -> None:
    """Take an insert out; with `keep` its machine goes on, parked, and can be inserted again by its name."""
    await finish(room.inserts.eject(name, keep=keep, drain=drain))


@router.get("/ports")
async def list_ports(room: TheRoom, machine: str | None = None, network: str | None = None) -> list[PortView]:
    """Ports with their chains, from the network side to the machine side.

    All, or those of one machine, or that of the gateway of one network.
    """
    if machine is not None:
        room.site.shelves.machines.get(machine)
    return room.inserts.views_of_ports(machine, network)


def _name(room: Room, draft: InsertDraft) -> InsertSpec:
    """A parked appliance goes in under its own name."""
    parked = room.site.shelves.machines.find(draft.appliance)
    in_use = room.site.shelves.inserts.find(draft.appliance) is not None
    is_parked = parked is not None and parked.is_appliance and not in_use
    name = draft.name or (draft.appliance if is_parked else room.inserts.choose_name(find_stem(draft.appliance)))
    spec = InsertSpec.model_validate({**draft.model_dump(), "name": name})
    return spec if "mode" in draft.model_fields_set else room.inserts.checks.choose_mode(spec)


async def _create(room: Room, spec: InsertSpec, *, wait: bool) -> None:
    bringing_in = await room.inserts.create(spec)
    if wait:
        await bringing_in


def _view(room: Room, name: str) -> InsertView:
    return room.inserts.view(room.site.shelves.inserts.get(name))
