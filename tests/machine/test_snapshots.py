"""Snapshots of real machines: what was in memory and on disks goes on, and what is damaged does not."""

import random
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for
from tests.machine.talks import open_ticks, serve_ticks

from weft.fabric.snapshots.kept import HEAD
from weft.host.sealed import read_head

HOST_KEY = "/etc/ssh/ssh_host_ed25519_key"
COUNTER = "n=0; while sleep 0.05; do n=$((n+1)); echo $n >/tmp/count.new; mv /tmp/count.new /tmp/count; done"


@pytest.fixture(scope="module")
def snaps(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """A fabric with the machine `web`, which counts in its memory and has a volume, and the snapshot `one` of it."""
    with open_fabric(tmp_path_factory.mktemp("snaps") / "home") as fabric:
        fabric.run("run", "-d", "--name", "web", "-v", "data:/srv", "base")
        fabric.run("exec", "-d", "web", "--", "sh", "-c", COUNTER)
        fabric.exec("web", "sh", "-c", f"echo before >/srv/word; sync; mkdir -p /etc/ssh; touch {HOST_KEY}")
        wait_for(lambda: count(fabric, "web") > 0, "it counts")
        fabric.run("snapshot", "create", "web", "one", "--label", "of=tests")
        yield fabric


def count(fabric: TestFabric, machine: str) -> int:
    return int(fabric.exec(machine, "sh", "-c", "cat /tmp/count 2>/dev/null || echo 0"))


def identity(fabric: TestFabric, machine: str) -> dict[str, str]:
    """What tells machines apart, as the machine itself says it."""
    script = "hostname; cat /etc/machine-id /sys/class/net/eth0/address; ip -4 -o address show eth0 | cut -d' ' -f7"
    host, machine_id, mac, address = fabric.exec(machine, "sh", "-c", script).split()
    return {"host": host, "machine id": machine_id, "mac": mac, "address": address}


def has_host_key(fabric: TestFabric, machine: str) -> bool:
    """Whether it has the key by which SSH clients know the machine; its image has no program that makes one."""
    return "yes" in fabric.exec(machine, "sh", "-c", f"test -e {HOST_KEY} && echo yes || echo no")


def folder(fabric: TestFabric, name: str) -> Path:
    return fabric.home / "snapshots" / name


def test_a_machine_goes_on_while_a_snapshot_is_taken(snaps: TestFabric) -> None:
    at = count(snaps, "web")
    wait_for(lambda: count(snaps, "web") > at, "it goes on")
    (view,) = snaps.json("snapshot", "ls")
    assert (view["name"], view["machine"], view["disks"], view["labels"]) == ("one", "web", ["data"], {"of": "tests"})
    assert 0 < view["paused"] < 5
    assert 0 < view["stored"] < view["memory"]


def test_a_copy_is_somebody_else(snaps: TestFabric) -> None:
    original = identity(snaps, "web")
    snaps.run("restore", "one", "--name", "other")
    try:
        copy = identity(snaps, "other")
        assert {key for key in copy if copy[key] == original[key]} == set()
        assert identity(snaps, "web") == original
        assert not has_host_key(snaps, "other")
        at = count(snaps, "other")
        assert at > 0
        wait_for(lambda: count(snaps, "other") > at, "the copy counts on")
        view = snaps.json("inspect", "other")
        assert view["origin"] == "snapshot one"
        assert [mount["source"] for mount in view["mounts"]] == ["other-data"]
        now = float(snaps.exec("other", "date", "+%s"))
        assert abs(now - time.time()) < 5
        assert "1 packets received" in snaps.exec("web", "ping", "-c", "1", "-w", "5", "other")
        snaps.exec("other", "sh", "-c", "echo copy >/srv/word; sync")
        assert snaps.exec("web", "cat", "/srv/word") == "before\n"
    finally:
        snaps.run("rm", "-f", "other")
    snaps.run("volume", "rm", "other-data")


def test_a_machine_goes_back(snaps: TestFabric) -> None:
    original = identity(snaps, "web")
    snaps.exec("web", "sh", "-c", "echo after >/srv/word; sync; touch /tmp/after")
    assert snaps.refusal("restore", "one") == "exists"
    snaps.run("restore", "one", "--replace")
    assert snaps.exec("web", "cat", "/srv/word") == "before\n"
    assert snaps.exec("web", "sh", "-c", "test -e /tmp/after || echo gone") == "gone\n"
    assert identity(snaps, "web") == original
    assert has_host_key(snaps, "web")
    at = count(snaps, "web")
    wait_for(lambda: count(snaps, "web") > at, "it counts on")


def test_a_machine_that_is_gone_comes_back_by_another_daemon(snaps: TestFabric) -> None:
    original = identity(snaps, "web")
    snaps.run("rm", "-f", "web")
    snaps.run("volume", "rm", "data")
    snaps.kill_daemon()
    snaps.run("restore", "one")
    assert identity(snaps, "web") == original
    assert snaps.exec("web", "cat", "/srv/word") == "before\n"
    at = count(snaps, "web")
    assert at > 0
    wait_for(lambda: count(snaps, "web") > at, "it counts on")


def test_what_is_damaged_is_refused(snaps: TestFabric) -> None:
    dice, machines = random.Random(3), [machine["name"] for machine in snaps.json("ps", "-a")]
    for path in sorted(folder(snaps, "one").iterdir()):
        at = dice.randrange(path.stat().st_size)
        flip(path, at)
        assert "is damaged" in refusal(snaps, "restore", "one", "--name", "other")
        flip(path, at)
    device = folder(snaps, "one") / "device"
    whole = device.read_bytes()
    device.write_bytes(whole[:-1])
    assert "is damaged" in refusal(snaps, "restore", "one", "--replace")
    device.write_bytes(whole)
    assert [machine["name"] for machine in snaps.json("ps", "-a")] == machines
    assert snaps.json("inspect", "web")["state"] == "running"
    assert [volume["name"] for volume in snaps.json("volume", "ls")] == ["data"]


def test_another_qemu_is_refused_by_its_name(snaps: TestFabric) -> None:
    path = folder(snaps, "one") / HEAD
    before = path.read_bytes()
    head = read_head(folder(snaps, "one"), HEAD)
    shape = {**head.about["shape"], "qemu": "qemu-system-x86_64 8.2.2"}
    path.write_bytes(head.model_copy(update={"about": {**head.about, "shape": shape}}).dump())
    assert "QEMU is" in refusal(snaps, "restore", "one", "--name", "other")
    path.write_bytes(before)
    assert snaps.json("snapshot", "inspect", "one")["broken"] is None


def test_a_snapshot_goes_elsewhere_and_comes_back(snaps: TestFabric, tmp_path: Path) -> None:
    snaps.run("snapshot", "export", "one", str(tmp_path / "one.tar.zst"))
    snaps.run("snapshot", "import", str(tmp_path / "one.tar.zst"), "--name", "back")
    snaps.run("restore", "back", "--name", "other")
    at = count(snaps, "other")
    wait_for(lambda: count(snaps, "other") > at, "it counts on")
    snaps.run("rm", "-f", "other")
    snaps.run("snapshot", "rm", "back")
    snaps.run("volume", "rm", "other-data")


def test_a_suspended_machine_goes_on_with_its_connections(snaps: TestFabric) -> None:
    snaps.run("run", "-d", "--name", "client", "base")
    serve_ticks(snaps, "web", 7)
    talk = open_ticks(snaps, "client", "talk", "web", 7)
    snaps.run("insert", "sniffer", "--before", "web", "--name", "eye")
    original, said = identity(snaps, "web"), talk.count()
    snaps.run("suspend", "web")
    assert snaps.json("inspect", "web")["state"] == "suspended"
    assert "web" not in [machine["name"] for machine in snaps.json("ps")]
    assert "written" not in snaps.text("volume", "ls")
    assert snaps.refusal("volume", "resize", "data", "2G") == "wrong-state"
    assert snaps.refusal("exec", "web", "true") == "wrong-state"
    snaps.kill_daemon()
    assert snaps.json("inspect", "web")["state"] == "suspended"
    assert [name for name, _ in snaps.chain("web")] == ["eye"]
    snaps.run("resume", "web")
    assert identity(snaps, "web") == original
    talk.wait_lines()
    assert talk.count() > said
    assert abs(float(snaps.exec("web", "date", "+%s")) - time.time()) < 5
    snaps.run("eject", "eye")
    assert snaps.refusal("resume", "web") == "wrong-state"


def test_what_a_suspended_machine_was_can_be_discarded(snaps: TestFabric) -> None:
    snaps.run("suspend", "client")
    moment = snaps.home / "machines" / "client" / "moment"
    assert moment.is_dir()
    snaps.run("stop", "client")
    assert snaps.json("inspect", "client")["state"] == "stopped"
    assert not moment.exists()
    assert snaps.refusal("resume", "client") == "wrong-state"
    snaps.run("start", "client")
    assert snaps.exec("client", "sh", "-c", "test -e /tmp/talk || echo booted") == "booted\n"


def test_a_damaged_suspended_machine_stays_so(snaps: TestFabric) -> None:
    snaps.run("suspend", "client")
    memory = snaps.home / "machines" / "client" / "moment" / "memory"
    flip(memory, 12345)
    assert snaps.refusal("start", "client") == "unavailable"
    assert snaps.json("inspect", "client")["state"] == "suspended"
    flip(memory, 12345)
    snaps.run("start", "client")
    assert snaps.json("inspect", "client")["state"] == "running"
    snaps.run("rm", "-f", "client")


def test_a_daemon_that_dies_while_it_suspends_a_machine_loses_nothing(snaps: TestFabric) -> None:
    folder_of_web = snaps.home / "machines" / "web"
    suspending = snaps.start("suspend", "web")
    wait_for(lambda: (folder_of_web / "moment.draft").exists() or suspending.poll() is not None, "it is being saved")
    snaps.kill_daemon()
    suspending.communicate(timeout=30)
    if snaps.json("inspect", "web")["state"] == "suspended":  # it had been saved by then
        snaps.run("resume", "web")
    wait_for(lambda: snaps.run("exec", "web", "true", check=False).returncode == 0, "it is adopted, and goes on")
    at = count(snaps, "web")
    wait_for(lambda: count(snaps, "web") > at, "it counts on")
    assert not list(folder_of_web.glob("moment*"))


def refusal(fabric: TestFabric, *args: str) -> str:
    """The error that `weft ARGS` ends with, below what it has said of its progress."""
    done = fabric.run(*args, check=False)
    assert done.returncode == 1 and not done.stdout, done
    return done.stderr.decode().splitlines()[-1]


def flip(path: Path, at: int) -> None:
    """Change one byte; the same again puts it back."""
    with path.open("r+b") as file:
        file.seek(at)
        byte = file.read(1)[0]
        file.seek(at)
        file.write(bytes([byte ^ 1]))
