"""Taking an archive in: received whole into a draft folder first, then its images put into the store."""

import asyncio
import shutil
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from weft.image.oci.archive import Archive, Found, parse_archive, read_archive
from weft.image.oci.blobs import BlobStore, digest_of, translate
from weft.image.oci.download import finish
from weft.image.oci.keep import keep_image, make_source
from weft.image.progress import Progress
from weft.image.store import ImageStore
from weft.model.errors import Invalid
from weft.model.image import ImageManifest, ImportedImages
from weft.model.reference import parse_image_name

What = TypeVar("What")


@dataclass(frozen=True, slots=True)
class Received:
    """An archive that is here, below `draft`."""

    archive: Archive
    draft: Path


class Feed:
    """An asynchronous stream, read by a thread."""

    def __init__(self, stream: AsyncIterator[bytes]) -> None:
        self._stream = stream
        self._loop = asyncio.get_running_loop()
        self._rest = b""

    def read(self, size: int) -> bytes:
        while not self._rest:
            piece = asyncio.run_coroutine_threadsafe(self._next(), self._loop).result()
            if piece is None:
                return b""
            self._rest = piece
        data, self._rest = self._rest[:size], self._rest[size:]
        return data

    async def _next(self) -> bytes | None:
        return await anext(self._stream, None)


async def receive(blobs: BlobStore, stream: AsyncIterator[bytes]) -> Received:
    """Read an archive to its end. Raises Invalid for what is none, NoRoom, Unavailable; nothing is left then."""
    return await receive_draft(blobs, stream, _read)


async def receive_draft(blobs: BlobStore, stream: AsyncIterator[bytes], read: Callable[[Feed, Path], What]) -> What:
    """Have a thread read a stream into a draft folder, which stays if it can.

    Raises NoRoom, Unavailable, and what `read` raises; nothing is left then.
    """
    draft = await asyncio.to_thread(blobs.make_draft)
    try:
        return await finish(asyncio.to_thread(read, Feed(stream), draft))
    except OSError as err:
        shutil.rmtree(draft, ignore_errors=True)
        raise translate(err, draft) from err
    except BaseException:
        shutil.rmtree(draft, ignore_errors=True)
        raise


def _read(feed: Feed, draft: Path) -> Received:
    return Received(read_archive(feed, draft, lambda _: None), draft)


async def take_in(
    received: Received,
    name: str | None,
    store: ImageStore,
    blobs: BlobStore,
    progress: Progress,
    *,
    plan9: bool = False,
) -> ImportedImages:
    """Put the images of an archive into the store, under their own names or under `name`. `plan9`: they are roots of
    Plan 9, even if they do not say so.

    Raises Invalid, also for an archive that gives no name; NoRoom, Unavailable. The draft is gone in any case."""
    try:
        images = await asyncio.to_thread(parse_archive, received.archive)
        kept: list[ImageManifest] = []
        for image in _name_all(images, name):
            kept += await _keep(image, store, blobs, progress, plan9=plan9)
        return ImportedImages(images=tuple(kept))
    finally:
        await asyncio.to_thread(shutil.rmtree, received.draft, ignore_errors=True)


def _name_all(images: list[Found], name: str | None) -> Iterable[Found]:
    if name is not None:
        if len(images) > 1:
            raise Invalid(f"the archive has {len(images)} images, and one name was given", hint="leave the name out")
        return [Found(images[0].manifest, images[0].data, images[0].files, (parse_image_name(name),))]
    if any(not image.names for image in images):
        raise Invalid("the archive does not say what its image is called", hint="weft image import -t NAME names it")
    return images


async def _keep(
    image: Found, store: ImageStore, blobs: BlobStore, progress: Progress, *, plan9: bool
) -> list[ImageManifest]:
    digest = digest_of(image.data)
    kept = []
    with blobs.hold([digest, *image.files]):
        await asyncio.to_thread(_take_files, image, blobs)
        for name in image.names:
            progress(f"writing the root of {name}", None)
            source = make_source("", digest, image.manifest)
            kept.append(await keep_image(store, blobs, name, source, image.manifest, progress, plan9=plan9))
    return kept


def _take_files(image: Found, blobs: BlobStore) -> None:
    for digest, stored in image.files.items():
        if not blobs.path(digest).exists():
            blobs.take(stored.path, digest)
    blobs.add(image.data)
