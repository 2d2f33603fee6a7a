"""The kernel's source: a distribution's tarball or any tree, and what identifies it."""

import hashlib
import tomllib
from dataclasses import dataclass
from pathlib import Path

from weft.image.folders import share_folder
from weft.model.errors import Invalid, NotFound, Unavailable


@dataclass(frozen=True)
class Pinned:
    """`kernel/version.toml`: the source the fragment was tried with, and what building it takes."""

    package: str
    tarball: Path
    version: str
    sha256: str
    needs: dict[str, str]
    steps: int


@dataclass(frozen=True)
class KernelSource:
    """A tarball (`is_tree` false) or an unpacked tree. `digest` is over the content."""

    path: Path
    is_tree: bool
    digest: str


def load_pinned(path: Path | None = None) -> Pinned:
    """What `kernel/version.toml` says. Raises Invalid when that is damaged."""
    path = path or share_folder("kernel") / "version.toml"
    try:
        data = tomllib.loads(path.read_text())
        return Pinned(
            package=data["package"],
            tarball=Path(data["tarball"]),
            version=data["version"],
            sha256=data["sha256"],
            needs=dict(data["needs"]),
            steps=int(data["steps"]["expected"]),
        )
    except (OSError, KeyError, TypeError, ValueError) as err:
        raise Invalid(f"{path}: {err}") from err


def open_source(path: Path | None, pinned: Pinned) -> KernelSource:
    """The source at `path`, or the distribution's. Reads all of it, which takes seconds: call it in a thread.

    Raises Unavailable when the distribution's is not installed, NotFound, Invalid for a tree that cannot be built."""
    if path is None:
        if not pinned.tarball.is_file():
            hint = f"apt-get install {pinned.package}, or --source DIR builds from another tree"
            raise Unavailable(f"no kernel source at {pinned.tarball}", hint=hint)
        return KernelSource(pinned.tarball, False, _digest_file(pinned.tarball))
    path = path.absolute()
    if path.is_file():
        return KernelSource(path, False, _digest_file(path))
    if not path.is_dir():
        raise NotFound(f"no kernel source at {path}")
    if not (path / "Kbuild").is_file() or not (path / "arch" / "x86").is_dir():
        raise Invalid(f"{path} is not a Linux source tree")
    if (path / ".config").exists() or (path / "include" / "config").exists():
        raise Invalid(f"{path} was built in", hint=f"make -C {path} mrproper cleans it")
    return KernelSource(path, True, digest_tree(path))


def digest_tree(folder: Path) -> str:
    """One digest over names, kinds and contents of a tree; what version control keeps for itself is left out."""
    total = hashlib.sha256()
    for path in sorted(folder.rglob("*")):
        name = path.relative_to(folder)
        if name.parts[0] == ".git":
            continue
        if path.is_symlink():
            total.update(repr((str(name), "link", str(path.readlink()))).encode())
        elif path.is_file():
            total.update(repr((str(name), "file", _digest_file(path))).encode())
    return total.hexdigest()


def _digest_file(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as err:
        raise Unavailable(f"cannot read {path}: {err.strerror}") from err
