"""Images."""

import asyncio
from pathlib import Path

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from weft.api.deps import TheFabric
from weft.api.progress import answer_with_progress
from weft.image.build import build_image
from weft.model.image import ImageManifest

router = APIRouter(prefix="/images", tags=["images"])


class ImageBuild(BaseModel):
    """`recipe` is the folder with the recipe, an absolute path on the daemon's host."""

    model_config = ConfigDict(extra="forbid")

    recipe: Path
    force: bool = False


class ImageTag(BaseModel):
    """`name`: an image that is here, by name or digest; `new`: a DNS label or a reference."""

    model_config = ConfigDict(extra="forbid")

    name: str
    new: str


@router.get("")
async def list_images(fabric: TheFabric) -> list[ImageManifest]:
    """All images."""
    return fabric.site.images.list()


@router.get("/{name:path}")
async def get_image(fabric: TheFabric, name: str) -> ImageManifest:
    """One image."""
    return fabric.site.images.get(name)


@router.post("/build", response_class=StreamingResponse)
async def build(fabric: TheFabric, body: ImageBuild) -> StreamingResponse:
    """Build an image from a recipe: a stream of progress lines, then the result."""
    home = fabric.site.layout.home
    return answer_with_progress(lambda progress: build_image(body.recipe, home, progress=progress, force=body.force))


@router.post("/tag", status_code=201)
async def tag_image(fabric: TheFabric, body: ImageTag) -> ImageManifest:
    """Give an image another name as well. What has this name already is replaced."""
    return await asyncio.to_thread(fabric.site.images.tag, body.name, body.new)


@router.delete("/{name:path}", status_code=204)
async def remove_image(fabric: TheFabric, name: str) -> None:
    """Remove an image that no machine uses."""
    fabric.images.remove(name)
