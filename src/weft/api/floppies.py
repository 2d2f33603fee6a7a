"""Floppies by hand: images anywhere on the daemon's host, named by absolute paths."""

from pathlib import Path
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, Base64Bytes, BaseModel, ConfigDict, Field

from weft.api.shield import finish
from weft.image.floppy import LABEL, copy_floppy, create_floppy, open_change, open_floppy
from weft.model.errors import Invalid
from weft.model.floppy import FloppyView

router = APIRouter(prefix="/floppies", tags=["floppies"])


def _check_absolute(path: Path) -> Path:
    if not path.is_absolute():
        raise Invalid(f"{str(path)!r} has to be an absolute path")
    return path


HostPath = Annotated[Path, AfterValidator(_check_absolute)]
Image = Annotated[HostPath, Query(description="the file with the floppy")]
Inside = Annotated[str, Query(description="a path on the floppy")]


class FloppyCreate(BaseModel):
    """`force`: also where there is a file already."""

    model_config = ConfigDict(extra="forbid")

    floppy: HostPath
    label: str = LABEL
    force: bool = False


class FloppyCopy(BaseModel):
    """`force`: also where `target` is there already."""

    model_config = ConfigDict(extra="forbid")

    floppy: HostPath
    target: HostPath
    force: bool = False


class FloppyWrite(BaseModel):
    """A file for a floppy."""

    model_config = ConfigDict(extra="forbid")

    floppy: HostPath
    path: str
    content: Base64Bytes = Field(description="in base64")


@router.get("")
async def show_floppy(floppy: Image) -> FloppyView:
    """What is on a floppy."""
    return await (await open_floppy(floppy)).view()


@router.post("", status_code=201)
async def create(body: FloppyCreate) -> FloppyView:
    """Make an empty floppy."""
    await finish(create_floppy(body.floppy, label=body.label, replace=body.force))
    return await show_floppy(body.floppy)


@router.post("/copy", status_code=201)
async def copy(body: FloppyCopy) -> FloppyView:
    """Make a floppy like another one."""
    await finish(copy_floppy(body.floppy, body.target, replace=body.force))
    return await show_floppy(body.target)


@router.get("/content", response_class=Response)
async def read_file(floppy: Image, path: Inside) -> Response:
    """A file of a floppy."""
    opened = await open_floppy(floppy)
    if (found := await opened.find(path)).folder:
        raise Invalid(f"floppy {floppy}: {path} is a folder")
    return Response(await opened.read(found.path), media_type="application/octet-stream")


@router.post("/content")
async def write_file(body: FloppyWrite) -> FloppyView:
    """Put a file on a floppy, in place of one of the same path."""
    await finish(_write(body))
    return await show_floppy(body.floppy)


@router.delete("/content", status_code=204)
async def remove_file(floppy: Image, path: Inside) -> None:
    """Take a file, or a folder with all it holds, off a floppy."""
    await finish(_remove(floppy, path))


async def _write(body: FloppyWrite) -> None:
    async with open_change(body.floppy) as draft:
        await draft.write({body.path: body.content})


async def _remove(floppy: Path, path: str) -> None:
    async with open_change(floppy) as draft:
        await draft.delete(path)
