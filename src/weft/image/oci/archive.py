"""Archives: the tar of `docker save` and the tar of an OCI layout, read as they come and once.

Every file becomes a blob in a draft folder, under a number; names of the archive are keys and never paths.
"""

import hashlib
import json
import posixpath
import tarfile
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from weft.image.oci import media
from weft.image.oci.blobs import PIECE, digest_of
from weft.image.oci.config import parse_config
from weft.image.oci.manifest import (
    LARGEST_CONFIG,
    LARGEST_MANIFEST,
    MOST_LAYERS,
    MOST_MANIFESTS,
    Descriptor,
    Index,
    Manifest,
    choose_manifest,
    parse_manifest,
)
from weft.model.errors import Invalid, WeftError
from weft.model.reference import names_registry, parse_reference

MOST_FILES = 20_000
LARGEST_HEADER = 1 << 20
"""Of a file's extended header: names and links. Python reads these as a whole."""
DEEPEST_LINK = 8
NAME_KEYS = ("io.containerd.image.name", "org.opencontainers.image.ref.name")
"""Annotations in a layout's index, the first by full name, the second often by tag alone."""
_EXTENDED = {
    tarfile.XHDTYPE,
    tarfile.XGLTYPE,
    tarfile.SOLARIS_XHDTYPE,
    tarfile.GNUTYPE_LONGNAME,
    tarfile.GNUTYPE_LONGLINK,
}


class Source(Protocol):
    """Where an archive comes from: up to `size` bytes, none at its end."""

    def read(self, size: int, /) -> bytes: ...


@dataclass(frozen=True, slots=True)
class Stored:
    """A file of the archive, in the draft folder."""

    path: Path
    digest: str
    size: int

    def read(self, limit: int, what: str) -> bytes:
        """All of it. Raises Invalid beyond `limit`."""
        if self.size > limit:
            raise Invalid(f"{what} is larger than {limit} bytes")
        return self.path.read_bytes()


@dataclass(slots=True)
class Archive:
    """What an archive holds."""

    files: dict[str, Stored] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)

    def find(self, name: str) -> Stored | None:
        """A file by its name, through links of the archive."""
        name = _normalize(name)
        for _ in range(DEEPEST_LINK):
            if (stored := self.files.get(name)) is not None:
                return stored
            if name not in self.links:
                return None
            name = self.links[name]
        return None

    def get(self, name: str) -> Stored:
        """The same. Raises Invalid when it is not there."""
        if (stored := self.find(name)) is None:
            raise Invalid(f"the archive has no {name[:100]}", hint="it may have been cut off")
        return stored

    def by_digest(self, digest: str) -> Stored:
        """The file a layout has for a digest, which it really has. Raises Invalid."""
        stored = self.get(f"blobs/{digest.replace(':', '/')}")
        algorithm, _, expected = digest.partition(":")
        if algorithm != "sha256":
            with stored.path.open("rb") as file:
                found = hashlib.file_digest(file, algorithm).hexdigest()
        else:
            found = stored.digest.partition(":")[2]
        if found != expected:
            raise Invalid(f"a file of the archive does not have the digest {digest}")
        return stored


@dataclass(frozen=True, slots=True)
class Found:
    """An image of an archive: its manifest, its files by digest, and its full names."""

    manifest: Manifest
    data: bytes
    files: dict[str, Stored]
    names: tuple[str, ...]


class _SavedImage(BaseModel):
    """An entry of `docker save`'s manifest.json."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    Config: str
    RepoTags: tuple[str, ...] | None = None
    Layers: tuple[str, ...] = Field(max_length=MOST_LAYERS)


class _BoundedInfo(tarfile.TarInfo):
    """A header that does not make Python read a name of any length."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> "_BoundedInfo":
        info = super().frombuf(buf, encoding, errors)
        if info.type in _EXTENDED and info.size > LARGEST_HEADER:
            raise Invalid(f"the archive has a header of {info.size} bytes")
        return info


def read_archive(source: Source, draft: Path, count: Callable[[int], None]) -> Archive:
    """Take an archive's files into `draft`; gzip, bzip2, xz or nothing around it. Raises Invalid, OSError.

    It takes as long as reading does: call it in a thread."""
    archive = Archive()
    try:
        with tarfile.open(fileobj=source, mode="r|*", tarinfo=_BoundedInfo, bufsize=PIECE) as tar:  # type: ignore[call-overload]
            for number, member in enumerate(tar):
                if number >= MOST_FILES:
                    raise Invalid(f"the archive has more than {MOST_FILES} files")
                _take_member(archive, tar, member, draft / str(number), count)
    except (tarfile.TarError, EOFError) as err:
        raise Invalid(f"this is no tar archive, or it was cut off: {err}") from err
    return archive


def parse_archive(archive: Archive) -> list[Found]:
    """The images in an archive. Raises Invalid, also when there is none."""
    if archive.find("index.json") and archive.find("oci-layout"):
        return _parse_layout(archive)
    if archive.find("manifest.json"):
        return _parse_saved(archive)
    raise Invalid(
        "this archive has neither an index.json nor a manifest.json",
        hint="docker save and skopeo write them; --kind plan9 takes a plain tar with a Plan 9 root",
    )


def _take_member(
    archive: Archive, tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, count: Callable[[int], None]
) -> None:
    name = _normalize(member.name)
    if member.issym():
        archive.links[name] = _normalize(posixpath.join(posixpath.dirname(name), member.linkname))
    elif member.islnk():
        archive.links[name] = _normalize(member.linkname)
    elif member.isreg():
        if member.issparse():
            raise Invalid(f"{member.name[:100]} of the archive is sparse")
        archive.files[name] = _store(tar, member, path, count)


def _store(tar: tarfile.TarFile, member: tarfile.TarInfo, path: Path, count: Callable[[int], None]) -> Stored:
    digest, size = hashlib.sha256(), 0
    reader = tar.extractfile(member)
    assert reader is not None
    with path.open("wb") as file:
        while piece := reader.read(PIECE):
            file.write(piece)
            digest.update(piece)
            size += len(piece)
            count(len(piece))
    if size != member.size:
        raise Invalid("the archive was cut off")
    return Stored(path, f"sha256:{digest.hexdigest()}", size)


def _normalize(name: str) -> str:
    return posixpath.normpath(f"/{name}").lstrip("/")


def _parse_layout(archive: Archive) -> list[Found]:
    where = "the layout's index"
    index = parse_manifest(archive.get("index.json").read(LARGEST_MANIFEST, where), media.OCI_INDEX, where)
    assert isinstance(index, Index)
    entries = list(index.manifests)
    if len(entries) > 1 and not any(_names_of(entry) for entry in entries):
        entries = [choose_manifest(index, "this archive")]
    found: dict[str, Found] = {}
    for entry in entries:
        image = _load_entry(archive, entry)
        known = found.get(digest_of(image.data))
        names = dict.fromkeys((*(known.names if known else ()), *image.names))
        found[digest_of(image.data)] = Found(image.manifest, image.data, image.files, tuple(names))
    if not found:
        raise Invalid("this layout has no image")
    return list(found.values())


def _load_entry(archive: Archive, entry: Descriptor) -> Found:
    where = f"image {entry.digest[:19]} of the archive"
    data = archive.by_digest(entry.digest).read(LARGEST_MANIFEST, where)
    manifest = parse_manifest(data, entry.media_type, where)
    if isinstance(manifest, Index):
        chosen = choose_manifest(manifest, where)
        data = archive.by_digest(chosen.digest).read(LARGEST_MANIFEST, where)
        manifest = parse_manifest(data, chosen.media_type, where)
    if isinstance(manifest, Index):
        raise Invalid(f"{where} is an index within an index")
    files = {blob.digest: archive.by_digest(blob.digest) for blob in manifest.blobs}
    if any(files[blob.digest].size != blob.size for blob in manifest.blobs):
        raise Invalid(f"{where} has a blob of another size than it says")
    return Found(manifest, data, files, _names_of(entry))


def _names_of(entry: Descriptor) -> tuple[str, ...]:
    """A full name if there is one; a tag alone names no image."""
    for key in NAME_KEYS:
        text = (entry.annotations or {}).get(key, "")
        if "/" in text or ":" in text or names_registry(text):
            try:
                return (str(parse_reference(text)),)
            except WeftError:
                continue
    return ()


def _parse_saved(archive: Archive) -> list[Found]:
    data = archive.get("manifest.json").read(LARGEST_MANIFEST, "the archive's manifest.json")
    try:
        saved = TypeAdapter(tuple[_SavedImage, ...]).validate_python(json.loads(data))
    except (ValueError, RecursionError) as err:
        what = err.errors()[0]["msg"] if isinstance(err, ValidationError) else "it is not JSON"
        raise Invalid(f"the archive's manifest.json is damaged: {what}") from err
    if not 0 < len(saved) <= MOST_MANIFESTS:
        raise Invalid(f"the archive has {len(saved)} images")
    return [_load_saved(archive, image) for image in saved]


def _load_saved(archive: Archive, image: _SavedImage) -> Found:
    """`docker save` knows no manifest: one is made of the config and the layers."""
    config, layers = archive.get(image.Config), [archive.get(name) for name in image.Layers]
    _check_layers(config, layers)
    document = {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": _describe(config, media.OCI_CONFIG),
        "layers": [_describe(layer, _layer_type(layer)) for layer in layers],
    }
    data = json.dumps(document, separators=(",", ":")).encode()
    manifest = parse_manifest(data, media.OCI_MANIFEST, "an image of the archive")
    assert isinstance(manifest, Manifest)
    names = tuple(dict.fromkeys(str(parse_reference(tag)) for tag in image.RepoTags or ()))
    return Found(manifest, data, {stored.digest: stored for stored in (config, *layers)}, names)


def _check_layers(config: Stored, layers: list[Stored]) -> None:
    """The config has the digests of unpacked layers; those that come unpacked are compared."""
    wanted = parse_config(config.read(LARGEST_CONFIG, "a config"), "an image of the archive").rootfs.diff_ids
    for layer, digest in zip(layers, wanted, strict=False):
        if _layer_type(layer) == media.OCI_LAYER and digest.startswith("sha256:") and layer.digest != digest:
            raise Invalid(f"a layer of the archive does not have the digest {digest[:80]}")


def _layer_type(layer: Stored) -> str:
    with layer.path.open("rb") as file:
        return media.find_layer_type(file.read(4))


def _describe(stored: Stored, media_type: str) -> dict[str, object]:
    return {"mediaType": media_type, "digest": stored.digest, "size": stored.size}
