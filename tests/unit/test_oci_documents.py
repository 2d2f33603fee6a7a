"""Manifests and configs: what others wrote is read within bounds, and means what container users expect."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from weft.image.oci import media
from weft.image.oci.config import make_image, parse_config, parse_signal
from weft.image.oci.manifest import Index, Manifest, choose_manifest, parse_manifest
from weft.model.errors import Invalid, WeftError
from weft.model.image import Health, ImageManifest, OciSource

ONE, TWO, THREE = (f"sha256:{digit * 64}" for digit in "123")
SOURCE = OciSource(reference="docker.io/library/x:1", manifest=ONE, config=TWO, layers=(THREE,))
NOW = datetime(2026, 1, 1, tzinfo=UTC)


def manifest(**changes: Any) -> dict[str, Any]:
    return {
        "schemaVersion": 2,
        "mediaType": media.OCI_MANIFEST,
        "config": {"mediaType": media.OCI_CONFIG, "digest": TWO, "size": 10},
        "layers": [{"mediaType": f"{media.OCI_LAYER}+gzip", "digest": THREE, "size": 20}],
        **changes,
    }


def parse(document: Any, media_type: str = "") -> Manifest | Index:
    return parse_manifest(json.dumps(document).encode(), media_type, "x")


def test_a_manifest() -> None:
    parsed = parse(manifest())
    assert isinstance(parsed, Manifest)
    assert parsed.size == 30
    assert [blob.digest for blob in parsed.blobs] == [TWO, THREE]


def test_the_type_may_be_told_beside_or_not_at_all() -> None:
    bare = manifest()
    del bare["mediaType"]
    assert isinstance(parse(bare, media.DOCKER_MANIFEST), Manifest)
    assert isinstance(parse(bare), Manifest)
    assert isinstance(parse({"manifests": []}), Index)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ([], "no JSON object"),
        ({}, "media type is not known"),
        (manifest(mediaType="application/vnd.docker.distribution.manifest.v1+prettyjws"), "old kind"),
        (manifest(mediaType="text/plain"), "text/plain"),
        (
            manifest(config={"mediaType": "application/vnd.helm", "digest": TWO, "size": 1}),
            "something else than an image",
        ),
        (manifest(config={"mediaType": media.OCI_CONFIG, "digest": TWO, "size": 1 << 30}), "config of"),
        (manifest(config={"mediaType": media.OCI_CONFIG, "digest": TWO, "size": -1}), "config.size"),
        (manifest(config={"mediaType": media.OCI_CONFIG, "digest": "md5:" + "0" * 32, "size": 1}), "config.digest"),
        (manifest(config={"mediaType": media.OCI_CONFIG, "digest": TWO + "\n", "size": 1}), "config.digest"),
        (manifest(layers=[{"mediaType": "text/plain", "digest": THREE, "size": 1}]), "unknown kind"),
        (manifest(layers=[{"mediaType": media.OCI_LAYER, "digest": TWO, "size": 1}]), "two sizes"),
        (manifest(layers=[{"mediaType": media.OCI_LAYER, "digest": TWO, "size": 10}] * 1001), "layers"),
        (manifest(layers=[{"mediaType": media.OCI_LAYER, "digest": TWO, "size": 1 << 50}]), "layers.0.size"),
    ],
)
def test_what_is_refused(document: Any, message: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse(document)
    assert message in str(caught.value)


def test_two_types_for_one_document() -> None:
    with pytest.raises(Invalid, match="and says it is"):
        parse(manifest(), media.DOCKER_MANIFEST)
    with pytest.raises(Invalid, match="larger than"):
        parse_manifest(b" " * (5 << 20), "", "x")
    with pytest.raises(Invalid, match="not JSON"):
        parse_manifest(b"[" * 100_000, "", "x")


def index(*platforms: dict[str, str] | None) -> Index:
    entries = [
        {"mediaType": media.OCI_MANIFEST, "digest": f"sha256:{number:064}", "size": 1, "platform": platform}
        for number, platform in enumerate(platforms)
    ]
    parsed = parse({"mediaType": media.OCI_INDEX, "manifests": entries})
    assert isinstance(parsed, Index)
    return parsed


AMD, ARM = {"os": "linux", "architecture": "amd64"}, {"os": "linux", "architecture": "arm64", "variant": "v8"}


@pytest.mark.parametrize(
    ("platforms", "number"),
    [
        ((ARM, AMD), 1),
        ((None, ARM, AMD), 2),
        ((None,), 0),
        (({**AMD, "variant": "v3"}, {**AMD, "variant": "v2"}), 1),
        (({**AMD, "variant": "v2"}, AMD), 1),
        (({"os": "windows", "architecture": "amd64"}, AMD), 1),
        (({"os": "plan9", "architecture": "amd64"}, AMD), 1),
        ((ARM, {"os": "plan9", "architecture": "386"}, {"os": "plan9", "architecture": "amd64"}), 2),
    ],
)
def test_the_best_of_several(platforms: tuple[dict[str, str] | None, ...], number: int) -> None:
    assert choose_manifest(index(*platforms), "x").digest == f"sha256:{number:064}"


def test_none_of_several() -> None:
    with pytest.raises(Invalid) as caught:
        choose_manifest(index(ARM, {"os": "unknown", "architecture": "unknown"}), "x")
    assert str(caught.value) == "x has no image for linux/amd64 (there are linux/arm64/v8)"


def image(name: str = "docker.io/library/x:1", **run: Any) -> ImageManifest:
    document = {**AMD, "config": run, "rootfs": {"diff_ids": [THREE]}}
    return make_image(name, parse_config(json.dumps(document).encode(), "x"), SOURCE, now=NOW)


def test_an_empty_config() -> None:
    made = image()
    assert (made.entry.entrypoint, made.entry.argv, made.entry.env) == ((), (), {})
    assert (made.entry.cwd, made.entry.user, made.entry.stop_signal) == ("/", "0:0", "SIGTERM")
    assert (made.ports, made.volumes, made.labels, made.health) == ((), (), {}, None)
    assert image(Entrypoint=None, Cmd=None, Env=None, Labels=None, Volumes=None, WorkingDir="", User="") == made


def test_a_full_config() -> None:
    made = image(
        Entrypoint=["/a", "-b"],
        Cmd=["c"],
        Env=["PATH=/bin", "A=1", "A=2=3", "EMPTY=", "NOTHING"],
        WorkingDir="srv",
        User="web:80",
        ExposedPorts={"80": {}, "443/tcp": {}, "53/udp": {}, "8000-8010/tcp": {}},
        StopSignal="3",
        Volumes={"/data": {}, "cache": {}},
        Labels={"org.opencontainers.image.version": "7", "org.opencontainers.image.description": "an image"},
        Healthcheck={"Test": ["CMD", "/ok"], "Interval": 5_000_000_000, "StartPeriod": 500_000_000, "Retries": 2},
        Unknown={"x": 1},
    )
    assert (made.entry.entrypoint, made.entry.argv) == (("/a", "-b"), ("c",))
    assert made.entry.env == {"PATH": "/bin", "A": "2=3", "EMPTY": ""}
    assert (made.entry.cwd, made.entry.user, made.entry.stop_signal) == ("/srv", "web:80", "SIGQUIT")
    assert made.ports == ("53/udp", "80/tcp", "443/tcp", "8000-8010/tcp")
    assert made.volumes == ("/cache", "/data")
    assert (made.version, made.description) == ("7", "an image")
    assert made.health == Health(argv=("/ok",), interval=5.0, start_period=0.5, retries=2)


@pytest.mark.parametrize(
    ("check", "argv"),
    [
        ({"Test": ["NONE"]}, None),
        ({"Test": []}, None),
        ({"Interval": 1}, None),
        ({"Test": ["CMD", "a", "b"]}, ("a", "b")),
        ({"Test": ["CMD-SHELL", "a | b"]}, ("/bin/sh", "-c", "a | b")),
    ],
)
def test_health(check: dict[str, Any], argv: tuple[str, ...] | None) -> None:
    made = image(Healthcheck=check)
    assert (made.health and made.health.argv) == argv


def test_the_shell_of_an_image() -> None:
    made = image(Healthcheck={"Test": ["CMD-SHELL", "a"]}, Shell=["/bin/bash", "-ec"])
    assert made.health and made.health.argv == ("/bin/bash", "-ec", "a")


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("9", "SIGKILL"),
        (15, "SIGTERM"),
        ("sigint", "SIGINT"),
        ("USR1", "SIGUSR1"),
        ("SIGRTMIN+3", "SIGRTMIN+3"),
        ("RTMAX-1", "SIGRTMAX-1"),
        ("37", "SIGRTMIN+3"),
        ("34", "SIGRTMIN"),
    ],
)
def test_signals(text: str | int, name: str) -> None:
    assert parse_signal(text) == name


@pytest.mark.parametrize("text", ["0", "65", "SIGNOTHING", "", "-9", "RTMIN+300", "33"])
def test_no_signals(text: str) -> None:
    with pytest.raises(Invalid, match="is not a signal"):
        parse_signal(text)


@pytest.mark.parametrize(
    "run",
    [
        {"ExposedPorts": {"http": {}}},
        {"User": "a:b:c"},
        {"User": "a b"},
        {"StopSignal": "SIGNOTHING"},
        {"Healthcheck": {"Test": ["CMD"]}},
        {"Healthcheck": {"Test": ["WHAT", "x"]}},
        {"Volumes": {"/a\nb": {}}},
    ],
)
def test_a_config_that_means_nothing(run: dict[str, Any]) -> None:
    with pytest.raises(Invalid, match="cannot be honoured"):
        image(**run)


@pytest.mark.parametrize(
    ("document", "message"),
    [
        ({"os": "linux", "architecture": "arm64"}, "is for linux/arm64"),
        ({"os": "windows", "architecture": "amd64"}, "is for windows/amd64"),
        ({**AMD, "config": {"Cmd": "sh"}}, "config.Cmd"),
        ({**AMD, "config": {"Env": [1]}}, "config.Env"),
    ],
)
def test_damaged_configs(document: Any, message: str) -> None:
    with pytest.raises(Invalid, match=message):
        parse_config(json.dumps(document).encode(), "x")


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda children: st.lists(children, max_size=3) | st.dictionaries(st.text(max_size=8), children, max_size=3),
    max_leaves=8,
)
keys = [
    "mediaType",
    "config",
    "layers",
    "manifests",
    "Entrypoint",
    "Env",
    "User",
    "Healthcheck",
    "StopSignal",
    "Volumes",
]


@given(st.dictionaries(st.sampled_from(keys), json_values))
def test_any_document_is_read_or_refused(document: dict[str, Any]) -> None:
    data = json.dumps(document).encode()
    config = json.dumps({**AMD, "config": document}).encode()
    for work in (
        lambda: parse_manifest(data, "", "x"),
        lambda: make_image("x", parse_config(config, "x"), SOURCE),
    ):
        try:
            work()
        except WeftError:
            continue
