"""From blobs that are here to an image in the store."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

from weft.image.oci.blobs import BlobStore
from weft.image.oci.config import make_image, make_root, parse_config
from weft.image.oci.manifest import PLAN9, Manifest
from weft.image.progress import Progress
from weft.image.store import ImageStore
from weft.model.errors import Invalid
from weft.model.image import ImageKind, ImageManifest, OciSource


class Writer(Protocol):
    """Writes the root of an image from its layers."""

    async def __call__(self, layers: Sequence[Path], path: Path, *, progress: Progress) -> None: ...


async def keep_image(
    store: ImageStore,
    blobs: BlobStore,
    name: str,
    source: OciSource,
    manifest: Manifest,
    progress: Progress,
    *,
    plan9: bool = False,
) -> ImageManifest:
    """Put the image whose blobs are all here into the store under `name`; one of that name is replaced.

    `plan9`: it is a Plan 9 root, even if it does not say so. Its root is written once: an image of the same layers
    shares it. Raises Invalid for a config or a layer that is
    damaged or hostile, NoRoom, Unavailable."""
    config = parse_config(blobs.read(manifest.config.digest), name)
    if len(config.rootfs.diff_ids) != len(manifest.layers):
        raise Invalid(f"the config of {name} is for {len(config.rootfs.diff_ids)} layers, not {len(manifest.layers)}")
    make = make_root if plan9 or config.os == PLAN9 else make_image
    image = make(name, config, source, now=datetime.now(UTC))
    async with blobs.locked(source.manifest):
        if (twin := find_twin(store, image)) is not None:
            return await asyncio.to_thread(store.add_linked, image, twin)
        with store.open_draft() as draft:
            layers = [blobs.path(layer) for layer in source.layers]
            await _find_writer(image)(layers, draft / "root", progress=progress)
            return await asyncio.to_thread(store.add, image, draft / "root")


def find_twin(store: ImageStore, image: ImageManifest) -> ImageManifest | None:
    """An image with the same layers, and so the same root."""
    same = (other for other in store.list() if _dump_root(other) == _dump_root(image))
    return next((other for other in same if store.root_path(other).is_file()), None)


def _dump_root(image: ImageManifest) -> tuple[object, ...] | None:
    """What decides how the root looks."""
    return (image.root_type, image.oci.layers) if image.oci else None


def _find_writer(image: ImageManifest) -> "Writer":
    """What writes its root, imported when it is called for."""
    if image.kind is ImageKind.PLAN9:
        from weft.image.plan9.root import write_pack

        return write_pack
    from weft.image.flatten import write_root

    return write_root


def make_source(reference: str, digest: str, manifest: Manifest) -> OciSource:
    """Where an image comes from; `digest` is the manifest's."""
    layers = tuple(layer.digest for layer in manifest.layers)
    return OciSource(reference=reference, manifest=digest, config=manifest.config.digest, layers=layers)


def scale_progress(progress: Progress, low: float, high: float) -> Progress:
    """For one part of the work: its fractions lie between `low` and `high` of the whole."""

    def scaled(text: str, fraction: float | None) -> None:
        progress(text, None if fraction is None else low + fraction * (high - low))

    return scaled
