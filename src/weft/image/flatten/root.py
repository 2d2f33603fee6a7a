"""From layers to a squashfs: unpack them, lay them over each other, write one tar into `tar2sqfs`."""

import asyncio
import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from weft.host.process import ProcessFailed, run
from weft.image.flatten.layers import THREADS, Layer, open_layers
from weft.image.flatten.limits import LIMITS, Budget, Limits
from weft.image.flatten.mend import mend_owners
from weft.image.flatten.merge import Merger
from weft.image.flatten.stream import TarStream
from weft.image.flatten.threads import in_thread, tell_loop
from weft.image.progress import Progress, ignore_progress
from weft.model.errors import Exists, Internal, NoRoom

PACK_TIMEOUT = 3600.0
PIPE_BYTES = 1 << 20
"""As much as an ordinary user may give a pipe, by default."""

# lz4 for the same reason as in appliances' roots: it costs least at boot. --no-skip: what cannot be packed is an error.
PACKER = ("tar2sqfs", "--quiet", "--no-skip", "--compressor", "lz4", "--num-jobs", str(THREADS))


async def write_root(
    layers: Sequence[Path], path: Path, *, progress: Progress = ignore_progress, limits: Limits = LIMITS
) -> None:
    """Write the tree of `layers`, from the lowest up, to `path`, which must not exist. Equal layers give equal bytes.

    A layer is a tar, plain or compressed with gzip or zstd. Unpacked layers take room beside `path` meanwhile. Raises
    NotFound for a layer that is not there, Invalid for one that is damaged or asks for what no image can have, NoRoom
    beyond `limits` or for want of space, Unavailable without squashfs-tools-ng.
    """
    if path.exists():
        raise Exists(f"{path} is there already")
    budget, tell = Budget(limits), tell_loop(progress)
    opened: list[Layer] = []
    try:
        await in_thread(budget, lambda: opened.extend(_open(layers, path.parent, budget, tell)))
        tree = await in_thread(budget, lambda: merge_layers(opened))
        await _pack(tree, opened, path, budget, tell)
        await in_thread(budget, lambda: mend_owners(path))
    except BaseException:
        path.unlink(missing_ok=True)
        raise
    finally:
        for layer in opened:
            layer.close()


def merge_layers(layers: Sequence[Layer]) -> Merger:
    """The tree that they make together."""
    merger = Merger()
    for layer in layers:
        merger.add_layer(layer.members)
        layer.members = []
    return merger


def _open(paths: Sequence[Path], spool: Path, budget: Budget, tell: Progress) -> list[Layer]:
    tell("unpacking layers", 0.0)
    return open_layers(paths, spool, budget, lambda done: tell("unpacking layers", done / len(paths) / 2))


async def _pack(tree: Merger, layers: Sequence[Layer], path: Path, budget: Budget, tell: Progress) -> None:
    """Run the packer on what the stream writes. When both fail, it is told what the stream could not do."""
    reader, writer = os.pipe()
    packing = asyncio.ensure_future(_run_packer(reader, path))
    try:
        with suppress(BrokenPipeError):  # the packer has ended, and says why
            await in_thread(budget, lambda: _write(tree, layers, writer, budget, tell))
        await packing
    finally:
        packing.cancel()
        await asyncio.wait([packing])


async def _run_packer(reader: int, path: Path) -> None:
    """When it ends the pipe has no reader any more, which ends whoever writes to it."""
    try:
        await run([*PACKER, str(path)], stdin=reader, timeout=PACK_TIMEOUT)
    except ProcessFailed as err:
        if "I/O error" in (err.detail or ""):  # it says no more than that
            raise NoRoom(f"{path} cannot be written", hint="most likely its file system is full") from err
        raise Internal(f"tar2sqfs could not write {path}", detail=err.detail) from err
    finally:
        os.close(reader)


def _write(tree: Merger, layers: Sequence[Layer], writer: int, budget: Budget, tell: Progress) -> None:
    total = sum(inode.size for inode in {inode for _, inode in tree}) or 1
    try:
        with suppress(OSError):  # a smaller pipe does it as well
            fcntl.fcntl(writer, fcntl.F_SETPIPE_SZ, PIPE_BYTES)
        TarStream(tree, layers, writer).write(budget, lambda done: tell("writing the root", (1 + done / total) / 2))
    finally:
        os.close(writer)
