"""From a recipe folder to an image in the store."""

import asyncio
import hashlib
import os
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path

from weft.image.budget import check_size
from weft.image.cache import cache_home
from weft.image.folders import recipe_place
from weft.image.packages import PackageFiles, digest_lists, fetch_packages
from weft.image.progress import Progress, ignore_progress
from weft.image.recipe import Recipe, load_recipe, order_services
from weft.image.rootfs import RootBuilder, build_root, check_programs
from weft.image.sbom import make_sbom, sbom_path
from weft.image.squashfs import COMPRESSION, write_squashfs
from weft.image.store import ImageStore
from weft.image.tree import File
from weft.image.verity import append_tree
from weft.model.errors import Unavailable
from weft.model.image import ImageManifest
from weft.model.reference import parse_image_name

BUILD_VERSION = "3"
"""Part of every key: raised when the same recipe and packages would give another image."""

Trial = Callable[[ImageManifest, int], Awaitable[None]]
"""Boots an image that is in the store and raises NoRoom when less than so many bytes of its memory are left."""


async def build_image(
    recipe_at: Path,
    home: Path,
    *,
    name: str | None = None,
    cache: Path | None = None,
    progress: Progress = ignore_progress,
    force: bool = False,
    trial: Trial | None = None,
) -> ImageManifest:
    """Build the recipe at `recipe_at`, its folder, its file, or the name of one that comes with Weft, for the fabric
    at `home`. The image is named `name`, or as the recipe is.

    Unchanged recipe, files and package lists give the image that is there already, unless `force`. Raises NotFound,
    Invalid for a wrong recipe, NoRoom for an image above its budget, Unavailable when something is missing."""
    place = recipe_place(str(recipe_at))
    recipe = load_recipe(place)
    name = parse_image_name(name or recipe.name)
    store = ImageStore(home)
    key = await asyncio.to_thread(digest_inputs, place)
    if not force and (kept := _find_current(store, name, key)) is not None:
        progress(f"{name}: nothing has changed", 1.0)
        return kept
    if recipe.min_available and trial is None:
        raise Unavailable("min_available: nothing here can boot the image", hint="weft image build can")
    progress(f"{name}: fetching packages", 0.0)
    packages = await fetch_packages(recipe.packages, cache or cache_home(), recipe.suite)
    progress(f"{name}: collecting files", 0.4)
    root = await _collect(recipe, place if place.is_dir() else place.parent, PackageFiles(packages))
    progress(f"{name}: writing the root file system", 0.7)
    with store.open_draft() as draft:
        image = await _write(recipe, name, root, key, draft / "root")
        if recipe.min_available and trial:
            progress(f"{name}: looking at its memory", 0.9)
            await _try_out(store, image, draft, trial, recipe.min_available)
        image = await asyncio.to_thread(store.add, image, draft / "root")
    progress(f"{name}: done", 1.0)
    return image


def preview_image(recipe_at: Path) -> ImageManifest:
    """What an image built from a recipe would be, but for its packages and its file. Raises NotFound, Invalid."""
    recipe = load_recipe(recipe_place(str(recipe_at)))
    return _plan_manifest(recipe, parse_image_name(recipe.name), {}, "")


def digest_inputs(place: Path) -> str:
    """The key of an image: everything that decides its content. Reads the recipe's folder, fetches nothing."""
    folder, file = (place, "") if place.is_dir() else (place.parent, place.name)
    total = hashlib.sha256(repr((BUILD_VERSION, COMPRESSION, digest_lists(), file)).encode())
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_symlink():
            facts: tuple[str, ...] = (name, "link", str(path.readlink()))
        elif path.is_file():
            runs = "runs" if path.stat().st_mode & 0o100 else "file"
            facts = (name, runs, hashlib.sha256(path.read_bytes()).hexdigest())
        else:
            facts = (name, "folder")
        total.update(repr(facts).encode())
    return total.hexdigest()


async def _collect(recipe: Recipe, folder: Path, files: PackageFiles) -> RootBuilder:
    """The root file system, checked, with the list of what it is made of."""
    root = await build_root(recipe, folder, files)
    check_programs(root.tree, recipe)
    packages = [root.packages[name] for name in root.used]
    root.tree.add(sbom_path(recipe.name), File(await make_sbom(recipe.name, recipe.version, packages, files)))
    return root


async def _write(recipe: Recipe, name: str, root: RootBuilder, key: str, path: Path) -> ImageManifest:
    """Write the root file and say what it is. Raises NoRoom when it is above the budget."""
    await write_squashfs(root.tree, path)
    verity = await append_tree(path) if recipe.verity else None
    check_size(path.stat().st_size, recipe.max_size, root.tree, root.origins)
    return _plan_manifest(recipe, name, root.used, key).model_copy(update={"verity": verity})


async def _try_out(store: ImageStore, image: ImageManifest, draft: Path, trial: Trial, wanted: int) -> None:
    """Put the image into the store under a name of its own for as long as the trial takes."""
    os.link(draft / "root", draft / "trial")
    name = f"trial-{image.key[:12]}"
    kept = await asyncio.to_thread(store.add, image.model_copy(update={"name": name}), draft / "trial")
    try:
        await trial(kept, wanted)
    finally:
        store.remove(name)


def _find_current(store: ImageStore, name: str, key: str) -> ImageManifest | None:
    image = store.find(name)
    return image if image and image.key == key and store.root_path(image).is_file() else None


def _plan_manifest(recipe: Recipe, name: str, packages: dict[str, str], key: str) -> ImageManifest:
    return ImageManifest(
        name=name,
        version=recipe.version,
        description=recipe.description,
        digest="sha256:" + "0" * 64,  # the store writes what it finds in the file
        size=0,
        entry=recipe.entry,
        services=order_services(recipe.services),
        health=recipe.health,
        settings=recipe.schema_with_hostname,
        kernel_args=recipe.kernel_args,
        nics=recipe.nics,
        wire=recipe.wire,
        modes=recipe.modes,
        drain=recipe.drain,
        ports=recipe.ports,
        labels=recipe.labels,
        memory=recipe.memory,
        packages=packages,
        sbom=sbom_path(recipe.name),
        created=datetime.now(UTC),
        key=key,
    )
