"""Pulling an image: its manifest, its blobs, its place in the store."""

import asyncio

from weft.image.oci.blobs import BlobStore, digest_of, verify
from weft.image.oci.download import fetch_blobs
from weft.image.oci.keep import keep_image, make_source, scale_progress
from weft.image.oci.manifest import Index, Manifest, choose_manifest, parse_manifest
from weft.image.oci.registry import Access, Registry, open_registry
from weft.image.oci.tally import Tally
from weft.image.progress import Progress
from weft.image.store import ImageStore
from weft.model.errors import Invalid
from weft.model.image import ImageManifest
from weft.model.reference import Reference

FETCHING = 0.6
"""The part of a pull's progress that is fetching; the rest is writing the root."""


async def pull_image(
    reference: Reference, store: ImageStore, blobs: BlobStore, access: Access, progress: Progress
) -> ImageManifest:
    """Have the image of a reference in the store, under the reference's full name.

    What is here already is not fetched again; a pull that was cut off goes on where it was. Raises NotFound, Invalid,
    NoRoom, Unavailable; then the store is as it was."""
    name = str(reference)
    progress(f"asking {reference.host}", None)
    async with open_registry(reference, access) as registry:
        manifest, data = await find_manifest(registry, reference)
        digest = digest_of(data)
        if (kept := _find_current(store, name, digest)) is not None:
            progress("it is here already", 1.0)
            return kept
        with blobs.hold([digest, *(blob.digest for blob in manifest.blobs)]):
            await fetch_content(registry, blobs, manifest, scale_progress(progress, 0.0, FETCHING))
            await asyncio.to_thread(blobs.add, data)
            source = make_source(name, digest, manifest)
            return await keep_image(store, blobs, name, source, manifest, scale_progress(progress, FETCHING, 1.0))


async def find_manifest(registry: Registry, reference: Reference) -> tuple[Manifest, bytes]:
    """The manifest for our machines, and its bytes; an index is looked through."""
    where = str(reference)
    data, media_type = await registry.fetch_manifest(reference.target)
    if reference.digest:
        verify(data, reference.digest, where)
    found = parse_manifest(data, media_type, where)
    if isinstance(found, Index):
        chosen = choose_manifest(found, where)
        data, media_type = await registry.fetch_manifest(chosen.digest)
        found = parse_manifest(verify(data, chosen.digest, where), media_type, where)
    if isinstance(found, Index):
        raise Invalid(f"{where} is an index within an index")
    return found, data


async def fetch_content(registry: Registry, blobs: BlobStore, manifest: Manifest, progress: Progress) -> None:
    """Have all blobs of a manifest. Raises NoRoom before anything is fetched that does not fit."""
    missing = [blob for blob in manifest.blobs if not blobs.has(blob)]
    await asyncio.to_thread(blobs.check_room, sum(blob.size for blob in missing))
    tally = Tally(sum(blob.size for blob in missing), progress)
    await fetch_blobs(registry, blobs, missing, tally.count)


def _find_current(store: ImageStore, name: str, digest: str) -> ImageManifest | None:
    image = store.find(name)
    same = image is not None and image.oci is not None and image.oci.manifest == digest
    return image if image is not None and same and store.root_path(image).is_file() else None
