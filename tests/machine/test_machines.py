"""Machines from start to end: run, logs, exec, stop, and what a failure leaves."""

import os
import signal
from pathlib import Path

from tests.machine.fabrics import TestFabric, wait_for


def test_a_command_runs_in_the_foreground_and_gives_its_status(fabric: TestFabric) -> None:
    done = fabric.run("run", "--name", "once", "base", "--", "sh", "-c", "echo hello; exit 3", check=False)
    assert done.returncode == 3
    assert b"hello" in done.stdout
    (machine,) = fabric.json("ps", "-a")
    assert machine["state"] == "stopped"
    assert machine["exit"]["code"] == 3
    assert fabric.json("ps") == []


def test_every_state_is_shown_and_guarded(fabric: TestFabric) -> None:
    assert fabric.text("run", "-d", "--name", "box", "base") == "box\n"
    (machine,) = fabric.json("ps")
    assert machine["state"] == "running"
    assert machine["memory"] == 64 << 20
    (nic,) = machine["networks"]
    assert [(nic["nic"], nic["network"], nic["address"], nic["address6"])] == [
        (0, "default", "10.87.0.2", None),
    ]
    assert Path(f"/proc/{machine['pid']}").exists()
    assert fabric.run("start", "box", check=False).stderr.startswith(b"weft: wrong-state: ")
    assert fabric.run("rm", "box", check=False).stderr.startswith(b"weft: wrong-state: ")
    assert fabric.run("run", "-d", "--name", "box", "base", check=False).stderr.startswith(b"weft: exists: ")
    fabric.run("stop", "box")
    assert fabric.json("inspect", "box")["state"] == "stopped"
    fabric.run("start", "box")
    fabric.run("kill", "box")
    fabric.run("rm", "box")
    assert fabric.json("ps", "-a") == []
    assert not (fabric.home / "machines" / "box").exists()


def test_exec_passes_streams_status_and_signals(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "box", "base")
    done = fabric.run(
        "exec", "-i", "box", "--", "sh", "-c", "cat; echo oops >&2; exit 7", check=False, input=b"a\0b\n" * 5000
    )
    assert (done.returncode, done.stdout, done.stderr) == (7, b"a\0b\n" * 5000, b"oops\n")
    done = fabric.run("exec", "box", "--", "sh", "-c", "kill -9 $$", check=False)
    assert done.returncode == 128 + signal.SIGKILL
    assert fabric.run("exec", "box", "--", "nothing-here", check=False).stderr.startswith(b"weft: not-found: ")


def test_a_profile_with_pci_boots_too(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "big", "--profile", "q35", "--memory", "128M", "--cpus", "2", "base")
    assert fabric.exec("big", "nproc") == "2\n"
    assert fabric.exec("big", "ip", "-o", "-4", "addr", "show", "eth0").split()[3] == "10.87.0.2/24"
    fabric.run("stop", "big")
    assert fabric.json("inspect", "big")["state"] == "stopped"


def test_a_machine_that_dies_while_it_starts_is_an_error_with_its_last_words(fabric: TestFabric) -> None:
    (image,) = (fabric.home / "images" / "base").glob("root-*")
    image.unlink()
    image.write_bytes(bytes(1 << 20))
    done = fabric.run("run", "-d", "--cold", "--name", "bad", "base", check=False)
    assert done.returncode == 1
    assert b"mount" in done.stderr.splitlines()[1]
    assert done.stderr.startswith(b"weft: unavailable: machine 'bad' ended before its agent answered"), done.stderr
    assert fabric.json("ps", "-a") == []
    assert not list((fabric.home / "machines").iterdir())


def test_a_start_that_lacks_something_of_the_host_is_over(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "box", "base")
    fabric.run("stop", "box")
    initrd = fabric.home / "machines" / "box" / "initrd"
    initrd.unlink()
    initrd.mkdir()
    done = fabric.run("start", "box", check=False)
    told = f"weft: unavailable: machine 'box' cannot be started: {initrd}: Is a directory\n"
    assert (done.returncode, done.stderr.decode()) == (1, told)
    assert fabric.json("inspect", "box")["state"] == "failed"
    initrd.rmdir()
    fabric.run("start", "box")


def test_qemu_has_no_rights_and_sees_only_its_files(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "box", "base")
    machine = fabric.json("inspect", "box")
    status = dict(line.split(":\t", 1) for line in Path(f"/proc/{machine['pid']}/status").read_text().splitlines())
    assert {int(uid) for uid in status["Uid"].split()} != {0} or os.geteuid() != 0
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == 0
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    root = Path(f"/proc/{machine['pid']}/root")
    assert sorted(path.name for path in (root / "machine").iterdir()) == ["initrd", "root", "serial.log", "vmlinux"]
    assert not (root / "etc" / "shadow").exists()
    assert machine["enforced"].startswith(("cgroup v", "not enforced: "))


def test_the_serial_log_is_kept_followed_and_rotated(fabric: TestFabric) -> None:
    (fabric.home / "weft.toml").write_text("log_bytes = 65536\n")
    fabric.run("run", "-d", "--name", "talker", "base", "--", "sh", "-c", "seq 1 30000; sleep 1000")
    following = fabric.start("logs", "-f", "talker")
    wait_for(lambda: (fabric.home / "machines/talker/serial.log.1").exists(), "the log is rotated")
    assert fabric.text("logs", "--tail", "1", "talker") is not None
    fabric.run("kill", "talker")
    following.communicate(timeout=30)
    assert following.returncode == 0


def test_the_console_takes_input_and_lets_go(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "box", "base", "--", "sh", "-c", "read word; echo got $word; sleep 1000")
    with fabric.client.open_console("box") as console:
        console.send_input(b"warp\n")
        wait_for(lambda: b"got warp" in (fabric.home / "machines/box/serial.log").read_bytes(), "the answer")
    assert fabric.client.machine("box")["state"] == "running"
