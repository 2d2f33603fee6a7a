"""From a recipe folder to an image in the store."""

import asyncio
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from weft.image.cache import cache_home
from weft.image.folders import recipe_folder
from weft.image.packages import PackageFiles, digest_lists, fetch_packages
from weft.image.progress import Progress, ignore_progress
from weft.image.recipe import Recipe, load_recipe
from weft.image.rootfs import build_root
from weft.image.squashfs import COMPRESSION, write_squashfs
from weft.image.store import ImageStore
from weft.model.image import ImageManifest

BUILD_VERSION = "1"
"""Part of every key: raised when the same recipe and packages would give another image."""


async def build_image(
    folder: Path, home: Path, *, cache: Path | None = None, progress: Progress = ignore_progress, force: bool = False
) -> ImageManifest:
    """Build the recipe in `folder`, or the one that comes with Weft under this name, for the fabric at `home`.

    Unchanged recipe, files and package lists give the image that is there already, unless `force`. Raises NotFound,
    Invalid for a wrong recipe, Unavailable when a package or a program is missing."""
    folder = recipe_folder(str(folder))
    recipe = load_recipe(folder)
    store = ImageStore(home)
    key = await asyncio.to_thread(digest_inputs, folder)
    if not force and (kept := _find_current(store, recipe.name, key)) is not None:
        progress(f"{recipe.name}: nothing has changed", 1.0)
        return kept
    progress(f"{recipe.name}: fetching packages", 0.0)
    packages = await fetch_packages(recipe.packages, cache or cache_home())
    progress(f"{recipe.name}: collecting files", 0.4)
    root = await build_root(recipe, folder, PackageFiles(packages))
    progress(f"{recipe.name}: writing the root file system", 0.7)
    with store.open_draft() as draft:
        await write_squashfs(root.tree, draft / "root")
        image = await asyncio.to_thread(store.add, _plan_manifest(recipe, root.used, key), draft / "root")
    progress(f"{recipe.name}: done", 1.0)
    return image


def digest_inputs(folder: Path) -> str:
    """The key of an image: everything that decides its content. Reads the recipe's folder, fetches nothing."""
    total = hashlib.sha256(repr((BUILD_VERSION, COMPRESSION, digest_lists())).encode())
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


def _find_current(store: ImageStore, name: str, key: str) -> ImageManifest | None:
    image = store.find(name)
    return image if image and image.key == key and store.root_path(image).is_file() else None


def _plan_manifest(recipe: Recipe, packages: dict[str, str], key: str) -> ImageManifest:
    return ImageManifest(
        name=recipe.name,
        version=recipe.version,
        description=recipe.description,
        digest="sha256:" + "0" * 64,  # the store writes what it finds in the file
        size=0,
        entry=recipe.entry,
        nics=recipe.nics,
        wire=recipe.wire,
        memory=recipe.memory,
        packages=dict(sorted(packages.items())),
        created=datetime.now(UTC),
        key=key,
    )
