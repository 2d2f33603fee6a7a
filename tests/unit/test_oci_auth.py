"""Credentials in the files of container tools, and what registries ask for."""

import base64
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.image.oci.auth import (
    Credentials,
    credential_files,
    find_credentials,
    find_helper,
    parse_challenge,
    parse_entry,
)
from weft.model.errors import Invalid, WeftError


def entry(user: str = "user", password: str = "pa:ss") -> dict[str, str]:
    return {"auth": base64.b64encode(f"{user}:{password}".encode()).decode()}


def write(folder: Path, document: Any) -> dict[str, str]:
    (folder / "config.json").write_text(json.dumps(document))
    return {"DOCKER_CONFIG": str(folder)}


@pytest.mark.parametrize(
    ("host", "path", "key"),
    [
        ("localhost:5000", "a", "localhost:5000"),
        ("h.example", "a/b", "h.example/a"),
        ("h.example", "a/b", "https://h.example"),
        ("docker.io", "library/nginx", "https://index.docker.io/v1/"),
    ],
)
async def test_where_a_registry_may_stand(tmp_path: Path, host: str, path: str, key: str) -> None:
    environ = write(tmp_path, {"auths": {"other.example": entry("no"), key: entry()}})
    assert await find_credentials(host, path, environ, tmp_path) == Credentials("user", "pa:ss")
    assert await find_credentials("third.example", path, environ, tmp_path) is None


async def test_the_first_file_that_knows_counts(tmp_path: Path) -> None:
    environ = write(tmp_path, {"auths": {"a.example": entry("docker"), "b.example": entry("docker")}})
    named = tmp_path / "auth.json"
    named.write_text(json.dumps({"auths": {"a.example": entry("podman"), "b.example": {}}}))
    environ["REGISTRY_AUTH_FILE"] = str(named)
    found = [await find_credentials(host, "x", environ, tmp_path) for host in ("a.example", "b.example")]
    assert [credentials and credentials.user for credentials in found] == ["podman", "docker"]


def test_where_files_are(tmp_path: Path) -> None:
    assert credential_files({}, tmp_path) == [
        tmp_path / ".config/containers/auth.json",
        tmp_path / ".docker/config.json",
    ]
    environ = {"XDG_RUNTIME_DIR": "/run/user/1", "DOCKER_CONFIG": "/d", "REGISTRY_AUTH_FILE": "/f"}
    assert [str(path) for path in credential_files(environ, tmp_path)][:2] == ["/f", "/run/user/1/containers/auth.json"]


async def test_damaged_files_are_named(tmp_path: Path) -> None:
    environ = write(tmp_path, {"auths": {"h.example": {"auth": "?"}}})
    with pytest.raises(Invalid, match=r"config\.json: an entry's auth is not base64"):
        await find_credentials("h.example", "x", environ, tmp_path)
    (tmp_path / "config.json").write_text("{")
    with pytest.raises(Invalid, match="is not JSON"):
        await find_credentials("h.example", "x", environ, tmp_path)


def test_passwords_are_not_printed() -> None:
    credentials = Credentials("user", "secret")
    assert "secret" not in repr(credentials) + str(credentials)
    assert credentials.basic == "Basic dXNlcjpzZWNyZXQ="
    assert parse_entry({"username": "a", "password": "b"}, "f") == Credentials("a", "b")


def test_helpers() -> None:
    config = {"credsStore": "pass", "credHelpers": {"h.example": "other"}, "auths": {"https://h.example": {}}}
    assert find_helper(config, ["h.example"]) == ("other", "h.example")
    assert find_helper(config, ["x", "https://h.example"]) == ("pass", "https://h.example")
    assert find_helper({}, ["h.example"]) is None


async def test_a_helper_is_a_name_and_no_path(tmp_path: Path) -> None:
    environ = write(tmp_path, {"credsStore": "../evil"})
    with pytest.raises(Invalid, match="is not a credential helper"):
        await find_credentials("h.example", "x", environ, tmp_path)


def test_challenges() -> None:
    challenge = parse_challenge('Bearer realm="https://a.example/token",service="s, t",scope="x \\"y\\"" , error=none')
    assert challenge.scheme == "bearer"
    expected = {"realm": "https://a.example/token", "service": "s, t", "scope": 'x "y"', "error": "none"}
    assert challenge.parameters == expected
    assert parse_challenge('basic realm="x"').scheme == "basic"
    with pytest.raises(Invalid, match="Digest"):
        parse_challenge('Digest realm="x"')


@given(st.text(max_size=60))
def test_any_challenge_is_read_or_refused(text: str) -> None:
    parse_challenge(f"Bearer {text}")
    with suppress(WeftError):
        parse_challenge(text)
