"""An archive that every container tool reads: an OCI layout with the manifest.json of `docker save` beside it."""

import json
import tarfile
from collections.abc import AsyncIterator
from pathlib import Path

from weft.image.oci import media
from weft.image.oci.archive import NAME_KEYS
from weft.image.oci.blobs import BlobStore
from weft.image.oci.manifest import Manifest
from weft.image.oci.push import load_manifest, read_pieces
from weft.model.image import ImageManifest
from weft.model.reference import parse_reference

BLOCK = 512
FOLDERS = ("blobs", "blobs/sha256")
"""Named although files imply them: skopeo gives those that it makes by itself to root, and only root can do that."""
Member = tuple[str, bytes | Path]


def plan_archive(image: ImageManifest, blobs: BlobStore) -> list[Member]:
    """Names and contents, in order. Raises Invalid for an image without layers, NotFound for blobs that are gone."""
    manifest, data = load_manifest(image, blobs)
    assert image.oci is not None
    paths = {blob.digest: blobs.path(blob.digest) for blob in manifest.blobs}
    return [
        ("oci-layout", _dump({"imageLayoutVersion": "1.0.0"})),
        ("index.json", _dump(_make_index(image, manifest, len(data)))),
        ("manifest.json", _dump([_make_saved(image, manifest)])),
        (_blob_name(image.oci.manifest), data),
        *((_blob_name(digest), path) for digest, path in paths.items()),
    ]


async def write_archive(members: list[Member], blobs: BlobStore, held: list[str]) -> AsyncIterator[bytes]:
    """The tar, a piece at a time; the same bytes for the same image. What is in `held` is not pruned meanwhile."""
    with blobs.hold(held):
        for name in FOLDERS:
            yield _make_header(name, 0, tarfile.DIRTYPE)
        for name, content in members:
            size = len(content) if isinstance(content, bytes) else content.stat().st_size
            yield _make_header(name, size)
            if isinstance(content, bytes):
                yield content
            else:
                async for piece in read_pieces(content):
                    yield piece
            yield bytes(-size % BLOCK)
    yield bytes(2 * BLOCK)


def _make_header(name: str, size: int, kind: bytes = tarfile.REGTYPE) -> bytes:
    entry = tarfile.TarInfo(name)
    entry.type, entry.size, entry.mode = kind, size, 0o755 if kind == tarfile.DIRTYPE else 0o644
    return entry.tobuf(tarfile.PAX_FORMAT)


def _make_index(image: ImageManifest, manifest: Manifest, size: int) -> dict[str, object]:
    assert image.oci is not None
    full, tag = _names_of(image)
    entry: dict[str, object] = {
        "mediaType": manifest.media_type or media.OCI_MANIFEST,
        "digest": image.oci.manifest,
        "size": size,
    }
    if full:
        entry["annotations"] = dict(zip(NAME_KEYS, (full, tag), strict=True))
    return {"schemaVersion": 2, "mediaType": media.OCI_INDEX, "manifests": [entry]}


def _make_saved(image: ImageManifest, manifest: Manifest) -> dict[str, object]:
    """An entry of manifest.json."""
    full, _ = _names_of(image)
    return {
        "Config": _blob_name(manifest.config.digest),
        "RepoTags": [full] if full else [],
        "Layers": [_blob_name(layer.digest) for layer in manifest.layers],
    }


def _names_of(image: ImageManifest) -> tuple[str, str]:
    """Full name and tag as container tools have them; empty for an image that is known by its digest."""
    reference = parse_reference(image.name)
    return ("", "") if reference.digest else (str(reference), reference.target)


def _blob_name(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _dump(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
