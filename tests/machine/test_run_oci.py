"""Container images as machines: what their config says, and what there is without a shell, a library or a network."""

import asyncio
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.host.registries import BUSYBOX, Sample, make_layer, make_sample
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

from weft.image.cache import cache_home
from weft.image.packages import fetch_packages

ALONE = ("--network", "none")
PASSWD = b"root:x:0:0::/root:/bin/sh\nweaver:x:1234:77::/:/bin/false\n"
GROUP = b"root:x:0:\nloom:x:77:\nyarn:x:88:\n"
SCRATCH = {
    "Entrypoint": ["/probe"],
    "Cmd": ["show"],
    "Env": ["WORD=image"],
    "WorkingDir": "/work/deep",
    "User": "weaver:yarn",
    "StopSignal": "SIGUSR1",
    "ExposedPorts": {"9000/tcp": {}},
    "Healthcheck": {"Test": ["CMD", "/probe", "exit", "0"], "Interval": 200_000_000},
}
DYNAMIC = Path("/usr/bin/printenv")
"""A program with libraries: what is called distroless has such a one and nothing else."""


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    path = tmp_path_factory.mktemp("probe") / "probe"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", path, Path(__file__).with_name("probe.c")], check=True)
    return path.read_bytes()


def distroless() -> Sample:
    """A program and the libraries it names."""
    said = subprocess.run(["ldd", DYNAMIC], capture_output=True, text=True, check=True).stdout
    libraries = [Path(word) for word in said.split() if word.startswith("/")]
    files = {str(path).removeprefix("/"): path.read_bytes() for path in (DYNAMIC, *libraries)}
    return make_sample([make_layer(files)], {"Cmd": [str(DYNAMIC), "WORD"], "Env": ["WORD=distroless"]})


def debian() -> Sample:
    """A Debian as its packages come, each a layer of its own: nothing was run to set it up."""
    wanted = ("base-files", "bash", "coreutils", "libc-bin", "sed")
    packages = asyncio.run(fetch_packages(wanted, cache_home()))
    tars = [subprocess.run(["dpkg-deb", "--fsys-tarfile", each.archive], stdout=subprocess.PIPE, check=True).stdout
            for each in packages]  # fmt: skip
    accounts = make_layer({"etc/passwd": PASSWD, "etc/group": GROUP}, 0o644)
    return make_sample([*tars, accounts], {"Cmd": ["bash"], "User": "weaver", "WorkingDir": "/var/lib"}, kind="zstd")


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory, probe: bytes) -> Iterator[TestFabric]:
    """A fabric with the images `scratch`, `busybox`, `distroless` and `debian`."""
    folder = tmp_path_factory.mktemp("oci")
    accounts = make_layer({"etc/passwd": PASSWD, "etc/group": GROUP}, 0o644)
    samples = {
        "scratch": make_sample([make_layer({"probe": probe}), accounts], SCRATCH),
        "busybox": make_sample([make_layer({"bin/busybox": BUSYBOX.read_bytes()})], {"Cmd": ["/bin/busybox", "sh"]}),
        "distroless": distroless(),
        "debian": debian(),
    }
    with open_fabric(folder / "home") as fabric:
        for name, sample in samples.items():
            fabric.run("image", "import", "-t", name, str(sample.write_layout(folder / name)))
        yield fabric


def print_of(fabric: TestFabric, *args: str, status: int = 0) -> list[str]:
    """The lines that a machine's program prints; its status is checked."""
    done = fabric.run("run", "--rm", *ALONE, *args, check=False)
    assert done.returncode == status, done
    return [line for line in done.stdout.decode().splitlines() if not line.startswith("reboot: ")]


def test_one_static_binary_is_a_machine_as_its_config_says(fabric: TestFabric) -> None:
    said = print_of(fabric, "--name", "alone", "--tmpfs", "/mem", "--no-healthcheck", "scratch")
    assert said == ["1234:88 /work/deep alone image", "root closed, /mem open"]


def test_options_go_over_the_config(fabric: TestFabric) -> None:
    options = ["-u", "0", "-w", "/", "-e", "WORD=mine", "--hostname", "front", "--read-only", "--tmpfs", "/mem:ro"]
    said = print_of(fabric, "--entrypoint", "/probe", *options, "scratch", "--", "show")
    assert said == ["0:0 / front mine", "root closed, /mem closed"]


def test_the_status_is_the_programs(fabric: TestFabric) -> None:
    assert print_of(fabric, "scratch", "--", "exit", "42", status=42) == []


def test_the_images_stop_signal_and_health_check(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "asked", "--wait-healthy", *ALONE, "scratch", "--", "wait")
    assert fabric.client.machine("asked")["health"]["status"] == "healthy"
    wait_for(lambda: "waiting" in fabric.text("logs", "asked"), "it can be asked")
    fabric.run("stop", "asked")
    assert fabric.client.machine("asked")["exit"]["code"] == 110, "100 and the number of SIGUSR1"
    fabric.run("rm", "asked")


def test_out_of_memory_without_a_shell(fabric: TestFabric) -> None:
    assert fabric.run("run", "--name", "fat", *ALONE, "scratch", "--", "eat", check=False).returncode == 137
    assert fabric.client.machine("fat")["exit"]["oom"]
    fabric.run("rm", "fat")


def test_a_broken_entry_point_fails_with_its_reason(fabric: TestFabric) -> None:
    done = fabric.run("run", "-d", "--name", "broken", "--entrypoint", "/nope", *ALONE, "scratch", check=False)
    reason = "its entry point could not be started: /nope: No such file or directory"
    assert done.stderr.decode() == f"weft: unavailable: machine 'broken': {reason}\n"
    assert fabric.json("ps", "-a", "--filter", "name=broken") == []


def test_busybox_and_a_command(fabric: TestFabric) -> None:
    assert print_of(fabric, "busybox", "--", "/bin/busybox", "echo", "hello") == ["hello"]


def test_a_program_with_libraries_and_nothing_else(fabric: TestFabric) -> None:
    assert print_of(fabric, "distroless") == ["distroless"]


def test_a_debian(fabric: TestFabric) -> None:
    script = "pwd; . /etc/os-release; echo $ID; getent passwd weaver | sed s/:.*//; stat -c %U:%G /bin/bash; id -u"
    said = print_of(fabric, "debian", "--", "bash", "-c", script)
    assert said == ["/var/lib", "debian", "weaver", "root:root", "1234"]
