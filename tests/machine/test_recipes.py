"""What a recipe says beside files, in real machines: services in order, accounts, kernel arguments, budgets."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

RECIPE = """
name = "busy"
version = "1"
packages = ["busybox-static"]
binaries = ["/bin/busybox"]
users = { web = { uid = 800, groups = ["tls"], home = "/srv/web" } }
groups = { tls = 900 }
kernel_args = ["weft.test=busy"]
permissions = { "/etc/key" = { mode = "0640", owner = "root:tls" } }
max_size = "4M"
min_available = "30M"
labels = { role = "test" }
ports = ["80/tcp"]

[[services]]
name = "serve"
after = ["prepare"]
user = "web"
cwd = "/srv/web"
argv = ["/bin/sh", "-c", "cat /etc/key /run/order > /tmp/serve.new; mv /tmp/serve.new /tmp/serve; exec sleep infinity"]

[[services]]
name = "prepare"
once = true
argv = ["/bin/sh", "-c", "sleep 0.3; echo prepared > /run/order"]

[settings.greeting]
default = "hello"
help = "What it says."
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("busy")
    (folder / "files" / "etc").mkdir(parents=True)
    (folder / "files" / "etc" / "key").write_text("key\n")
    (folder / "busy.toml").write_text(RECIPE)
    return folder


@pytest.fixture(scope="module")
def fabric(folder: Path) -> Iterator[TestFabric]:
    with open_fabric(folder / "home") as fabric:
        yield fabric


def test_services_run_in_order_as_their_users(fabric: TestFabric, folder: Path) -> None:
    fabric.run("image", "build", str(folder / "busy.toml"))
    assert fabric.client.machines(all=True) == [], "the machine that looked at the memory is gone"
    fabric.run("run", "-d", "--name", "box", "busy")
    read = ("exec", "box", "--", "cat", "/tmp/serve")
    wait_for(lambda: fabric.run(*read, check=False).returncode == 0, "the second service has started")
    assert fabric.text(*read) == "key\nprepared\n"
    assert fabric.exec("box", "stat", "-c", "%U %G %a", "/tmp/serve", "/etc/key", "/srv/web").splitlines() == [
        "web web 644",
        "root tls 640",
        "web web 750",
    ]
    assert "weft.test=busy" in fabric.exec("box", "cat", "/proc/cmdline")
    fabric.run("rm", "-f", "box")


def test_an_appliance_says_what_it_is(fabric: TestFabric, folder: Path) -> None:
    fabric.run("image", "build", str(folder / "busy.toml"), "-t", "other")
    schema = json.loads(fabric.text("image", "schema", "other"))
    assert list(schema["properties"]) == ["hostname", "greeting"]
    assert schema["properties"]["greeting"]["default"] == "hello"
    document = json.loads(fabric.text("image", "sbom", "other"))
    assert [part["name"] for part in document["components"]] == ["busybox-static"]
    image = fabric.client.image("other")
    assert (image["labels"], image["ports"]) == ({"role": "test"}, ["80/tcp"])


def test_too_little_memory_left_is_said_with_what_takes_it(fabric: TestFabric, folder: Path) -> None:
    hungry = RECIPE.replace('"busy"', '"hungry"', 1).replace("30M", "60M")
    (folder / "hungry.toml").write_text(hungry)
    done = fabric.run("image", "build", str(folder / "hungry.toml"), check=False)
    lines = done.stderr.decode().splitlines()
    (at,) = (number for number, line in enumerate(lines) if line.startswith("weft: no-room: min_available: "))
    assert lines[at + 1].split() == ["SIZE", "PROCESS"]
    assert any("sleep" in line or "sh" in line for line in lines[at + 2 :])
    assert not [image for image in fabric.client.images() if image["name"] in ("hungry",) or "trial" in image["name"]]
    assert fabric.client.machines(all=True) == []
