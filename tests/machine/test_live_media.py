"""Live media as machines: CDs that boot, a floppy that is written back to, disks, a screen; without an agent inside."""

import socket
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from tests import rfb
from tests.machine.fabrics import PATIENCE, TestFabric, open_fabric, wait_for
from tests.multiboot.building import TestKernels
from tests.multiboot.media import make_cd, make_floppy, read_floppy


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("live") / "home") as fabric:
        yield fabric


@pytest.fixture(scope="module")
def cd(tmp_path_factory: pytest.TempPathFactory, multiboot_kernels: TestKernels) -> Path:
    return make_cd(tmp_path_factory.mktemp("cd") / "live.iso", multiboot_kernels.aout)


def log(fabric: TestFabric, name: str) -> str:
    return fabric.text("logs", name).replace("\r\n", "\n")


def type_line(fabric: TestFabric, name: str, line: str, answer: str) -> None:
    """Type a line, and wait for what the machine says to it."""
    with fabric.client.open_console(name) as console:
        console.send_input(line.encode() + b"\n")
        said = b""
        for data in console:
            said += data
            if answer.encode() in said:
                return
    raise AssertionError(f"{name} said {said!r} to {line!r}")


def wait_prompt(fabric: TestFabric, name: str) -> None:
    wait_for(lambda: "ready\n% " in log(fabric, name), f"{name} is ready", say=lambda: log(fabric, name))


@pytest.mark.parametrize("profile", ["q35", "pc"])
def test_a_live_cd_keeps_its_configuration_on_a_floppy(
    profile: str, shared: TestFabric, cd: Path, tmp_path: Path
) -> None:
    floppy = make_floppy(tmp_path / "floppy.img", "color=red\n")
    name = f"live-{profile}"
    media = ["--cdrom", str(cd), "--cdrom", str(cd), "--floppy-drive", str(floppy)]
    shared.run("run", "-d", "--name", name, "--profile", profile, "--memory", "64M", *media, "foreign")
    wait_prompt(shared, name)
    type_line(shared, name, "config color", "color=red")
    type_line(shared, name, "save color=blue", "saved")
    shared.run("stop", name)
    assert read_floppy(floppy) == "color=red\ncolor=blue\n"


def test_a_screen_is_seen_by_vnc_viewers(shared: TestFabric, cd: Path) -> None:
    media = ["--cdrom", str(cd), "--display", "vnc"]
    shared.run("run", "-d", "--name", "seen", "--memory", "64M", *media, "foreign")
    wait_prompt(shared, "seen")
    with Popen([*shared.argv, "display", "seen"], stdout=PIPE) as display:
        assert display.stdout is not None
        host, port = display.stdout.readline().decode().strip().split(":")
        with socket.create_connection((host, int(port)), PATIENCE) as viewer:
            assert rfb.begin(viewer) == (720, 400), "text mode"
            assert any(rfb.ask_for(viewer, 720, 32)), "the boot loader has written something"
            shared.run("kill", "seen")
            while viewer.recv(4096):
                pass
        assert display.wait(PATIENCE) == 0
    assert shared.refusal("display", "seen") == "wrong-state"
