"""Manifests and indexes: what a registry or an archive says an image consists of. Believed only within bounds."""

import json
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from weft.image.oci.media import CONFIGS, DOCKER_LEGACY, INDEXES, LAYERS, MANIFESTS
from weft.model.errors import Invalid
from weft.model.reference import DIGEST_PATTERN

OS, ARCHITECTURE = "linux", "amd64"
PLATFORM = f"{OS}/{ARCHITECTURE}"
PLAN9 = "plan9"
"""Roots of this system are trees of files, of whatever architectures: they are served, and not run here."""
LARGEST_MANIFEST = 4 << 20
"""What registries take at most, too (distribution specification, "Pushing Manifests")."""
LARGEST_CONFIG = 8 << 20
MOST_LAYERS = 1000
MOST_MANIFESTS = 1000
LARGEST_LAYER = 1 << 40
FIRST_VARIANTS = ("", "v1", "v2")
"""Variants of amd64 that every machine runs, best first."""

Digest = Annotated[str, StringConstraints(pattern=f"^{DIGEST_PATTERN}$")]
Document = TypeVar("Document", bound="_Document")


class _Document(BaseModel):
    """What others wrote: what we do not know is passed over."""

    model_config = ConfigDict(frozen=True, extra="ignore", populate_by_name=True)


class Platform(_Document):
    architecture: str = ""
    os: str = ""
    variant: str = ""

    def __str__(self) -> str:
        return "/".join(filter(None, (self.os, self.architecture, self.variant)))


class Descriptor(_Document):
    """Content by its digest. `size` is in bytes."""

    media_type: str = Field(default="", alias="mediaType", max_length=255)
    digest: Digest
    size: int = Field(ge=0, le=LARGEST_LAYER)
    platform: Platform | None = None
    annotations: dict[str, str] | None = None


class Manifest(_Document):
    """One image: its config, and its layers from the lowest."""

    media_type: str = Field(default="", alias="mediaType")
    config: Descriptor
    layers: tuple[Descriptor, ...] = Field(max_length=MOST_LAYERS)

    @property
    def blobs(self) -> tuple[Descriptor, ...]:
        """Everything it consists of, each once."""
        return tuple({blob.digest: blob for blob in (self.config, *self.layers)}.values())

    @property
    def size(self) -> int:
        """Bytes to fetch for all of it."""
        return sum(blob.size for blob in self.blobs)


class Index(_Document):
    """One image for several platforms, or all images of a layout."""

    media_type: str = Field(default="", alias="mediaType")
    manifests: tuple[Descriptor, ...] = Field(max_length=MOST_MANIFESTS)


def parse_manifest(data: bytes, media_type: str, where: str) -> Manifest | Index:
    """What `data` says; an empty `media_type` means as the document itself says. Raises Invalid naming `where`."""
    document = load_json(data, where, LARGEST_MANIFEST)
    said = document.get("mediaType") or ""
    if not isinstance(said, str):
        raise Invalid(f"{where} is damaged: its media type is no text")
    kind = media_type or said or _guess_type(document)
    if said and media_type and said != media_type:
        raise Invalid(f"{where} is said to be {media_type} and says it is {said[:100]}")
    if kind in INDEXES:
        return _load(Index, document, where)
    if kind not in MANIFESTS:
        hint = "it is of an old kind; push it again" if kind.startswith(DOCKER_LEGACY) else None
        raise Invalid(f"{where} is no image: its media type is {kind[:100] or 'not known'}", hint=hint)
    manifest = _load(Manifest, document, where)
    _check_parts(manifest, where)
    return manifest


def choose_manifest(index: Index, where: str) -> Descriptor:
    """The image for our machines, or else a Plan 9 root. Raises Invalid when there is none, saying which there are."""
    images = [entry for entry in index.manifests if entry.media_type in MANIFESTS | {""}]
    fitting = [entry for entry in images if _rank(entry.platform) is not None]
    if not fitting:
        there = sorted({str(entry.platform) for entry in images if entry.platform and entry.platform.os != "unknown"})
        raise Invalid(f"{where} has no image for {PLATFORM}", hint=f"there are {', '.join(there) or 'none at all'}")
    return min(fitting, key=lambda entry: _rank(entry.platform) or 0)


def load_json(data: bytes, where: str, limit: int) -> dict[str, Any]:
    """A JSON object of at most `limit` bytes. Raises Invalid."""
    if len(data) > limit:
        raise Invalid(f"{where} is larger than {limit} bytes")
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as err:
        raise Invalid(f"{where} is not JSON") from err
    if not isinstance(document, dict):
        raise Invalid(f"{where} is no JSON object")
    return document


def _load(kind: type[Document], document: dict[str, Any], where: str) -> Document:
    try:
        return kind.model_validate(document)
    except ValidationError as err:
        problem = err.errors()[0]
        place = ".".join(map(str, problem["loc"]))
        raise Invalid(f"{where} is damaged: {place}: {problem['msg']}") from err


def _guess_type(document: dict[str, Any]) -> str:
    """OCI documents need no mediaType of their own."""
    if "manifests" in document:
        return next(kind for kind in INDEXES if ".oci." in kind)
    return next(kind for kind in MANIFESTS if ".oci." in kind) if "layers" in document else ""


def _check_parts(manifest: Manifest, where: str) -> None:
    if manifest.config.media_type not in CONFIGS:
        raise Invalid(f"{where} is something else than an image: {manifest.config.media_type[:100] or 'no type'}")
    if manifest.config.size > LARGEST_CONFIG:
        raise Invalid(f"{where} has a config of {manifest.config.size} bytes")
    for layer in manifest.layers:
        if layer.media_type not in LAYERS:
            raise Invalid(f"{where} has a layer of unknown kind: {layer.media_type[:100] or 'no type'}")
    if len({(blob.digest, blob.size) for blob in (manifest.config, *manifest.layers)}) > len(manifest.blobs):
        raise Invalid(f"{where} gives two sizes for one digest")


def _rank(platform: Platform | None) -> int | None:
    """How well it fits, 0 is best; None: not at all. An entry that does not say its platform comes last."""
    if platform is None:
        return len(FIRST_VARIANTS)
    if platform.os == PLAN9:
        return len(FIRST_VARIANTS) + (1 if platform.architecture == ARCHITECTURE else 2)
    if (platform.os, platform.architecture) != (OS, ARCHITECTURE) or platform.variant not in FIRST_VARIANTS:
        return None
    return FIRST_VARIANTS.index(platform.variant)
