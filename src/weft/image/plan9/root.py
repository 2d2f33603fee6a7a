"""Writing the root of a Plan 9 machine: one pack of all layers."""

import os
from collections.abc import Sequence
from pathlib import Path

from weft.image.flatten.layers import Layer, open_layers
from weft.image.flatten.limits import LIMITS, Budget, Limits
from weft.image.flatten.merge import Inode
from weft.image.flatten.root import merge_layers
from weft.image.flatten.stream import ContentStream
from weft.image.flatten.threads import in_thread, tell_loop
from weft.image.plan9.tree import RootPlan
from weft.image.progress import Progress, ignore_progress
from weft.model.errors import Invalid
from weft.ninep.packing import Packing, plan_pack

_TOLD = 1 << 24
"""Bytes of contents between two messages about it."""


async def write_pack(
    layers: Sequence[Path], path: Path, *, progress: Progress = ignore_progress, limits: Limits = LIMITS
) -> None:
    """Write the tree of `layers`, from the lowest up, to `path`. Equal layers give equal bytes.

    A layer is a tar, plain or compressed. `progress` is told, too, what is left out. Raises NotFound for a layer that
    is not there, Invalid for one that is damaged or without anything, NoRoom beyond `limits`, OSError.
    """
    budget, tell = Budget(limits), tell_loop(progress)
    tell("unpacking layers", 0.0)
    await in_thread(budget, lambda: _write(layers, path, budget, tell))


def _write(paths: Sequence[Path], path: Path, budget: Budget, tell: Progress) -> None:
    layers = open_layers(paths, path.parent, budget, lambda done: tell("unpacking layers", done / len(paths) / 2))
    try:
        plan = RootPlan(merge_layers(layers), budget)
        root = plan.plan()
        if not root.children:
            raise Invalid("there is no file in it")
        for what, count in plan.left_out.items():
            tell(f"left out: {what} ({count})", None)
        _write_packing(plan_pack(root), layers, path, tell)
    finally:
        for layer in layers:
            layer.close()


def _write_packing(packing: Packing, layers: Sequence[Layer], path: Path, tell: Progress) -> None:
    total, done, told = sum(size for _, size in packing.contents) or 1, 0, 0
    with path.open("wb") as file:
        stream = ContentStream(layers, file.fileno())
        stream.put(packing.head)
        for source, size in packing.contents:
            assert isinstance(source, Inode), "the plan's sources are inodes"
            stream.write_content(source)
            done += size
            if done - told >= _TOLD:
                tell("writing the root", (1 + done / total) / 2)
                told = done
        stream.flush()
        os.fsync(file.fileno())
    tell("writing the root", 1.0)
