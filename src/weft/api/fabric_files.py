"""Fabric files: checked, compared with what is there, carried out.

Paths in a file are relative to its folder, on the daemon's host, so a request says where the file is as well as what
it says.
"""

from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict, Field

from weft.api.deps import TheFabric
from weft.api.progress import answer_with_steps
from weft.fabric.reconciling.reconciler import Source, Wish
from weft.model.file_schema import dump_file_schema
from weft.model.problem import Problem
from weft.model.steps import Plan
from weft.plan.changes.difference import Difference, dump_differences, find_differences

router = APIRouter(prefix="/files", tags=["fabric files"])


class FileRequest(BaseModel):
    """A fabric file."""

    model_config = ConfigDict(extra="forbid")

    path: str = Field(pattern="^/", description="where it is; its folder is what paths in it are relative to")
    text: str = Field(description="what it says")

    @property
    def source(self) -> Source:
        return Source(self.path, self.text)


class PlanRequest(FileRequest):
    """A fabric file, and what is wanted of it."""

    rooms: list[str] = Field(default=[], description="of these rooms only")
    build: bool = Field(default=False, description="build images anew whose recipes have changed")
    pull: bool = Field(default=False, description="fetch images anew that registries have anew")
    down: bool = Field(default=False, description="take away what the file has made")
    volumes: bool = Field(default=False, description="with `down`: volumes too, and all that is on them")

    @property
    def wish(self) -> Wish:
        return Wish(tuple(self.rooms), self.build, self.pull, self.down, self.volumes)


class ApplyRequest(PlanRequest):
    """What is to be carried out."""

    agreed: list[str] | None = Field(
        default=None, description="keys of steps that may restart machines or lose something; null: all may"
    )


class FileProblems(BaseModel):
    """What is wrong with a file, by its lines."""

    problems: list[Problem]


class PlanView(BaseModel):
    """What would be done, and what is remarkable about the file."""

    plan: Plan
    warnings: list[Problem]


class DiffView(BaseModel):
    """How rooms differ from a file: part by part, and as a text that reads like a difference between two files."""

    differences: list[Difference]
    text: str
    warnings: list[Problem]


class FileText(BaseModel):
    """A fabric file as text."""

    text: str


@router.post("/check")
async def check_fabric_file(fabric: TheFabric, body: FileRequest) -> FileProblems:
    """Everything that is wrong with a file, all at once; warnings too."""
    return FileProblems(problems=(await fabric.reconciler.check(body.source)).problems)


@router.post("/plan")
async def plan_fabric_file(fabric: TheFabric, body: PlanRequest) -> PlanView:
    """What leads from the rooms as they are to what the file says. Changes nothing.

    What is wrong with the file is told in the error's `detail`, a line each."""
    plan, warnings = await fabric.reconciler.plan(body.source, body.wish)
    return PlanView(plan=plan, warnings=warnings)


@router.post("/diff")
async def diff_fabric_file(fabric: TheFabric, body: PlanRequest) -> DiffView:
    """What differs between the rooms as they are and what the file says, apart from how one becomes the other."""
    plan, warnings = await fabric.reconciler.plan(body.source, body.wish)
    differences = find_differences(plan)
    text = dump_differences(differences, body.path)
    return DiffView(differences=differences, text=text, warnings=warnings)


@router.get("/schema")
async def get_file_schema() -> dict[str, Any]:
    """What a fabric file may say, as a JSON Schema for editors."""
    return dump_file_schema()


@router.post("/apply", response_class=StreamingResponse)
async def apply_fabric_file(fabric: TheFabric, body: ApplyRequest) -> StreamingResponse:
    """Make the rooms what the file says: a stream of `step` lines, a step's progress between them, then the report.

    A step that fails takes those along that depend on it; the others go on, and are not undone. When the client hangs
    up nothing more is begun, and what was begun is done to its end."""
    return answer_with_steps(lambda watch: fabric.reconciler.apply(body.source, body.wish, body.agreed, watch))


@router.post("/render")
async def render_fabric_file(fabric: TheFabric, body: FileRequest) -> FileText:
    """The file with everything that is left to defaults, and with the files that it names."""
    return FileText(text=await fabric.reconciler.render(body.source))


@router.get("/export/{room}")
async def export_room(
    fabric: TheFabric,
    room: str,
    exact: Annotated[bool, Query(description="with the addresses that were given, hardware addresses too")] = False,
) -> FileText:
    """A file that says what a room is."""
    return FileText(text=await fabric.reconciler.export(room, exact=exact))
