"""Machines."""

import asyncio
from collections.abc import Coroutine, Sequence
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from weft.api.deps import TheRoom, TheRooms
from weft.api.shield import finish
from weft.api.specs import MachineDraft
from weft.api.visits import TheVisit
from weft.fabric.logreading import Wanted, follow_log
from weft.fabric.records.machine import FirstSettings
from weft.fabric.room import Room
from weft.model.errors import WrongState
from weft.model.filters import all_hold, parse_filter
from weft.model.machine import MachineSpec, MachineView
from weft.plan.visits import check_machine

router = APIRouter(prefix="/machines", tags=["machines"])
LONG_POLL = 25.0
"""Seconds after which `wait` answers even when the machine still runs; the client asks again."""
Moment = Annotated[float | None, Query(description="seconds since the epoch")]
Filters = Annotated[Sequence[str], Query(description="conditions like `label=tier=front`; all of them must hold")]


async def get_wanted(
    tail: Annotated[int | None, Query(ge=0, description="only so many of the last lines")] = None,
    since: Moment = None,
    until: Moment = None,
    timestamps: Annotated[bool, Query(description="put before each line when it was written")] = False,
) -> Wanted:
    """Which lines of a log are wanted, and how."""
    return Wanted(tail, since, until, timestamps)


WantedLines = Annotated[Wanted, Depends(get_wanted)]


class MachineRequest(BaseModel):
    """`start`: at once; `wait`: the answer comes when the agent answers; `healthy`: when the health check passes.

    `settings`: what an appliance is to begin with, by the types of its schema or as text.
    """

    model_config = ConfigDict(extra="forbid")

    spec: MachineDraft
    settings: dict[str, Any] = {}
    start: bool = True
    wait: bool = True
    healthy: bool = False


class ActionRequest(BaseModel):
    """`timeout`: seconds a stop may take before it insists. `failsafe`, of a start: without the floppy."""

    wait: bool = True
    timeout: float | None = Field(default=None, ge=0)
    failsafe: bool = False


@router.get("")
async def list_machines(rooms: TheRooms, all: bool = False, filter: Filters = ()) -> list[MachineView]:
    """Machines that run, or all, copies that pools keep ready among them."""
    wanted = [parse_filter(text) for text in filter]
    views = [
        room.machines.view(machine)
        for room in rooms
        for machine in sorted(room.site.shelves.machines, key=lambda machine: machine.created)
        if all or machine.state.is_live
    ]
    views += [view for room in rooms if all for view in room.pools.views_of_copies()]
    return [view for view in views if all_hold(wanted, view)]


@router.post("", status_code=201)
async def create_machine(room: TheRoom, visit: TheVisit, body: MachineRequest) -> MachineView:
    """Make a machine and start it."""
    spec = _name(room, body.spec)
    if visit is not None:
        check_machine(visit, spec)
    return await finish(_create(room, spec, body))


@router.get("/{name}")
async def get_machine(room: TheRoom, name: str) -> MachineView:
    """One machine."""
    return _view(room, name)


@router.delete("/{name}", status_code=204)
async def remove_machine(room: TheRoom, name: str, force: bool = False) -> None:
    """Remove a machine; with `force` also one that runs."""
    if (insert := room.site.shelves.inserts.find(name)) is not None:
        raise WrongState(f"machine {name!r} is an insert at {insert.port}", hint=f"weft eject {name}")
    await finish(room.machines.remove(name, force=force))


@router.post("/{name}/start")
async def start_machine(room: TheRoom, name: str, body: ActionRequest) -> MachineView:
    """Start a machine that does not run."""
    await finish(_start(room, name, wait=body.wait, failsafe=body.failsafe))
    return _view(room, name)


@router.post("/{name}/stop")
async def stop_machine(room: TheRoom, name: str, body: ActionRequest) -> MachineView:
    """Ask for a power-off; insist when it takes too long."""
    return await _end(room, name, room.lifecycle.stop(name, timeout=body.timeout), wait=body.wait)


@router.post("/{name}/restart")
async def restart_machine(room: TheRoom, name: str, body: ActionRequest) -> MachineView:
    """Stop and start; the chain in front of it stays."""
    await finish(_restart(room, name, body))
    return _view(room, name)


@router.post("/{name}/kill")
async def kill_machine(room: TheRoom, name: str, body: ActionRequest) -> MachineView:
    """Pull the plug."""
    return await _end(room, name, room.lifecycle.kill(name), wait=body.wait)


@router.get("/{name}/wait")
async def wait_machine(room: TheRoom, name: str) -> MachineView:
    """The machine, once it does not run any more or a while has passed."""
    room.site.shelves.machines.get(name)
    try:
        async with asyncio.timeout(LONG_POLL):
            await room.runs.wait_end(name)
    except TimeoutError:
        pass
    return _view(room, name)


@router.get("/{name}/logs", response_class=StreamingResponse)
async def read_logs(
    room: TheRoom,
    name: str,
    wanted: WantedLines,
    follow: bool = False,
) -> StreamingResponse:
    """What the machine wrote to its serial line. Times of it are right to half a second."""
    room.site.shelves.machines.get(name)
    path = room.site.layout.machine(name).log

    def ended() -> bool:
        machine = room.site.shelves.machines.find(name)
        return not follow or machine is None or not machine.state.is_live

    return StreamingResponse(follow_log(path, wanted, ended), media_type="text/plain")


def _name(room: Room, draft: MachineDraft) -> MachineSpec:
    name = draft.name or room.machines.choose_name(draft.image)
    return MachineSpec.model_validate({**draft.model_dump(exclude_unset=True), "name": name})


async def _create(room: Room, spec: MachineSpec, body: MachineRequest) -> MachineView:
    """The machine as it is when all has been done; one that has been removed at its end as it was when it was made."""
    first = FirstSettings(values=body.settings, by="weft run") if body.settings else None
    made = await room.machines.create(spec, first, at_once=body.start)
    if body.start:
        try:
            await _start(room, spec.name, wait=body.wait)
            if body.wait and body.healthy:
                await room.checks.wait_healthy(spec.name)
        except BaseException:
            await room.machines.remove(spec.name, force=True)
            raise
    return room.machines.view(room.site.shelves.machines.find(spec.name) or made)


async def _start(room: Room, name: str, *, wait: bool, failsafe: bool = False) -> None:
    if failsafe:
        room.configs.schema(name)
    await room.lifecycle.start(name, failsafe=failsafe)
    if wait:
        await room.lifecycle.wait_ready(name)


async def _end(room: Room, name: str, ending: Coroutine[Any, Any, None], *, wait: bool) -> MachineView:
    """Wait for a machine's end, or let it come to it in the background. One that goes with it is shown as it was."""
    before = room.site.shelves.machines.find(name)
    if wait:
        await finish(ending)
    else:
        room.site.tasks.start(ending, f"end-{name}")
    machine = room.site.shelves.machines.find(name) or before
    return room.machines.view(machine or room.site.shelves.machines.get(name))


async def _restart(room: Room, name: str, body: ActionRequest) -> None:
    await room.lifecycle.stop(name, timeout=body.timeout)
    await _start(room, name, wait=body.wait)


def _view(room: Room, name: str) -> MachineView:
    return room.machines.view(room.site.shelves.machines.get(name))
