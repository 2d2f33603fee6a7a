"""A tree as a squashfs file, the same bytes for the same tree, made without root."""

import asyncio
import os
from pathlib import Path

from weft.host.process import ProcessFailed, run
from weft.image.tree import Tree
from weft.model.errors import Internal, NotFound

SQUASHFS_TIMEOUT = 300.0
# Measured under emulation: a machine that runs tcpdump takes 1.8 s with zstd, 1.1 s with lz4, which is 1.6 MB larger.
COMPRESSION = ("-comp", "lz4", "-Xhc", "-b", "128K")

# All times come from these flags, and from SOURCE_DATE_EPOCH nothing: sqfstar refuses to take both.
REPRODUCIBLE = ("-reproducible", "-mkfs-time", "0", "-all-time", "0", "-root-time", "0")
# The root folder is not in the tar, and sqfstar knows no way to name its owner but that everything is root's.
ALL_ROOT = ("-all-root", "-root-mode", "0755")
# So where something is not, whoever runs sqfstar is root, if only of a user namespace.
OWNERS = ("-root-mode", "0755")
AS_ROOT = ("unshare", "--user", "--map-root-user")


async def write_squashfs(tree: Tree, path: Path) -> None:
    """Write `tree` to `path`, which must not exist. Raises Unavailable without squashfs-tools."""
    argv = [*(AS_ROOT if tree.has_owners and os.geteuid() else ()), "sqfstar"]
    argv += ["-quiet", "-no-progress", "-exit-on-error", "-no-xattrs", "-processors", "2"]
    argv += [*COMPRESSION, *REPRODUCIBLE, *(OWNERS if tree.has_owners else ALL_ROOT), str(path)]
    try:
        await run(argv, input=await asyncio.to_thread(tree.dump_tar), timeout=SQUASHFS_TIMEOUT)
    except ProcessFailed as err:
        raise Internal(f"sqfstar could not write {path}", detail=err.detail) from err


async def read_from_squashfs(path: Path, inside: str) -> bytes:
    """One file of a squashfs. Raises NotFound."""
    try:
        return (await run(["unsquashfs", "-cat", str(path), inside], timeout=SQUASHFS_TIMEOUT)).stdout
    except ProcessFailed as err:
        raise NotFound(f"{path.name} has no {inside}", detail=err.detail) from err
