"""Images."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query, Request
from fastapi.responses import StreamingResponse
from pydantic import BaseModel, ConfigDict
from starlette.requests import ClientDisconnect

from weft.api.deps import TheFabric
from weft.api.progress import answer_with_progress
from weft.image.build import build_image
from weft.image.squashfs import read_from_squashfs
from weft.model.errors import NotFound, Unavailable
from weft.model.image import ImageKind, ImageManifest, PruneReport
from weft.model.json_schema import dump_json_schema

router = APIRouter(prefix="/images", tags=["images"])


class _Body(BaseModel):
    model_config = ConfigDict(extra="forbid")


class ImageBuild(_Body):
    """`recipe`: the recipe's folder or file, an absolute path on the daemon's host, or the name of one that comes with
    Weft. The image is named `name`, or as the recipe is."""

    recipe: Path
    name: str | None = None
    force: bool = False


class ImagePull(_Body):
    """`reference`: `docker.io/library/nginx:1.2`; registry and tag may be left out as container tools allow it."""

    reference: str


class ImagePush(_Body):
    """`name`: an image that is here; `reference`: what to call it there, its own name if left out."""

    name: str
    reference: str | None = None


class ImageTag(_Body):
    """`name`: an image that is here, by name or digest; `new`: a DNS label or a reference."""

    name: str
    new: str


class ImageExport(_Body):
    """`name`: an image that is here, by name or digest."""

    name: str


class ImagePrune(_Body):
    """`all`: also images made from OCI images that no machine boots."""

    all: bool = False


@router.get("")
async def list_images(fabric: TheFabric) -> list[ImageManifest]:
    """All images."""
    return fabric.shared.images.list()


@router.post("/build", response_class=StreamingResponse)
async def build(fabric: TheFabric, body: ImageBuild) -> StreamingResponse:
    """Build an image from a recipe: a stream of progress lines, then the result."""
    return answer_with_progress(
        lambda progress: build_image(
            body.recipe,
            fabric.shared.layout.home,
            name=body.name,
            progress=progress,
            force=body.force,
            trial=fabric.default.trials.check_memory,
        )
    )


@router.post("/pull", response_class=StreamingResponse)
async def pull(fabric: TheFabric, body: ImagePull) -> StreamingResponse:
    """Have an image from a registry: a stream of progress lines, then its manifest."""
    return answer_with_progress(lambda progress: fabric.images.pull(body.reference, progress))


@router.post("/push", response_class=StreamingResponse)
async def push(fabric: TheFabric, body: ImagePush) -> StreamingResponse:
    """Have an image in a registry: a stream of progress lines, then its reference and digest there."""
    return answer_with_progress(lambda progress: fabric.images.push(body.name, body.reference, progress))


@router.post("/import", response_class=StreamingResponse)
async def import_archive(
    fabric: TheFabric,
    request: Request,
    name: Annotated[str | None, Query(description="of the one image")] = None,
    kind: Annotated[Literal["plan9"] | None, Query(description="it is a Plan 9 root, and may be a plain tar")] = None,
) -> StreamingResponse:
    """Take the images of an archive, which is the request's body: the tar of `docker save` or of an OCI layout.

    Once it has been received: a stream of progress lines, then the images."""
    wanted = ImageKind(kind) if kind else None
    received = await fabric.images.receive(read_body(request), wanted)
    return answer_with_progress(lambda progress: fabric.images.take_in(received, name, wanted, progress))


@router.post("/export", response_class=StreamingResponse)
async def export(fabric: TheFabric, body: ImageExport) -> StreamingResponse:
    """A tar with an image: an OCI layout, with the manifest.json of `docker save`."""
    return StreamingResponse(fabric.images.export(body.name), media_type="application/x-tar")


@router.post("/tag", status_code=201)
async def tag_image(fabric: TheFabric, body: ImageTag) -> ImageManifest:
    """Give an image another name as well. What has this name already is replaced."""
    return await fabric.images.tag(body.name, body.new)


@router.post("/prune")
async def prune(fabric: TheFabric, body: ImagePrune) -> PruneReport:
    """Remove what nobody needs: layers of no image, and parts of downloads."""
    return fabric.images.prune(unused=body.all)


@router.get("/{name:path}/schema")
async def get_schema(fabric: TheFabric, name: str) -> dict[str, Any]:
    """The settings of an appliance, as a JSON Schema."""
    image = fabric.shared.images.get(name)
    if image.settings is None:
        raise NotFound(f"image {name!r} has no settings", hint="appliances have; they are built from a recipe")
    return dump_json_schema(image.settings, f"{image.name} {image.version}")


@router.get("/{name:path}/sbom")
async def get_sbom(fabric: TheFabric, name: str) -> dict[str, Any]:
    """What an appliance is made of, as the CycloneDX document that lies in its image."""
    image = fabric.shared.images.get(name)
    if not image.sbom:
        raise NotFound(f"image {name!r} has no list of what it is made of", hint="images built from a recipe have one")
    document: dict[str, Any] = json.loads(await read_from_squashfs(fabric.shared.images.root_path(image), image.sbom))
    return document


@router.get("/{name:path}")
async def get_image(fabric: TheFabric, name: str) -> ImageManifest:
    """One image, by name or digest."""
    return fabric.shared.images.get(name)


@router.delete("/{name:path}", status_code=204)
async def remove_image(fabric: TheFabric, name: str) -> None:
    """Remove an image that no machine uses."""
    fabric.images.remove(name)


async def read_body(request: Request) -> AsyncIterator[bytes]:
    """A request's body as it comes. Raises Unavailable when that ends too early."""
    try:
        async for piece in request.stream():
            yield piece
    except ClientDisconnect as err:
        raise Unavailable("the archive was not sent to its end") from err
