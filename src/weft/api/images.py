"""Images."""

import asyncio
import json
from pathlib import Path
from typing import Any

from fastapi import APIRouter
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict

from weft.api.deps import TheFabric
from weft.api.progress import answer_with_progress
from weft.image.build import build_image
from weft.image.squashfs import read_from_squashfs
from weft.model.errors import NotFound
from weft.model.image import ImageManifest
from weft.model.json_schema import dump_json_schema

router = APIRouter(prefix="/images", tags=["images"])


class ImageBuild(BaseModel):
    """`recipe`: the recipe's folder or file, an absolute path on the daemon's host, or the name of one that comes with
    Weft. The image is named `name`, or as the recipe is."""

    model_config = ConfigDict(extra="forbid")

    recipe: Path
    name: str | None = None
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


@router.get("/{name:path}/schema")
async def get_schema(fabric: TheFabric, name: str) -> dict[str, Any]:
    """The settings of an appliance, as a JSON Schema."""
    image = fabric.site.images.get(name)
    if image.settings is None:
        raise NotFound(f"image {name!r} has no settings", hint="appliances have; they are built from a recipe")
    return dump_json_schema(image.settings, f"{image.name} {image.version}")


@router.get("/{name:path}/sbom")
async def get_sbom(fabric: TheFabric, name: str) -> dict[str, Any]:
    """What an appliance is made of, as the CycloneDX document that lies in its image."""
    image = fabric.site.images.get(name)
    if not image.sbom:
        raise NotFound(f"image {name!r} has no list of what it is made of", hint="images built from a recipe have one")
    document: dict[str, Any] = json.loads(await read_from_squashfs(fabric.site.images.root_path(image), image.sbom))
    return document


@router.get("/{name:path}")
async def get_image(fabric: TheFabric, name: str) -> ImageManifest:
    """One image."""
    return fabric.site.images.get(name)


@router.post("/build", response_class=StreamingResponse)
async def build(fabric: TheFabric, body: ImageBuild) -> StreamingResponse:
    """Build an image from a recipe: a stream of progress lines, then the result."""
    return answer_with_progress(
        lambda progress: build_image(
            body.recipe,
            fabric.site.layout.home,
            name=body.name,
            progress=progress,
            force=body.force,
            trial=fabric.trials.check_memory,
        )
    )


@router.post("/tag", status_code=201)
async def tag_image(fabric: TheFabric, body: ImageTag) -> ImageManifest:
    """Give an image another name as well. What has this name already is replaced."""
    return await asyncio.to_thread(fabric.site.images.tag, body.name, body.new)


@router.delete("/{name:path}", status_code=204)
async def remove_image(fabric: TheFabric, name: str) -> None:
    """Remove an image that no machine uses."""
    fabric.images.remove(name)
