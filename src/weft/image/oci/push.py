"""Pushing an image: blobs that the registry does not have, then the manifest."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from weft.image.oci.blobs import PIECE, BlobStore
from weft.image.oci.download import PARALLEL, Counter
from weft.image.oci.manifest import Descriptor, Manifest, parse_manifest
from weft.image.oci.media import OCI_MANIFEST
from weft.image.oci.registry import Access, Registry, open_registry, with_retries
from weft.image.oci.tally import Tally
from weft.image.progress import Progress
from weft.model.errors import Invalid, NotFound
from weft.model.image import ImageManifest, PushedImage
from weft.model.reference import Reference


async def push_image(
    image: ImageManifest, reference: Reference, blobs: BlobStore, access: Access, progress: Progress
) -> PushedImage:
    """Have the image in a registry under `reference`. Raises Invalid, NotFound for blobs that are gone, Unavailable."""
    if reference.digest:
        raise Invalid(f"{reference} has a digest: what is pushed gets a tag", hint="leave the digest out")
    manifest, data = load_manifest(image, blobs)
    tally = Tally(manifest.size, progress)
    with blobs.hold([blob.digest for blob in manifest.blobs]):
        async with open_registry(reference, access, push=True) as registry:
            await _upload_all(registry, blobs, manifest, tally.count)
            await with_retries(lambda: _put_manifest(registry, reference, data, manifest.media_type or OCI_MANIFEST))
    return PushedImage(reference=str(reference), digest=image.oci.manifest if image.oci else "")


def load_manifest(image: ImageManifest, blobs: BlobStore) -> tuple[Manifest, bytes]:
    """The manifest of an image that is here with all its blobs. Raises Invalid for an appliance, NotFound."""
    if image.oci is None:
        hint = "what is pulled or imported can be; its recipe makes an appliance anywhere"
        raise Invalid(f"image {image.name!r} has no layers that could be passed on", hint=hint)
    data = blobs.read(image.oci.manifest)
    manifest = parse_manifest(data, "", image.name)
    assert isinstance(manifest, Manifest)
    for blob in manifest.blobs:
        if not blobs.has(blob):
            raise NotFound(f"blob {blob.digest} of {image.name!r} is not here", hint="pull or import the image again")
    return manifest, data


async def _upload_all(registry: Registry, blobs: BlobStore, manifest: Manifest, count: Counter) -> None:
    gate = asyncio.Semaphore(PARALLEL)

    async def upload(blob: Descriptor) -> None:
        async with gate:
            await with_retries(lambda: _upload(registry, blob, blobs.path(blob.digest)))
            count(blob.size)

    try:
        async with asyncio.TaskGroup() as group:
            for blob in manifest.blobs:
                group.create_task(upload(blob))
    except BaseExceptionGroup as err:
        raise err.exceptions[0] from None


async def _upload(registry: Registry, blob: Descriptor, path: Path) -> None:
    """In one piece, unless the registry has it."""
    what = f"blob {blob.digest} to {registry.where}"
    async with registry.open("HEAD", f"blobs/{blob.digest}") as response:
        if response.status_code == 200:
            return
        if response.status_code != 404:
            registry.check(response, what)
    async with registry.open("POST", "blobs/uploads/", headers={"Content-Length": "0"}) as response:
        registry.check(response, what)
        location = registry.resolve_location(response)
    headers = {"Content-Length": str(blob.size), "Content-Type": "application/octet-stream"}
    target = f"{location}{'&' if '?' in location else '?'}digest={blob.digest}"
    async with registry.open("PUT", target, headers=headers, content=lambda: read_pieces(path)) as response:
        registry.check(response, what)


async def _put_manifest(registry: Registry, reference: Reference, data: bytes, media_type: str) -> None:
    async def content() -> AsyncIterator[bytes]:
        yield data

    headers = {"Content-Type": media_type, "Content-Length": str(len(data))}
    async with registry.open("PUT", f"manifests/{reference.target}", headers=headers, content=content) as response:
        registry.check(response, f"the manifest of {reference}")


async def read_pieces(path: Path) -> AsyncIterator[bytes]:
    """A file's content, a piece at a time."""
    with path.open("rb") as file:
        while piece := await asyncio.to_thread(file.read, PIECE):
            yield piece
