"""Inserts, and the ports with their chains."""

from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from weft.api.deps import TheFabric
from weft.api.shield import finish
from weft.api.specs import InsertDraft
from weft.fabric.fabric import Fabric
from weft.model.insert import FailPolicy, InsertSpec, InsertView, PortView
from weft.model.reference import find_stem

router = APIRouter(tags=["inserts"])


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
async def list_inserts(fabric: TheFabric) -> list[InsertView]:
    """All inserts."""
    return [fabric.inserts.view(insert) for insert in fabric.site.shelves.inserts]


@router.post("/inserts", status_code=201)
async def create_insert(fabric: TheFabric, body: InsertRequest) -> InsertView:
    """Slip an appliance in front of a machine."""
    spec = _name(fabric, body.spec)
    await finish(_create(fabric, spec, wait=body.wait))
    return _view(fabric, spec.name)


@router.get("/inserts/{name}")
async def get_insert(fabric: TheFabric, name: str) -> InsertView:
    """One insert."""
    return _view(fabric, name)


@router.patch("/inserts/{name}")
async def change_insert(fabric: TheFabric, name: str, change: InsertChange) -> InsertView:
    """Change the fail policy or the lifetime."""
    await finish(fabric.inserts.change(name, fail=change.fail, lifetime=change.lifetime))
    return _view(fabric, name)


@router.delete("/inserts/{name}", status_code=204)
async def eject_insert(fabric: TheFabric, name: str, keep: bool = False) -> None:
    """Take an insert out; with `keep` its machine goes on, parked, and can be inserted again by its name."""
    await finish(fabric.inserts.eject(name, keep=keep))


@router.get("/ports")
async def list_ports(fabric: TheFabric, machine: str | None = None) -> list[PortView]:
    """Ports with their chains, from the network side to the machine side."""
    if machine is not None:
        fabric.site.shelves.machines.get(machine)
    return fabric.inserts.views_of_ports(machine)


def _name(fabric: Fabric, draft: InsertDraft) -> InsertSpec:
    """A parked appliance goes in under its own name."""
    parked = fabric.site.shelves.machines.find(draft.appliance)
    in_use = fabric.site.shelves.inserts.find(draft.appliance) is not None
    is_parked = parked is not None and parked.is_appliance and not in_use
    name = draft.name or (draft.appliance if is_parked else fabric.inserts.choose_name(find_stem(draft.appliance)))
    return InsertSpec.model_validate({**draft.model_dump(), "name": name})


async def _create(fabric: Fabric, spec: InsertSpec, *, wait: bool) -> None:
    bringing_in = await fabric.inserts.create(spec)
    if wait:
        await bringing_in


def _view(fabric: Fabric, name: str) -> InsertView:
    return fabric.inserts.view(fabric.site.shelves.inserts.get(name))
