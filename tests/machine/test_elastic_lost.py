"""Elastic machines whose guest, agent or daemon fails: what they have counts, and what they have lost is said."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.elastic_machine import GIB, MIB, Elastic, build_hog
from tests.machine.fabrics import TestFabric, open_fabric

BALLOON, PLUG = 5, 24
"""Numbers of kinds of virtio devices."""


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("lost") / "home") as fabric:
        yield fabric


@pytest.fixture(scope="module")
def hog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_hog(tmp_path_factory.mktemp("hog"))


def add_kernel_without(fabric: TestFabric, name: str, kind: int, folder: Path) -> None:
    """A kernel that does not know a kind of device: its driver is for another one."""
    image = (fabric.home / "kernels" / "default" / "vmlinux").read_bytes()
    entry, other = (number.to_bytes(4, "little") + b"\xff" * 4 + bytes(8) for number in (kind, 0x7F))
    assert image.count(entry) == 1
    path = folder / "vmlinux"
    path.write_bytes(image.replace(entry, other))
    fabric.client.import_kernel(str(path), name=name)


def test_a_kernel_that_cannot_plug(fabric: TestFabric, tmp_path: Path) -> None:
    add_kernel_without(fabric, "no-plug", PLUG, tmp_path)
    machine = Elastic(fabric, "stiff", 64 * MIB, GIB, kernel="no-plug")
    view = machine.view()
    assert view["lost"] == "its kernel has no driver at work for virtio-mem"
    assert fabric.refusal("scale", "--memory", "512M", "stiff") == "wrong-state"
    assert machine.check_agreed(view | {"guest": view["qemu"]}) == 128 * MIB, "all of its boot memory"
    fabric.run("rm", "-f", "stiff")


def test_a_kernel_without_a_balloon(fabric: TestFabric, tmp_path: Path) -> None:
    add_kernel_without(fabric, "no-balloon", BALLOON, tmp_path)
    for profile, boot in (("q35", 128 * MIB), ("microvm", GIB)):
        machine = Elastic(fabric, "solid", 64 * MIB, GIB, kernel="no-balloon", profile=profile)
        view = machine.view()
        assert view["lost"] == "its kernel has no driver at work for virtio-balloon"
        assert (view["granted"], view["qemu"]) == (boot, boot), "the host keeps what it has"
        fabric.run("rm", "-f", "solid")


def test_a_driver_that_goes_while_the_machine_runs(fabric: TestFabric) -> None:
    machine = Elastic(fabric, "torn", 64 * MIB, GIB)
    driver = "/sys/bus/virtio/drivers/virtio_mem"
    machine.exec("sh", "-c", f"basename {driver}/virtio* >{driver}/unbind")
    view = machine.scale(GIB)
    assert view["request"]["state"] == "refused"
    assert view["request"]["reason"] == view["lost"] == "its kernel has no driver at work for virtio-mem"
    assert machine.check_agreed(view) == 128 * MIB
    assert fabric.refusal("scale", "--memory", "64M", "torn") == "wrong-state"
    fabric.run("restart", "torn")
    machine.grow(GIB)
    fabric.run("rm", "-f", "torn")


def test_a_silent_guest_keeps_what_it_has(fabric: TestFabric) -> None:
    machine = Elastic(fabric, "mute", 64 * MIB, GIB)
    machine.grow(GIB)
    pid = fabric.json("inspect", "mute")["pid"]
    os.kill(pid, signal.SIGSTOP)
    request = machine.scale(64 * MIB)["request"]
    os.kill(pid, signal.SIGCONT)
    assert request["state"] == "failed"
    assert "answer" in request["reason"]
    assert machine.view()["granted"] == GIB
    machine.grow(64 * MIB)
    fabric.run("rm", "-f", "mute")


def test_a_daemon_that_is_killed_in_the_middle_leaves_it_to_the_next(fabric: TestFabric, hog: Path) -> None:
    machine = Elastic(fabric, "kept", 64 * MIB, 4 * GIB)
    machine.grow(2 * GIB)
    machine.start_hog(hog, "pin", "512")
    machine.scale(64 * MIB, wait=False)
    fabric.kill_daemon()
    view = machine.settle()
    assert view["request"]["reason"].startswith("its kernel has stopped at ")
    assert 512 * MIB < machine.check_agreed(view) < 2 * GIB
    machine.end_hog()
    for size in (4 * GIB, 64 * MIB):
        machine.scale(size, wait=False)
        fabric.kill_daemon()
        machine.settle()
        machine.check(size)
    fabric.run("rm", "-f", "kept")
