"""The machines' kernel, built here: what decides a build, the cache of builds, and the way into the store."""

import asyncio
import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from weft.image.cache import cache_home, open_cache_folder
from weft.image.folders import share_folder
from weft.image.importing import keep_kernel
from weft.image.kernel_make import REPRODUCIBLE, make_kernel, read_toolchain
from weft.image.kernel_source import KernelSource, Pinned, load_pinned, open_source
from weft.image.progress import Progress, ignore_progress
from weft.image.store import KernelStore
from weft.image.vmlinux import load_vmlinux
from weft.model.errors import Invalid
from weft.model.image import KernelInfo
from weft.model.names import DEFAULT_KERNEL, parse_name

BUILD_VERSION = "1"
"""Part of every key: raised when the same source and fragment would be built in another way."""

KEPT_AS = "packed"
"""How a store has a kernel; a home that has it in another way gets it anew from the cache."""

LOCK_TIMEOUT = 2 * 3600.0
BUILD_PREFIX = "build-"


@dataclass(frozen=True)
class KernelPlan:
    """Everything that decides the bytes of a kernel, and the key that says so in one word."""

    source: KernelSource
    fragment: Path
    patches: tuple[Path, ...]
    pinned: Pinned
    key: str


async def build_kernel(
    home: Path,
    *,
    name: str = DEFAULT_KERNEL,
    source: Path | None = None,
    fragment: Path | None = None,
    cache: Path | None = None,
    jobs: int | None = None,
    progress: Progress = ignore_progress,
    force: bool = False,
) -> KernelInfo:
    """Build a kernel and keep it under `name` in the fabric at `home`.

    `source` is a tree or a tarball; without it the distribution's package is used. A kernel that was built from the
    same source, fragment and compiler comes from `cache`, unless `force`. Raises Unavailable when source, tools or
    space are missing, Invalid for a source that cannot give a usable kernel, Internal when it does not compile."""
    parse_name(name, "kernel")
    progress("reading the kernel's source", None)
    plan = await plan_kernel(source, fragment)
    kept = KernelStore(home).find(name)
    kept_key = f"{plan.key}-{KEPT_AS}"
    if kept and kept.key == kept_key and not force:
        progress("this kernel is there already", 1.0)
        return kept
    if source is None and plan.source.digest != plan.pinned.sha256:
        progress(f"the installed source is not {plan.pinned.version}, with which this was tried", None)
    vmlinux = await build_cached(plan, cache or cache_home(), jobs=jobs, progress=progress, force=force)
    kernel = await load_vmlinux(await asyncio.to_thread(vmlinux.read_bytes), str(vmlinux))
    info = await keep_kernel(home, name, kernel, origin="built", key=kept_key)
    progress(f"kernel {info.release} is ready", 1.0)
    return info


async def plan_kernel(source: Path | None, fragment: Path | None) -> KernelPlan:
    """Read all that decides a build. Raises Unavailable, NotFound, Invalid."""
    pinned = load_pinned()
    fragment = (fragment or share_folder("kernel") / "fragment.config").absolute()
    opened = await asyncio.to_thread(open_source, source, pinned)
    patches = () if opened.is_tree else tuple(sorted((share_folder("kernel") / "patches").glob("*.patch")))
    try:
        texts = [path.read_bytes() for path in (fragment, *patches)]
    except OSError as err:
        raise Invalid(f"cannot read {err.filename}: {err.strerror}") from err
    facts = (BUILD_VERSION, opened.digest, texts, await read_toolchain(pinned.needs), sorted(REPRODUCIBLE.items()))
    return KernelPlan(opened, fragment, patches, pinned, hashlib.sha256(repr(facts).encode()).hexdigest())


async def build_cached(
    plan: KernelPlan, cache: Path, *, jobs: int | None, progress: Progress, force: bool = False
) -> Path:
    """The vmlinux of a plan, from the cache or built into it. One build at a time per cache."""
    ready = cache / "kernel" / plan.key
    if not force and (ready / "vmlinux").is_file():
        return ready / "vmlinux"
    async with open_cache_folder(cache / "kernel", timeout=LOCK_TIMEOUT) as folder:
        if not force and (ready / "vmlinux").is_file():
            return ready / "vmlinux"  # built while we waited
        for orphan in folder.glob(BUILD_PREFIX + "*"):
            await _remove_folder(orphan)  # we hold the lock, so its builder is dead
        work = Path(tempfile.mkdtemp(prefix=BUILD_PREFIX, dir=folder))
        try:
            await _build_into(plan, work, ready, jobs=jobs or len(os.sched_getaffinity(0)), progress=progress)
        finally:
            await asyncio.shield(_remove_folder(work))
    return ready / "vmlinux"


async def _remove_folder(folder: Path) -> None:
    """In a thread: a source tree has 80,000 files, and a daemon has other things to do meanwhile."""
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


async def _build_into(plan: KernelPlan, work: Path, ready: Path, *, jobs: int, progress: Progress) -> None:
    vmlinux = await make_kernel(
        plan.source, plan.fragment, plan.patches, work, pinned=plan.pinned, jobs=jobs, progress=progress
    )
    await load_vmlinux(await asyncio.to_thread(vmlinux.read_bytes), "the kernel that was built")
    draft = work / "ready"
    draft.mkdir()
    vmlinux.rename(draft / "vmlinux")
    (work / "out" / ".config").rename(draft / "config")
    if ready.exists():
        await _remove_folder(ready)
    draft.rename(ready)
