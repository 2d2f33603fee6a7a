"""Live media as machines: CDs that boot, a floppy that is written back to, disks, a screen; without an agent inside."""

import asyncio
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from subprocess import PIPE, Popen

import pytest
from tests import rfb
from tests.machine.captures import read_fields, sniffing
from tests.machine.fabrics import PATIENCE, TestFabric, open_fabric
from tests.machine.serial_lines import log_of, type_line, wait_ready, wait_said
from tests.multiboot.building import TestKernels
from tests.multiboot.media import make_boot_floppy, make_cd, make_floppy, read_floppy

from weft.host.qemu import open_qmp

SMALL = ("--memory", "64M")


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("live") / "home") as fabric:
        yield fabric


@pytest.fixture(scope="module")
def cd(tmp_path_factory: pytest.TempPathFactory, multiboot_kernels: TestKernels) -> Path:
    return make_cd(tmp_path_factory.mktemp("cd") / "live.iso", multiboot_kernels.aout)


@pytest.mark.parametrize("profile", ["q35", "pc"])
def test_a_live_cd_keeps_its_configuration_on_a_floppy(
    profile: str, shared: TestFabric, cd: Path, tmp_path: Path
) -> None:
    floppy, name = make_floppy(tmp_path / "floppy.img", "color=red\n"), f"live-{profile}"
    media = ["--cdrom", str(cd), "--cdrom", str(cd), "--floppy-drive", str(floppy)]
    shared.run("run", "-d", "--name", name, "--profile", profile, *SMALL, *media, "foreign")
    wait_ready(shared, name)
    type_line(shared, name, "config color", "color=red")
    type_line(shared, name, "save color=blue", "saved")
    assert read_floppy(floppy) == "color=red\ncolor=blue\n", "it is written when the machine is told so"
    shared.run("stop", name)
    assert "power button" in log_of(shared, name)
    shared.run("start", name)
    wait_ready(shared, name)
    type_line(shared, name, "config color", "color=blue")
    assert sorted(drives(shared, name)) == ["cdrom0", "cdrom1", "drive-a"]
    shared.run("kill", name)


def drives(fabric: TestFabric, name: str) -> list[str]:
    """The drives of a machine that have something in them, as its QEMU calls them."""

    async def ask() -> list[str]:
        qmp = await open_qmp(fabric.home / "machines" / name / "qmp.sock", timeout=PATIENCE)
        found = await qmp.execute("query-block")
        await qmp.close()
        return [Path(drive["qdev"]).name for drive in found if drive.get("inserted")]

    return asyncio.run(ask())


def test_one_that_does_not_know_its_power_button_is_switched_off(shared: TestFabric, cd: Path, tmp_path: Path) -> None:
    floppy = make_floppy(tmp_path / "floppy.img", "powerbutton=ignored\n")
    media = ["--cdrom", str(cd), "--floppy-drive", str(floppy)]
    shared.run("run", "-d", "--name", "deaf", "--stop-timeout", "1s", *SMALL, *media, "foreign")
    wait_ready(shared, "deaf")
    shared.run("stop", "deaf")
    assert shared.client.machine("deaf")["state"] == "stopped"
    assert "power button" not in log_of(shared, "deaf")


def test_a_disk_boots_and_is_one_machines_at_a_time(shared: TestFabric, cd: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk.img"
    shutil.copy(cd, disk)
    shared.run("run", "-d", "--name", "owner", *SMALL, "--disk", str(disk), "foreign")
    wait_ready(shared, "owner")
    shared.run("room", "create", "elsewhere")
    for option, place in (("--disk", "default"), ("--cdrom", "default"), ("--disk", "elsewhere")):
        done = shared.run(
            "--room", place, "run", "-d", "--name", "taker", *SMALL, option, str(disk), "foreign", check=False
        )
        assert done.stderr.startswith(b"weft: wrong-state: "), done
        assert (b"'owner'" in done.stderr) == (place == "default"), "a room knows its own machines alone"
    shared.run("kill", "owner")
    shared.run("run", "-d", "--name", "heir", *SMALL, "--cdrom", str(disk), "foreign")
    shared.run("rm", "-f", "owner", "heir")
    assert disk.exists()


def test_media_are_exchanged_while_a_machine_runs(shared: TestFabric, cd: Path, tmp_path: Path) -> None:
    floppies = [make_floppy(tmp_path / f"{name}.img", f"color={name}\n") for name in ("red", "blue")]
    other = tmp_path / "other.iso"
    shutil.copy(cd, other)
    shared.run("run", "-d", "--name", "dj", *SMALL, "--cdrom", str(cd), "--floppy-drive", str(floppies[0]), "foreign")
    wait_ready(shared, "dj")
    shared.run("update", "--floppy-drive", str(floppies[1]), "--cdrom", str(other), "dj")
    type_line(shared, "dj", "floppy", "floppy: 11 bytes")
    type_line(shared, "dj", "config color", "color=blue")
    type_line(shared, "dj", "save more=yes", "saved")
    assert [read_floppy(floppy) for floppy in floppies] == ["color=red\n", "color=blue\nmore=yes\n"]
    foreign = shared.client.machine("dj")["foreign"]
    assert (foreign["floppy_drive"], foreign["cdroms"]) == (str(floppies[1]), [str(other)])
    shared.run("run", "-d", "--name", "next", *SMALL, "--cdrom", str(cd), "--disk", str(floppies[0]), "foreign")
    assert shared.refusal("update", "--floppy-drive", str(floppies[0]), "dj") == "wrong-state"
    assert shared.refusal("update", "--floppy-drive", "none", "dj") == "wrong-state", "the drive is there"
    shared.run("rm", "-f", "next")
    shared.run("kill", "dj")
    shared.run("update", "--floppy-drive", "none", "dj")
    assert shared.client.machine("dj")["foreign"]["floppy_drive"] is None


@pytest.mark.parametrize("profile", ["q35", "pc"])
def test_a_floppy_boots_where_nothing_else_is(profile: str, shared: TestFabric, tmp_path: Path) -> None:
    floppy, name = make_boot_floppy(tmp_path / "boot.img", "from a floppy"), f"floppy-{profile}"
    shared.run("run", "-d", "--name", name, "--profile", profile, *SMALL, "--floppy-drive", str(floppy), "foreign")
    wait_said(shared, name, "from a floppy")
    shared.run("kill", name)


def test_a_medium_that_is_gone_is_told(shared: TestFabric, cd: Path, tmp_path: Path) -> None:
    floppy = make_floppy(tmp_path / "floppy.img", "")
    media = ["--cdrom", str(cd), "--floppy-drive", str(floppy)]
    shared.run("run", "-d", "--name", "forgetful", *SMALL, *media, "foreign")
    shared.run("kill", "forgetful")
    floppy.unlink()
    assert shared.refusal("start", "forgetful") == "unavailable"
    assert shared.refusal("run", "--name", "never", "--floppy-drive", str(floppy), "foreign") == "not-found"
    assert "never" not in shared.text("ps", "-a")


def test_a_screen_is_seen_by_vnc_viewers(shared: TestFabric, cd: Path) -> None:
    media = ["--cdrom", str(cd), "--display", "vnc"]
    shared.run("run", "-d", "--name", "seen", *SMALL, *media, "foreign")
    wait_ready(shared, "seen")
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


def test_its_frames_pass_what_is_in_front_of_it(shared: TestFabric, tmp_path: Path) -> None:
    """The firmware of its NIC asks for an address, once: no driver of ours has any part in that."""
    script = tmp_path / "boot.ipxe"
    script.write_text("#!ipxe\nexit\n")
    boot = ["--pxe", "--boot-file", str(script), "--nic", "e1000e"]
    shared.run("run", "-d", "--name", "caller", *SMALL, *boot, "foreign")
    shared.run("kill", "caller")
    with sniffing(shared, tmp_path / "capture", "caller", "--count", "1", "udp", "port", "67"):
        shared.run("start", "caller")
    (nic,) = shared.client.machine("caller")["networks"]
    assert read_fields((tmp_path / "capture").read_bytes(), "eth.src", "dhcp.type") == [[nic["mac"], "1"]], "a question"
    shared.run("kill", "caller")
