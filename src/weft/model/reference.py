"""Names of images: a DNS label such as `web`, or a full OCI reference such as `docker.io/library/nginx:latest`.

The rules for what may be left out are the ones known from container engines (distribution/reference): a first part
with a dot, a colon or `localhost` is a registry, else it is docker.io; a name of one part there is in `library`; a
reference without tag and digest means the tag `latest`.
"""

import re
from dataclasses import dataclass

from weft.model.errors import Invalid, WeftError
from weft.model.names import parse_name

DEFAULT_HOST = "docker.io"
DEFAULT_TAG = "latest"
DIGEST_PATTERN = r"(sha256:[0-9a-f]{64}|sha512:[0-9a-f]{128})"
LONGEST_PATH = 255
LONGEST_STEM = 50
_LEGACY_HOST = "index.docker.io"
_LABEL = r"[a-zA-Z0-9]([a-zA-Z0-9-]{0,61}[a-zA-Z0-9])?"
_HOST = re.compile(rf"({_LABEL}(\.{_LABEL})*|\[[0-9a-fA-F:]+\])(:(?P<port>[0-9]{{1,5}}))?")
_PATH = re.compile(r"[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*(/[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*)*")
_TAG = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}")
_DIGEST = re.compile(DIGEST_PATTERN)
_BARE_DIGEST = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class Reference:
    """Where an image is: a registry's host with its port, a path there, and a tag or the digest of a manifest.

    With a digest the tag says nothing, and is left out of the text.
    """

    host: str
    path: str
    tag: str | None = None
    digest: str | None = None

    def __str__(self) -> str:
        return f"{self.host}/{self.path}" + (f"@{self.digest}" if self.digest else f":{self.tag or DEFAULT_TAG}")

    @property
    def target(self) -> str:
        """What a registry is asked for: the digest, else the tag."""
        return self.digest or self.tag or DEFAULT_TAG


def parse_reference(text: str) -> Reference:
    """`nginx`, `ghcr.io/a/b:1`, `localhost:5000/x@sha256:…`: what it means in full. Raises Invalid."""
    name, at, digest = text.partition("@")
    if at and not _DIGEST.fullmatch(digest):
        raise _wrong(text, f"{digest[:80]!r} is no sha256 or sha512 digest")
    host, path = _split_host(name)
    path, colon, tag = path.partition(":")
    if colon and not _TAG.fullmatch(tag):
        raise _wrong(text, f"{tag[:80]!r} is not a tag")
    if host == DEFAULT_HOST and "/" not in path:
        if _BARE_DIGEST.fullmatch(path):
            raise _wrong(text, "64 hexadecimal digits are a digest")
        path = f"library/{path}"
    if not _PATH.fullmatch(path):
        raise _wrong(text, "the part behind the registry has lower case letters and digits, between them . _ - /")
    if len(path) > LONGEST_PATH:
        raise _wrong(text, f"more than {LONGEST_PATH} characters")
    return Reference(host, path, tag or (None if digest else DEFAULT_TAG), digest or None)


def parse_image_name(text: str) -> str:
    """The full name an image is kept by: a DNS label as it is, anything else as a full reference. Raises Invalid."""
    return text if _is_label(text) else str(parse_reference(text))


def names_registry(text: str) -> bool:
    """Whether a reference says by itself where it is to be pulled from. Raises nothing."""
    first, slash, _ = text.partition("/")
    return bool(slash) and _is_host(first)


def find_stem(name: str) -> str:
    """A DNS label for what is made from an image of this name: `nginx` of `docker.io/library/nginx:1.2`."""
    last = name.partition("@")[0].rpartition("/")[2].partition(":")[0]
    return re.sub(r"[^a-z0-9-]", "-", last.lower())[:LONGEST_STEM].strip("-") or "machine"


def _split_host(name: str) -> tuple[str, str]:
    first, slash, rest = name.partition("/")
    if not slash or not _is_host(first):
        return DEFAULT_HOST, name
    matched = _HOST.fullmatch(first)
    if not matched or int(matched["port"] or 1) not in range(1, 65536):
        raise _wrong(name, f"{first[:80]!r} is not a host")
    return (DEFAULT_HOST if first == _LEGACY_HOST else first), rest


def _is_host(first: str) -> bool:
    """Upper case letters cannot be in a path, so they tell a host too."""
    return "." in first or ":" in first or first == "localhost" or first != first.lower()


def _is_label(text: str) -> bool:
    try:
        return parse_name(text) == text
    except WeftError:
        return False


def _wrong(text: str, why: str) -> Invalid:
    shown = text if len(text) <= 100 else f"{text[:100]}…"
    return Invalid(f"{shown!r} is not an image's name: {why}", hint="write it like web, or docker.io/library/nginx:1.2")
