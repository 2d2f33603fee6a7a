"""Credentials for registries, where container tools keep them, and what a registry asks for.

Files, the first that knows the registry counts: `$REGISTRY_AUTH_FILE`, `$XDG_RUNTIME_DIR/containers/auth.json`,
`~/.config/containers/auth.json` (containers-auth.json(5)), `$DOCKER_CONFIG/config.json` or `~/.docker/config.json`.
"""

import base64
import binascii
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from weft.host.process import ProcessFailed, run
from weft.model.errors import Invalid, Unavailable
from weft.model.reference import DEFAULT_HOST

DOCKER_KEYS = ("https://index.docker.io/v1/", "index.docker.io", "docker.io")
"""What the default registry is called in these files, for reasons of history."""
HELPER_TIMEOUT = 20.0
_HELPER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*")
_PARAMETER = re.compile(r'\s*([A-Za-z_-]+)\s*=\s*(?:"((?:[^"\\]|\\.)*)"|([^",\s]+))\s*(?:,|$)')


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user's name and password; the password is in no text that this prints as."""

    user: str
    password: str = field(repr=False)

    @property
    def basic(self) -> str:
        """The value of an Authorization field (RFC 7617)."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode("ascii")


@dataclass(frozen=True, slots=True)
class Challenge:
    """What a registry asks for: `basic`, or `bearer` with where to get a token (RFC 6750)."""

    scheme: str
    parameters: Mapping[str, str]


def parse_challenge(text: str) -> Challenge:
    """A WWW-Authenticate field. Raises Invalid for what is neither Basic nor Bearer."""
    scheme, _, rest = text.strip().partition(" ")
    if scheme.lower() not in ("basic", "bearer"):
        raise Invalid(f"a registry asks for an unknown kind of authentication: {scheme[:40]!r}")
    parameters: dict[str, str] = {}
    position = 0
    while match := _PARAMETER.match(rest, position):
        parameters[match[1].lower()] = re.sub(r"\\(.)", r"\1", match[2]) if match[2] is not None else match[3]
        position = match.end()
    return Challenge(scheme.lower(), parameters)


def credential_files(environ: Mapping[str, str], home: Path) -> list[Path]:
    """Where to look, the first that knows counts."""
    docker = environ.get("DOCKER_CONFIG")
    runtime = environ.get("XDG_RUNTIME_DIR")
    named = environ.get("REGISTRY_AUTH_FILE")
    places = [
        Path(named) if named else None,
        Path(runtime) / "containers" / "auth.json" if runtime else None,
        Path(environ.get("XDG_CONFIG_HOME") or home / ".config") / "containers" / "auth.json",
        (Path(docker) if docker else home / ".docker") / "config.json",
    ]
    return [place for place in places if place is not None]


async def find_credentials(host: str, path: str, environ: Mapping[str, str], home: Path) -> Credentials | None:
    """What these files say about a registry, or about the repository `path` there; None without a word.

    Raises Invalid for a damaged file, Unavailable when a credential helper does not work."""
    for file in credential_files(environ, home):
        if (config := _load(file)) is None:
            continue
        keys = list(_keys(host, path))
        if (helper := find_helper(config, keys)) and (found := await _ask_helper(*helper, environ, home)):
            return found
        if (entry := _find_entry(config, keys)) and (found := parse_entry(entry, str(file))):
            return found
    return None


def parse_entry(entry: Mapping[str, Any], where: str) -> Credentials | None:
    """`auth` is base64 of `user:password`. Raises Invalid."""
    if entry.get("username"):
        return Credentials(str(entry["username"]), str(entry.get("password", "")))
    if not entry.get("auth"):
        return None
    try:
        user, colon, password = base64.b64decode(str(entry["auth"]), validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError) as err:
        raise Invalid(f"{where}: an entry's auth is not base64") from err
    if not colon:
        raise Invalid(f"{where}: an entry's auth has no password")
    return Credentials(user, password.rstrip("\0"))


def find_helper(config: Mapping[str, Any], keys: list[str]) -> tuple[str, str] | None:
    """The name of the helper that keeps a registry's credentials, and what that calls the registry."""
    helpers = config.get("credHelpers")
    for key in keys:
        if isinstance(helpers, dict) and isinstance(helpers.get(key), str):
            return helpers[key], key
    if isinstance(store := config.get("credsStore"), str) and store:
        auths = config.get("auths")
        known = [key for key in keys if isinstance(auths, dict) and key in auths]
        return store, (known or keys)[0]
    return None


async def _ask_helper(name: str, key: str, environ: Mapping[str, str], home: Path) -> Credentials | None:
    """docker-credential-helpers: `get` reads the registry from standard input, and writes JSON."""
    if not _HELPER.fullmatch(name):
        raise Invalid(f"{name[:40]!r} is not a credential helper")
    wanted = {key: environ[key] for key in ("XDG_RUNTIME_DIR", "DBUS_SESSION_BUS_ADDRESS") if key in environ}
    argv = [f"docker-credential-{name}", "get"]
    try:
        done = await run(argv, input=key.encode(), env={"HOME": str(home), **wanted}, timeout=HELPER_TIMEOUT)
        answer = json.loads(done.stdout)
        return Credentials(str(answer["Username"]), str(answer["Secret"]))
    except ProcessFailed as err:
        if "not found" in err.message:  # what a helper says that has none for this registry
            return None
        raise Unavailable(f"credential helper {name}: {err.message}") from err
    except (ValueError, KeyError, TypeError) as err:
        raise Unavailable(f"credential helper {name} did not answer with credentials") from err


def _load(file: Path) -> dict[str, Any] | None:
    try:
        config = json.loads(file.read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as err:
        raise Unavailable(f"cannot read {file}: {err.strerror}") from err
    except ValueError as err:
        raise Invalid(f"{file} is not JSON") from err
    if not isinstance(config, dict):
        raise Invalid(f"{file} is no JSON object")
    return config


def _keys(host: str, path: str) -> Iterator[str]:
    """Names under which a registry may stand in a file: the repository and what is above it, then the host."""
    if host == DEFAULT_HOST:
        yield from DOCKER_KEYS
        return
    parts = path.split("/")
    yield from ("/".join([host, *parts[:count]]) for count in range(len(parts), 0, -1))
    yield from (host, f"https://{host}", f"http://{host}", f"https://{host}/v1/", f"https://{host}/v2/")


def _find_entry(config: Mapping[str, Any], keys: list[str]) -> Mapping[str, Any] | None:
    auths = config.get("auths")
    if not isinstance(auths, dict):
        return None
    return next((auths[key] for key in keys if isinstance(auths.get(key), dict) and auths[key]), None)
