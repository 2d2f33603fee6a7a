"""Machines that boot from their network by the iPXE in their NIC: an image whole in memory, a multiboot kernel, what
their user has; and who may not.
"""

import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.fabrics import PATIENCE, TestFabric, open_fabric, wait_for
from tests.multiboot.building import TestKernels

from weft.host.pids import ProcessId
from weft.host.records import find_record

SCRIPT = """#!ipxe
echo this is mine
kernel ../amd64/kernel.elf by=script
module /lib/deep/words
boot
"""


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory, multiboot_kernels: TestKernels) -> Iterator[TestFabric]:
    """All boot at once. `plain` is none that may."""
    folder = tmp_path_factory.mktemp("netboot")
    script = folder / "mine.ipxe"
    script.write_text(SCRIPT)
    kernels = multiboot_kernels
    with open_fabric(folder / "home") as fabric:
        fabric.run("kernel", "import", str(kernels.aout), "--name", "9pc")
        fabric.run("run", "-d", "--pxe", "--name", "glenda", "--kernel", "9pc", "-o", "user=bootes", "plan9")
        tree = folder / "tree"
        (tree / "lib" / "deep").mkdir(parents=True)
        (tree / "lib" / "deep" / "words").write_text("in a folder")
        (tree / "link").symlink_to("lib/deep")
        files = (f"{tree}/", f"menus/mine.ipxe={script}", f"amd64/kernel.elf={kernels.elf}")
        own = [word for file in files for word in ("--boot-file", file)]
        own += ["--nic", "e1000e", "--profile", "pc"]
        fabric.run("run", "-d", "--pxe", "--name", "mine", *own)
        fabric.run("run", "-d", "--pxe", "--name", "deep", "--boot-file", f"amd64/9pc={kernels.elf}", "foreign")
        whole = fabric.start("run", "-d", "--pxe", "--name", "whole", "base")
        fabric.run("run", "-d", "--name", "plain", "base")
        assert whole.wait(PATIENCE) == 0, fabric.text("logs", "whole")
        yield fabric


def wait_said(fabric: TestFabric, name: str, text: str) -> str:
    """Until a machine has said it; all that it has said."""
    log = fabric.home / "machines" / name / "serial.log"
    wait_for(lambda: text in log.read_text().replace("\r", ""), f"{name} says {text!r}", say=log.read_text)
    return log.read_text().replace("\r", "")


def test_an_image_is_whole_in_memory_and_a_machine_like_others(fabric: TestFabric) -> None:
    assert "http://10.87.0.1/boot.ipxe... ok" in fabric.text("logs", "whole")
    assert "vda" not in fabric.exec("whole", "busybox", "ls", "/sys/block")
    assert "overlay / " in fabric.exec("whole", "busybox", "cat", "/proc/mounts")
    assert fabric.exec("whole", "busybox", "hostname") == "whole\n"
    assert "1 packets received" in fabric.exec("plain", "busybox", "ping", "-c1", "whole")
    view = fabric.client.machine("whole")
    assert (view["memory"], view["profile"], view["pxe"]) == (64 << 20, "q35", True)
    assert fabric.refusal("fork", "whole") == "wrong-state"


def test_a_multiboot_kernel_has_its_parameters(fabric: TestFabric) -> None:
    said = wait_said(fabric, "glenda", "\nready\n")
    assert "http://10.87.0.1/plan9.ini" in said
    assert {"user=bootes", "sysname=glenda", "ether0=type=virtio"} <= set(said.splitlines())


def test_a_machine_boots_what_its_user_has(fabric: TestFabric) -> None:
    said = wait_said(fabric, "mine", "\nready\n")
    assert "\nthis is mine\n" in said
    assert "kernel.elf by=script\n" in said
    assert "http://10.87.0.1/menus/mine.ipxe... ok" in said
    served = fabric.home / "netboot" / "default" / "served" / "files"
    address = fabric.client.machine("mine")["networks"][0]["address"]
    assert (served / address / "link" / "words").read_text() == "in a folder"


def test_a_loader_in_a_folder_comes_by_tftp(fabric: TestFabric) -> None:
    said = wait_said(fabric, "deep", "\nready\n")
    assert "tftp://10.87.0.1/amd64/9pc... ok" in said


def test_who_is_not_to_boot_so_gets_nothing(fabric: TestFabric) -> None:
    argv = ("busybox", "udhcpc", "-n", "-q", "-i", "eth0", "-t", "2", "-T", "1", "-s", "/bin/true")
    assert fabric.run("exec", "plain", "--", *argv, check=False).returncode
    fetch = ("timeout", "3", "wget", "-qO-", "http://10.87.0.1/boot.ipxe")
    assert fabric.run("exec", "plain", "--", *fetch, check=False).returncode
    assert "#!ipxe" in fabric.exec("whole", *fetch)
    other = fabric.client.machine("glenda")["networks"][0]["address"]
    fetch = ("timeout", "3", "wget", "-qO-", f"http://10.87.0.1/{other}/boot.ipxe")
    assert fabric.run("exec", "whole", "--", *fetch, check=False).returncode


@pytest.mark.parametrize(
    "args",
    [
        ("foreign",),
        ("--profile", "microvm", "base"),
        ("--memory", "36M", "base"),
        ("--network", "default,pinned=no", "base"),
        ("--elastic", "--memory", "64M-128M", "base"),
        ("--boot-file", "/dev/null", "foreign"),
        ("--boot-file", "/etc", "foreign"),
        ("--boot-file", "/etc/", "foreign"),
        ("--boot-file", "x/../y=/etc/hostname", "foreign"),
        ("--boot-file", "x=/etc/hostname", "--boot-file", "x/y=/etc/hostname", "foreign"),
    ],
)
def test_what_cannot_be_is_said(fabric: TestFabric, args: tuple[str, ...]) -> None:
    assert fabric.refusal("run", "-d", "--pxe", "--name", "no", *args) == "invalid"
    assert "no" not in {machine["name"] for machine in fabric.json("ps", "-a")}


def test_servers_go_with_a_machine_that_moves(fabric: TestFabric, tmp_path: Path) -> None:
    (tmp_path / "x.ipxe").write_text("#!ipxe\nexit\n")
    for network in ("here", "there"):
        fabric.run("network", "create", network)
    boot = ("--pxe", "--boot-file", str(tmp_path / "x.ipxe"), "--network", "here", "foreign")
    fabric.run("run", "-d", "--name", "mover", *boot)
    fabric.client.update_machine("mover", {"nics": [{"network": "there"}]}, restart=True)
    assert not (fabric.home / "netboot" / "here").exists()
    assert (fabric.home / "netboot" / "there" / "dhcp.json").exists()
    fabric.run("rm", "-f", "mover")
    assert not (fabric.home / "netboot" / "there").exists()
    fabric.run("network", "rm", "here", "there")


def records(fabric: TestFabric) -> dict[str, ProcessId]:
    """Those of them that are there, by what they are."""
    folder = fabric.home / "netboot" / "default"
    found = {name: find_record(folder / f"{name}.json") for name in ("dhcp", "http")}
    return {name: record[0] for name, record in found.items() if record}


def wait_another(fabric: TestFabric, name: str, before: ProcessId) -> None:
    """Until a server has come back."""
    wait_for(lambda: records(fabric).get(name) not in (None, before), f"there is another server for {name}")


def told(fabric: TestFabric) -> list[str]:
    return [event["text"].split(" of ")[0] for event in fabric.events("network.boot")]


def test_a_server_that_somebody_ends_comes_back(fabric: TestFabric) -> None:
    before = records(fabric)
    (dnsmasq,) = before["dhcp"].children()
    dnsmasq.send(signal.SIGKILL)
    wait_another(fabric, "dhcp", before["dhcp"])
    assert records(fabric)["http"] == before["http"]
    (program,) = before["http"].children()
    before["http"].send(signal.SIGKILL)  # its walls alone: what is in them goes with them
    wait_another(fabric, "http", before["http"])
    assert not program.alive()
    assert sorted(told(fabric)) == ["the server for DHCP and TFTP", "the server for HTTP"]
    assert "#!ipxe" in fabric.exec("whole", "timeout", "9", "wget", "-qO-", "http://10.87.0.1/boot.ipxe")


def test_an_image_is_loaded_again_whose_server_ends_meanwhile(fabric: TestFabric) -> None:
    fabric.run("kill", "whole")
    (fabric.home / "machines" / "whole" / "serial.log").write_text("")
    before = records(fabric)["http"]
    (program,) = before.children()
    with fabric.start("start", "whole") as starting:
        wait_said(fabric, "whole", "initrd... ")
        program.send(signal.SIGKILL)
        assert starting.wait(60) == 0, fabric.text("logs", "whole")
    wait_another(fabric, "http", before)


def test_one_that_ends_without_a_daemon_comes_back_with_the_next(fabric: TestFabric) -> None:
    before = records(fabric)
    fabric.kill_daemon()
    before["http"].children()[0].send(signal.SIGKILL)
    wait_for(lambda: "http" not in records(fabric), "it has ended")
    assert told(fabric) == ["the server for HTTP"]
    assert set(records(fabric)) == {"dhcp", "http"}
    assert "#!ipxe" in fabric.exec("whole", "timeout", "9", "wget", "-qO-", "http://10.87.0.1/boot.ipxe")
    adopted = records(fabric)["dhcp"]
    assert adopted == before["dhcp"]
    adopted.send(signal.SIGKILL)
    wait_another(fabric, "dhcp", adopted)


def test_the_servers_outlive_the_daemon_and_go_with_the_last_machine(fabric: TestFabric) -> None:
    before = records(fabric)
    fabric.run("shutdown")
    fabric.run("stop", "glenda")
    assert records(fabric) == before
    log: Path = fabric.home / "machines" / "glenda" / "serial.log"
    log.write_text("")
    fabric.run("start", "glenda")
    wait_said(fabric, "glenda", "\nready\n")
    fabric.run("rm", "-f", "whole", "mine", "deep")
    assert records(fabric)
    fabric.run("rm", "-f", "glenda")
    assert not (fabric.home / "netboot" / "default").exists()
