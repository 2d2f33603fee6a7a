"""Diskless Plan 9 machines that share a root: each sees what it changed itself, and nobody else's."""

import io
import json
import os
import signal
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for
from tests.machine.test_plan9 import log_of, type_line, wait_said, wait_state
from tests.multiboot.building import TestKernels

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory, multiboot_kernels: TestKernels) -> Iterator[TestFabric]:
    folder = tmp_path_factory.mktemp("roots")
    with open_fabric(folder / "home") as fabric:
        fabric.run("kernel", "import", str(multiboot_kernels.aout), "--name", "9pc")
        (folder / "root.tar.gz").write_bytes(make_root())
        fabric.run("image", "import", "-t", "nine", "--kind", "plan9", str(folder / "root.tar.gz"))
        yield fabric


def make_root() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        for name, text in (("lib/hello", "hello from the image\n"), ("lib/old", "old\n")):
            info = tarfile.TarInfo(name)
            info.size, info.mode, info.uname = len(text), 0o664, "glenda"
            tar.addfile(info, io.BytesIO(text.encode()))
    return buffer.getvalue()


def start(fabric: TestFabric, name: str, *args: str) -> None:
    fabric.run("run", "-d", "--name", name, "--kernel", "9pc", *args)
    wait_said(fabric, name, "\nready\n")


def ask(fabric: TestFabric, name: str, line: str) -> str:
    """What a machine answers to a command, none of which is typed twice the same."""
    before = len(log_of(fabric, name))
    type_line(fabric, name, line)
    type_line(fabric, name, f"echo {before}")
    wait_for(lambda: f"\n{before}\n" in log_of(fabric, name)[before:], f"{name} has answered")
    return log_of(fabric, name)[before:].partition(f"{line}\n")[2].partition("% echo")[0]


def find_server(fabric: TestFabric, name: str) -> int:
    """The process that walls its server in; 0 while it has none."""
    record = fabric.home / "machines" / name / "root.json"
    return int(json.loads(record.read_text())["pid"]) if record.exists() else 0


def test_two_machines_share_an_image(fabric: TestFabric) -> None:
    image = fabric.json("image", "inspect", "nine")
    assert (image["kind"], image["root_type"]) == ("plan9", "p9")
    start(fabric, "one", "nine")
    start(fabric, "two", "nine")
    assert ask(fabric, "one", "cat /lib/hello") == "hello from the image\n"
    ask(fabric, "one", "write /lib/hello from one")
    ask(fabric, "one", "write /lib/new made by one")
    ask(fabric, "two", "rm /lib/old")
    assert ask(fabric, "one", "cat lib/hello").startswith("from one")
    assert ask(fabric, "one", "cat /lib/old") == "old\n"
    assert ask(fabric, "two", "cat /lib/hello") == "hello from the image\n"
    assert "not there" in ask(fabric, "two", "cat /lib/new")
    assert "not there" in ask(fabric, "two", "cat /lib/old")
    assert fabric.refusal("image", "rm", "nine") == "wrong-state"


def test_changes_are_there_in_the_next_run_and_servers_outlive_the_daemon(fabric: TestFabric) -> None:
    server, daemon = find_server(fabric, "one"), fabric.daemon_pid()
    os.kill(daemon, signal.SIGKILL)
    wait_for(lambda: not Path(f"/proc/{daemon}").exists(), "the daemon is gone")
    assert fabric.daemon_pid() != daemon
    assert ask(fabric, "one", "cat /lib/new").startswith("made by one")
    fabric.run("stop", "two")
    assert find_server(fabric, "one") == server
    wait_state(fabric, "two", "stopped")
    assert not (fabric.home / "machines" / "two" / "root.json").exists()
    fabric.run("restart", "one")
    wait_for(lambda: log_of(fabric, "one").endswith("ready\n% "), "it has booted", say=lambda: log_of(fabric, "one"))
    assert find_server(fabric, "one") != server
    assert "new" in ask(fabric, "one", "cat /lib").split()


def test_a_server_that_is_killed_is_replaced(fabric: TestFabric) -> None:
    server = find_server(fabric, "one")
    os.kill(server, signal.SIGKILL)
    wait_for(lambda: find_server(fabric, "one") not in (0, server), "there is another one")
    assert [event["subject"] for event in fabric.events("machine.root")] == ["one"]
    fabric.run("rm", "-f", "one", "two")
    assert not (fabric.home / "run" / "roots" / "default").exists()
    fabric.run("image", "rm", "nine")


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
