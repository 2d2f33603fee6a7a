"""OCI images by the command line: from a registry and from pipes, run, passed on, kept while they are used, pruned."""

import io
import json
import subprocess
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.host.registries import LocalRegistry, busybox_layers, make_layer, make_sample, open_registry, skopeo
from tests.machine.fabrics import TestFabric, open_fabric

COMMAND = {"Entrypoint": ["/bin/busybox"], "Cmd": ["cat", "/etc/greeting"], "Env": ["PATH=/bin"]}


@pytest.fixture(scope="module")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalRegistry]:
    with open_registry(tmp_path_factory.mktemp("registry")) as registry:
        yield registry


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("shop") / "home") as fabric:
        yield fabric


def test_run_pulls_by_itself(registry: LocalRegistry, shop: TestFabric) -> None:
    reference = registry.put(make_sample(busybox_layers(), COMMAND), "team/greeter", tag="1")
    first = shop.run("run", "--rm", reference)
    assert first.stdout.startswith(b"hello")
    assert b"MB" in first.stderr
    before = registry.log.count("/blobs/")
    again = shop.run("run", "--rm", "team/greeter:1", check=False)
    assert b"docker.io/team/greeter:1" in again.stderr  # another name: this one is not here
    assert shop.run("run", "--rm", reference, "echo", "other").stdout.startswith(b"other")
    assert registry.log.count("/blobs/") == before
    [image] = [image for image in shop.json("image", "ls") if image["kind"] == "oci"]
    assert image["name"] == reference
    assert reference in shop.text("image", "inspect", image["digest"][7:19])


def test_names_and_what_is_used(registry: LocalRegistry, shop: TestFabric) -> None:
    sample = make_sample(busybox_layers(), {"Entrypoint": ["/bin/busybox"], "Cmd": ["sleep", "1000"]})
    reference = registry.put(sample, "sleeper")
    shop.run("image", "pull", reference)
    shop.run("image", "tag", reference, "docker.io/library/sleeper:latest")
    name = shop.text("run", "-d", "sleeper").strip()
    assert name == "sleeper-1"
    assert shop.client.machine(name)["image"] == "docker.io/library/sleeper:latest"
    assert shop.refusal("image", "rm", "sleeper") == "wrong-state"
    shop.run("image", "rm", reference)
    assert shop.text("image", "prune", "--all").splitlines()[-1].endswith("freed")
    assert [image["name"] for image in shop.json("image", "ls") if image["kind"] == "oci"] == [
        "docker.io/library/sleeper:latest"
    ]
    shop.run("rm", "-f", name)
    assert "docker.io/library/sleeper:latest" in shop.text("image", "prune", "--all")
    assert not [path for path in (shop.home / "blobs").rglob("*") if path.is_file()]
    assert shop.client.image("base")["kind"] == "appliance"


def test_through_pipes(registry: LocalRegistry, shop: TestFabric, tmp_path: Path) -> None:
    reference = registry.put(make_sample([*busybox_layers(), make_layer({"x": b"x"})], COMMAND), "piped")
    file = tmp_path / "piped.tar"
    skopeo("copy", "--src-tls-verify=false", f"docker://{reference}", f"docker-archive:{file}:h.example/piped:1")
    with file.open("rb") as archive:
        done = subprocess.run([*shop.argv, "image", "import", "-"], stdin=archive, capture_output=True, check=True)
    assert done.stdout.split()[0] == b"h.example/piped:1"
    assert shop.run("run", "--rm", "--pull", "never", "h.example/piped:1").stdout.startswith(b"hello")
    out = shop.run("image", "export", "h.example/piped:1").stdout
    with tarfile.open(fileobj=io.BytesIO(out)) as tar:
        assert {"oci-layout", "index.json", "manifest.json"} <= set(tar.getnames())
    assert shop.run("image", "import", "-t", "again", "-", input=out).stdout.split()[0] == b"again"
    pushed = shop.json("image", "push", "again", f"{registry.host}/again:2")
    seen = json.loads(skopeo("inspect", "--tls-verify=false", f"docker://{registry.host}/again:2"))
    assert seen["Digest"] == pushed["digest"]


def test_what_goes_wrong_is_told_in_a_line(registry: LocalRegistry, shop: TestFabric, tmp_path: Path) -> None:
    assert shop.refusal("image", "export", "base") == "invalid"
    assert shop.refusal("image", "push", "nothing") == "not-found"
    done = shop.run("image", "import", "-", input=b"nothing like a tar" * 100, check=False)
    assert b"weft: invalid: this is no tar archive" in done.stderr
    done = shop.run("run", "-d", f"{registry.host}/nothing", check=False)
    assert done.returncode == 1
    assert b"not-found: no 127.0.0.1" in done.stderr
    done = shop.run("run", "-d", "nginx", check=False)
    assert b"docker.io/library/nginx" in done.stderr
    broken = registry.put(make_sample([b"no tar"], COMMAND), "broken")
    done = shop.run("image", "pull", broken, check=False)
    assert done.returncode == 1 and b"internal" not in done.stderr
    assert not [image for image in shop.json("image", "ls") if "broken" in image["name"]]
