"""umoci as the oracle of how layers make a tree: what it unpacks, read back from the file system."""

import gzip
import hashlib
import io
import json
import os
import stat
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PATIENCE = 120


@dataclass(frozen=True)
class Seen:
    """What is at a path, as far as the two are compared. `group` has all paths of the same inode."""

    kind: str
    mode: int
    owner: tuple[int, int]
    mtime: int
    content: bytes
    device: tuple[int, int]
    xattrs: tuple[tuple[str, bytes], ...]
    group: tuple[str, ...]


def dump_layer(members: Sequence[tuple[tarfile.TarInfo, bytes]], form: int = tarfile.PAX_FORMAT) -> bytes:
    """A tar with these members."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=form, errors="surrogateescape") as archive:
        for info, data in members:
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def write_layout(
    folder: Path,
    layers: Sequence[bytes],
    media: str = "application/vnd.oci.image.layer.v1.tar",
    program: dict[str, Any] | None = None,
) -> None:
    """An OCI layout with one image, tagged `x`. `program` is what its config says of how to run it."""
    (folder / "blobs/sha256").mkdir(parents=True)
    described = [_add_blob(folder, layer, media) for layer in layers]
    config = {
        "architecture": "amd64",
        "os": "linux",
        "config": program or {},
        "rootfs": {"type": "layers", "diff_ids": [_digest_unpacked(layer) for layer in layers]},
        "history": [{"created_by": "test"} for _ in described],
    }
    manifest = {
        "schemaVersion": 2,
        "config": _add_blob(folder, json.dumps(config).encode(), "application/vnd.oci.image.config.v1+json"),
        "layers": described,
    }
    root = _add_blob(folder, json.dumps(manifest).encode(), "application/vnd.oci.image.manifest.v1+json")
    root["annotations"] = {"org.opencontainers.image.ref.name": "x"}
    (folder / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [root]}))


def _digest_unpacked(layer: bytes) -> str:
    plain = gzip.decompress(layer) if layer.startswith(b"\x1f\x8b") else layer
    return f"sha256:{hashlib.sha256(plain).hexdigest()}"


def _add_blob(folder: Path, data: bytes, media: str) -> dict[str, Any]:
    digest = hashlib.sha256(data).hexdigest()
    (folder / "blobs/sha256" / digest).write_bytes(data)
    return {"mediaType": media, "digest": f"sha256:{digest}", "size": len(data)}


def unpack(layout: Path, folder: Path) -> str | None:
    """Let umoci unpack the image `x` to a folder, which must not exist. None, or why it did not."""
    argv = ["umoci", "raw", "unpack", "--image", f"{layout}:x", str(folder)]
    done = subprocess.run(argv, capture_output=True, check=False, timeout=PATIENCE)
    return done.stderr.decode(errors="replace") if done.returncode else None


def look(folder: Path) -> dict[str, Seen]:
    """Every path below a folder, which is `.` itself."""
    groups: dict[int, list[str]] = {}
    paths = {".": folder}
    paths |= {str(path.relative_to(folder)): path for path in folder.rglob("*")}
    for name in sorted(paths):
        groups.setdefault(paths[name].lstat().st_ino, []).append(name)
    return {name: _see(path, tuple(groups[path.lstat().st_ino])) for name, path in paths.items()}


def _see(path: Path, group: tuple[str, ...]) -> Seen:
    facts = path.lstat()
    content = b""
    if stat.S_ISREG(facts.st_mode):
        content = path.read_bytes()
    elif stat.S_ISLNK(facts.st_mode):
        content = os.fsencode(os.readlink(path))  # noqa: PTH115 (a Path would be tidied up)
    is_device = stat.S_ISCHR(facts.st_mode) or stat.S_ISBLK(facts.st_mode)
    names = os.listxattr(path, follow_symlinks=False)
    return Seen(
        kind=stat.filemode(facts.st_mode)[0],
        mode=stat.S_IMODE(facts.st_mode),
        owner=(facts.st_uid, facts.st_gid),
        mtime=int(facts.st_mtime // 1),
        content=content,
        device=(os.major(facts.st_rdev), os.minor(facts.st_rdev)) if is_device else (0, 0),
        xattrs=tuple((name, os.getxattr(path, name, follow_symlinks=False)) for name in sorted(names)),
        group=group,
    )
