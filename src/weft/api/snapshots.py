"""Snapshots of machines, machines made again from them, and machines that are suspended."""

from functools import partial
from typing import Annotated

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from weft.api.deps import TheRoom
from weft.api.images import read_body
from weft.api.progress import Progress, answer_with_progress
from weft.api.shield import finish
from weft.api.visits import TheVisit
from weft.fabric.snapshots.restoring import allow_all
from weft.model.machine import MachineView
from weft.model.snapshot import RestoreSpec, SnapshotSpec, SnapshotView
from weft.plan.visits import check_machine

router = APIRouter(tags=["snapshots"])


class ResumeRequest(BaseModel):
    """`wait`: the answer comes when the agent answers."""

    model_config = ConfigDict(extra="forbid")

    wait: bool = True


@router.get("/snapshots")
async def list_snapshots(room: TheRoom) -> list[SnapshotView]:
    """All snapshots, the oldest first."""
    return await room.snapshots.kept.views()


@router.post("/snapshots", response_class=StreamingResponse)
async def create_snapshot(room: TheRoom, spec: SnapshotSpec) -> StreamingResponse:
    """Take a snapshot of a machine that runs, and goes on: a stream of progress lines, then the snapshot."""
    return answer_with_progress(lambda progress: room.snapshots.taking.take(spec, progress))


@router.post("/snapshots/import", response_class=StreamingResponse)
async def import_snapshot(
    room: TheRoom, request: Request, name: Annotated[str | None, Query(description="what to call it")] = None
) -> StreamingResponse:
    """Take in a snapshot from an archive, which is the request's body.

    Once it has been received: a stream of progress lines, then the snapshot."""
    archives = room.snapshots.archives
    received = await archives.receive(read_body(request))
    return answer_with_progress(lambda progress: archives.take_in(received, name, progress))


@router.get("/snapshots/{name}")
async def get_snapshot(room: TheRoom, name: str) -> SnapshotView:
    """One snapshot."""
    return await room.snapshots.kept.view(name)


@router.delete("/snapshots/{name}", status_code=204)
async def remove_snapshot(room: TheRoom, name: str) -> None:
    """Remove a snapshot."""
    await finish(room.snapshots.kept.remove(name))


@router.get("/snapshots/{name}/archive", response_class=StreamingResponse)
async def export_snapshot(room: TheRoom, name: str) -> StreamingResponse:
    """A tar with a snapshot."""
    return StreamingResponse(room.snapshots.archives.export(name), media_type="application/x-tar")


@router.post("/snapshots/{name}/restore", response_class=StreamingResponse)
async def restore_snapshot(room: TheRoom, visit: TheVisit, name: str, spec: RestoreSpec) -> StreamingResponse:
    """Make a machine that goes on from a snapshot: a stream of progress lines, then the machine."""
    check = partial(check_machine, visit) if visit is not None else allow_all
    return answer_with_progress(lambda progress: room.snapshots.restoring.restore(name, spec, progress, check))


@router.post("/machines/{name}/suspend", response_class=StreamingResponse)
async def suspend_machine(room: TheRoom, name: str) -> StreamingResponse:
    """Put a machine that runs on disk, and end it: a stream of progress lines, then the machine."""

    async def work(progress: Progress) -> MachineView:
        await finish(room.snapshots.suspending.suspend(name, progress))
        return room.machines.view(room.site.shelves.machines.get(name))

    return answer_with_progress(work)


@router.post("/machines/{name}/resume")
async def resume_machine(room: TheRoom, name: str, body: ResumeRequest) -> MachineView:
    """Let a suspended machine go on."""
    await finish(room.snapshots.suspending.resume(name, wait=body.wait))
    return room.machines.view(room.site.shelves.machines.get(name))
