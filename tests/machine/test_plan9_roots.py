"""Diskless Plan 9 machines that share a root: each sees what it changed itself, and nobody else's."""

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for
from tests.machine.roots import make_root
from tests.machine.serial_lines import ask, log_of, wait_ready
from tests.multiboot.building import TestKernels

from weft.host.records import find_record

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory, multiboot_kernels: TestKernels) -> Iterator[TestFabric]:
    folder = tmp_path_factory.mktemp("roots")
    with open_fabric(folder / "home") as fabric:
        fabric.run("kernel", "import", str(multiboot_kernels.aout), "--name", "9pc")
        (folder / "root.tar.gz").write_bytes(make_root())
        fabric.run("image", "import", "-t", "nine", "--kind", "plan9", str(folder / "root.tar.gz"))
        yield fabric


def start(fabric: TestFabric, name: str, *args: str) -> None:
    fabric.run("run", "-d", "--name", name, "--kernel", "9pc", *args)
    wait_ready(fabric, name)


def find_server(fabric: TestFabric, name: str) -> int:
    """The process that walls its server in; 0 while it has none."""
    return pid_on(fabric.home / "machines" / name / "root.json")


def pid_on(record: Path) -> int:
    """The process on a record; 0 while there is none, and another is being started."""
    found = find_record(record)
    return found[0].pid if found else 0


def test_two_machines_share_an_image(fabric: TestFabric) -> None:
    image = fabric.json("image", "inspect", "nine")
    assert (image["kind"], image["root_type"]) == ("plan9", "p9")
    start(fabric, "one", "nine")
    start(fabric, "two", "--changes", "discard", "nine")
    assert ask(fabric, "one", "cat /lib/hello") == "hello from the image\n"
    ask(fabric, "one", "write /lib/hello from one")
    ask(fabric, "one", "write /lib/new made by one")
    ask(fabric, "two", "rm /lib/old")
    assert ask(fabric, "one", "cat /lib/hello").startswith("from one")
    assert ask(fabric, "one", "cat /lib/old") == "old\n"
    assert ask(fabric, "two", "cat /lib/hello") == "hello from the image\n"
    assert "not there" in ask(fabric, "two", "cat /lib/new")
    assert "not there" in ask(fabric, "two", "cat /lib/old")
    assert fabric.refusal("image", "rm", "nine") == "wrong-state"


def test_changes_are_there_in_the_next_run_and_servers_outlive_the_daemon(fabric: TestFabric) -> None:
    server, daemon = find_server(fabric, "one"), fabric.daemon_pid()
    fabric.kill_daemon()
    assert fabric.daemon_pid() != daemon
    assert ask(fabric, "one", "cat /lib/new").startswith("made by one")
    fabric.run("stop", "two")
    assert find_server(fabric, "one") == server
    assert fabric.client.machine("two")["state"] == "stopped"
    assert not (fabric.home / "machines" / "two" / "root.json").exists()
    assert not (fabric.home / "machines" / "two" / "roots").exists()
    fabric.run("start", "two")
    wait_ready(fabric, "two")
    assert ask(fabric, "two", "cat /lib/old") == "old\n"
    fabric.run("restart", "one")
    wait_ready(fabric, "one")
    assert find_server(fabric, "one") != server
    assert ask(fabric, "one", "cat /lib/new").startswith("made by one")


def test_a_server_that_is_killed_is_replaced(fabric: TestFabric) -> None:
    server = find_server(fabric, "one")
    assert server, "0 would be all of us"
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: find_server(fabric, "one") not in (0, server), "there is another one")
    assert [event["subject"] for event in fabric.events("machine.root")] == ["one"]
    assert "from one" not in ask(fabric, "one", "cat /lib/hello")
    gateway = fabric.json("network", "inspect", "default")["gateway"]
    assert ask(fabric, "one", f"mount {gateway} 564") == "mounted\n", "the next server is there"
    assert ask(fabric, "one", "cat /lib/hello").startswith("from one")
    record = fabric.home / "run" / "roots" / "default" / "porter.json"
    porter = pid_on(record)
    assert porter, "0 would be all of us"
    os.kill(porter, signal.SIGKILL)
    wait_for(lambda: pid_on(record) not in (0, porter), "there is another porter")
    assert ask(fabric, "two", "cat /lib/hello") == "hello from the image\n"  # what was handed on did not notice
    fabric.run("rm", "-f", "one", "two")
    assert not (fabric.home / "run" / "roots" / "default").exists()
    fabric.run("image", "rm", "nine")


def test_a_root_that_cannot_be_written_to(fabric: TestFabric, tmp_path: Path) -> None:
    (tmp_path / "hello").write_text("from the host\n")
    start(fabric, "reader", "--root", str(tmp_path), "--root-ro", "plan9")
    for name in ("hello", "new"):
        assert "read only file system" in ask(fabric, "reader", f"write /{name} text")
    assert ask(fabric, "reader", "cat /hello") == "from the host\n"
    fabric.run("rm", "-f", "reader")


def test_it_reaches_its_root_by_the_network_whose_gateway_has_it(fabric: TestFabric, tmp_path: Path) -> None:
    """The gateway of its first network is a machine, which has no roots to serve."""
    fabric.run("network", "create", "behind", "--gateway", "router")
    networks = ("--network", "behind", "--network", "default")
    start(fabric, "between", *networks, "--root", str(tmp_path), "plan9")
    assert "root: mounted" in log_of(fabric, "between")
    assert fabric.refusal("run", "-d", "--kernel", "9pc", *networks[:2], "--root", str(tmp_path), "plan9") == "invalid"
    fabric.run("rm", "-f", "between")


def test_a_folder_of_the_host_and_what_may_be_none(fabric: TestFabric, tmp_path: Path) -> None:
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "hello").write_text("from the host\n")
    start(fabric, "hosted", "--root", str(tmp_path), "plan9")
    assert ask(fabric, "hosted", "cat /lib/hello") == "from the host\n"
    ask(fabric, "hosted", "write /lib/back text")
    assert (tmp_path / "lib" / "back").read_text() == "text"
    for args in (
        ("--root", str(tmp_path / "nowhere"), "plan9"),
        ("--root", str(fabric.home), "plan9"),
        ("--root", str(tmp_path), "--network", "none", "plan9"),
        ("--root", str(tmp_path), "--network", "default,pinned=no", "plan9"),
    ):
        assert fabric.refusal("run", "-d", "--name", "nobody", "--kernel", "9pc", *args) == "invalid"
