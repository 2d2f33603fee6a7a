"""Blobs from a registry into the store: three at a time, gone on with where they were cut off, verified."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import TypeVar

import httpx

from weft.image.oci.blobs import PIECE, BlobStore, PartialBlob, open_partial
from weft.image.oci.manifest import Descriptor
from weft.image.oci.registry import TRIES, Broken, Registry, pause
from weft.model.errors import Invalid

PARALLEL = 3
T = TypeVar("T")
Counter = Callable[[int], None]
"""Called with bytes that have come, or were here already; negative when some are thrown away."""


async def fetch_blobs(registry: Registry, store: BlobStore, blobs: Iterable[Descriptor], count: Counter) -> None:
    """Have all of them. The first error ends the others; what came until then is kept for another try.

    Raises NotFound, Invalid for content that is not what its digest says, NoRoom, Unavailable."""
    gate = asyncio.Semaphore(PARALLEL)

    async def fetch(blob: Descriptor) -> None:
        async with gate:
            await fetch_blob(registry, store, blob, count)

    try:
        async with asyncio.TaskGroup() as group:
            for blob in blobs:
                group.create_task(fetch(blob))
    except BaseExceptionGroup as err:
        raise err.exceptions[0] from None


async def fetch_blob(registry: Registry, store: BlobStore, blob: Descriptor, count: Counter) -> None:
    """Have this one. If somebody else is at it already, wait for them."""
    async with store.locked(blob.digest):
        if store.has(blob):
            count(blob.size)
            return
        resumed = await _try(registry, store, blob, count)
        # What an earlier try left may have suffered, from a power cut say: once more, from the beginning.
        if resumed:
            resumed = await _try(registry, store, blob, count)
        if resumed is not None:
            raise Invalid(f"{registry.where} sends something else than {blob.digest}")


async def _try(registry: Registry, store: BlobStore, blob: Descriptor, count: Counter) -> int | None:
    """None when it is kept; else how many bytes of it were here before, and nothing is left of them."""
    with open_partial(store, blob) as partial:
        await asyncio.to_thread(partial.resume)
        resumed = partial.size
        count(resumed)
        await _fill(registry, partial, blob, count)
        if await finish(asyncio.to_thread(partial.finish)):
            return None
        count(-partial.size)
        return resumed


async def _fill(registry: Registry, partial: PartialBlob, blob: Descriptor, count: Counter) -> None:
    """Go on until it is whole. Tries that bring less than a piece are counted."""
    tries = 0
    while not partial.is_whole:
        before = partial.size
        try:
            await _receive(registry, partial, blob, count)
            if not partial.is_whole:
                raise Broken(f"{registry.where} cuts {blob.digest} off after {partial.size} of {blob.size} bytes")
        except Broken as err:
            tries = 0 if partial.size - before >= PIECE else tries + 1
            if tries >= TRIES:
                raise
            await asyncio.sleep(pause(tries, err))


async def _receive(registry: Registry, partial: PartialBlob, blob: Descriptor, count: Counter) -> None:
    """One answer, from where we are."""
    headers = {"Range": f"bytes={partial.size}-"} if partial.size else {}
    async with registry.open("GET", f"blobs/{blob.digest}", headers=headers) as response:
        if response.status_code != 416:
            registry.check(response, f"blob {blob.digest} in {registry.where}")
        if not _goes_on(response, partial.size):
            count(-partial.size)
            partial.restart()
        if response.status_code != 416:
            await _write(response, partial, count)


def _goes_on(response: httpx.Response, size: int) -> bool:
    """Whether the answer begins where we are: not every server knows ranges."""
    if response.status_code != 206:
        return size == 0
    said: str = response.headers.get("content-range", "")
    return said.startswith(f"bytes {size}-")


async def _write(response: httpx.Response, partial: PartialBlob, count: Counter) -> None:
    """Pieces are hashed and written in a thread while the next one comes."""
    pieces: list[bytes] = []
    size = 0
    writing: asyncio.Future[None] | None = None
    try:
        async for piece in response.aiter_raw():
            pieces.append(piece)
            size += len(piece)
            if size >= PIECE:
                if writing is not None:
                    await finish(writing)
                writing = asyncio.ensure_future(asyncio.to_thread(partial.write, b"".join(pieces)))
                count(size)
                pieces, size = [], 0
    finally:
        if writing is not None:
            await finish(writing)
        if pieces:
            await finish(asyncio.to_thread(partial.write, b"".join(pieces)))
            count(size)


async def finish(work: Awaitable[T]) -> T:
    """A thread's work to its end, also when we are cancelled: its file must not be closed under it."""
    task = asyncio.ensure_future(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        raise
