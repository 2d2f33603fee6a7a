"""Taking in a Plan 9 root: a plain tar, or an archive with an image that does not say that it is one."""

import asyncio
import hashlib
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from weft.image.flatten.layers import Layer, open_layers
from weft.image.flatten.limits import Budget
from weft.image.oci.archive import read_archive
from weft.image.oci.blobs import PIECE, BlobStore
from weft.image.oci.importing import Feed, Received, receive_draft
from weft.image.plan9.root import write_pack
from weft.image.progress import Progress
from weft.image.store import ImageStore
from weft.model.errors import Invalid
from weft.model.image import ImageKind, ImageManifest, ImportedImages
from weft.model.reference import parse_image_name

_MARKS = {b"oci-layout", b"manifest.json"}
"""One of them is at the top of every archive with images."""


@dataclass(frozen=True, slots=True)
class ReceivedTar:
    """A tar that is here, below `draft`, with the digest of its bytes."""

    path: Path
    digest: str
    draft: Path


async def receive_root(blobs: BlobStore, stream: AsyncIterator[bytes]) -> Received | ReceivedTar:
    """Read a tar to its end, and see what it is. Raises Invalid for what is none, NoRoom, Unavailable; nothing is left
    then.
    """
    return await receive_draft(blobs, stream, _receive)


async def take_in_root(tar: ReceivedTar, name: str | None, store: ImageStore, progress: Progress) -> ImportedImages:
    """Put a root into the store. Raises Invalid, also without a name; NoRoom, Unavailable. The draft is gone then."""
    try:
        if name is None:
            raise Invalid("a tar does not say what its image is called", hint="weft image import -t NAME names it")
        image = _make_image(parse_image_name(name), tar)
        with store.open_draft() as draft:
            await write_pack([tar.path], draft / "root", progress=progress)
            return ImportedImages(images=(await asyncio.to_thread(store.add, image, draft / "root"),))
    finally:
        await asyncio.to_thread(shutil.rmtree, tar.draft, ignore_errors=True)


def _receive(feed: Feed, draft: Path) -> Received | ReceivedTar:
    path, digest = draft / "tar", hashlib.sha256()
    with path.open("wb") as file:
        while piece := feed.read(PIECE):
            file.write(piece)
            digest.update(piece)
    try:
        (layer,) = open_layers([path], draft, Budget())
    except Invalid as err:
        why = err.message.removeprefix(f"layer {path.name}: ").removeprefix(f"layer {path.name} is damaged: ")
        raise Invalid(f"this is no tar, or a damaged one: {why}", hint="plain, or packed by gzip, xz or zstd") from err
    try:
        if not _is_archive(layer):
            return ReceivedTar(path, digest.hexdigest(), draft)
    finally:
        layer.close()
    with path.open("rb") as file:
        archive = read_archive(file, draft, lambda _: None)
    path.unlink()
    return Received(archive, draft)


def _is_archive(layer: Layer) -> bool:
    return any(member.name.removeprefix(b"./") in _MARKS for member in layer.members)


def _make_image(name: str, tar: ReceivedTar) -> ImageManifest:
    return ImageManifest(
        name=name,
        kind=ImageKind.PLAN9,
        version=tar.digest[:12],
        digest=f"sha256:{tar.digest}",
        size=0,
        root_type="p9",
        created=datetime.now(UTC),
    )
