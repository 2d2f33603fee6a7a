"""From blobs that are here to an image in the store."""

import asyncio
from datetime import UTC, datetime

from weft.image.oci.blobs import BlobStore
from weft.image.oci.config import make_image, parse_config
from weft.image.oci.manifest import Manifest
from weft.image.progress import Progress
from weft.image.store import ImageStore
from weft.model.errors import Invalid
from weft.model.image import ImageManifest, OciSource


async def keep_image(
    store: ImageStore, blobs: BlobStore, name: str, source: OciSource, manifest: Manifest, progress: Progress
) -> ImageManifest:
    """Put the image whose blobs are all here into the store under `name`; one of that name is replaced.

    Its root is written once: an image of the same layers shares it. Raises Invalid for a config or a layer that is
    damaged or hostile, NoRoom, Unavailable."""
    config = parse_config(blobs.read(manifest.config.digest), name)
    if len(config.rootfs.diff_ids) != len(manifest.layers):
        raise Invalid(f"the config of {name} is for {len(config.rootfs.diff_ids)} layers, not {len(manifest.layers)}")
    image = make_image(name, config, source, now=datetime.now(UTC))
    async with blobs.locked(source.manifest):
        if (twin := find_twin(store, source)) is not None:
            return await asyncio.to_thread(store.add_linked, image, twin)
        with store.open_draft() as draft:
            from weft.image.flatten import write_root

            await write_root([blobs.path(layer) for layer in source.layers], draft / "root", progress=progress)
            return await asyncio.to_thread(store.add, image, draft / "root")


def find_twin(store: ImageStore, source: OciSource) -> ImageManifest | None:
    """An image with the same layers, and so the same root."""
    images = (image for image in store.list() if image.oci and image.oci.layers == source.layers)
    return next((image for image in images if store.root_path(image).is_file()), None)


def make_source(reference: str, digest: str, manifest: Manifest) -> OciSource:
    """Where an image comes from; `digest` is the manifest's."""
    layers = tuple(layer.digest for layer in manifest.layers)
    return OciSource(reference=reference, manifest=digest, config=manifest.config.digest, layers=layers)


def scale_progress(progress: Progress, low: float, high: float) -> Progress:
    """For one part of the work: its fractions lie between `low` and `high` of the whole."""

    def scaled(text: str, fraction: float | None) -> None:
        progress(text, None if fraction is None else low + fraction * (high - low))

    return scaled
