"""Pools on real machines: copies are held, become machines and inserts at once, and survive the daemon."""

import os
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """A fabric with the machines `client` and `web`, and pools of sniffers and of the plain image."""
    with open_fabric(tmp_path_factory.mktemp("pools") / "home") as fabric:
        fabric.run("run", "-d", "--name", "web", "web")
        fabric.run("run", "-d", "--name", "client", "base")
        fabric.run("pool", "set", "sniffer", "1")
        fabric.run("pool", "set", "base", "1")
        yield fabric


def held(room: TestFabric, image: str) -> list[dict[str, Any]]:
    """Copies of an image that are nobody yet."""
    return [one for one in room.json("ps", "-a") if one["state"] == "pooled" and one["image"] == image]


def wait_held(room: TestFabric, image: str) -> dict[str, Any]:
    """The copy of an image, once it is ready."""
    return dict(
        wait_for(lambda: held(room, image), f"a copy of {image} is ready", say=lambda: room.json("pool", "ls"))[0]
    )


def test_a_copy_is_shown_and_costs_no_processor(room: TestFabric) -> None:
    copy = wait_held(room, "sniffer")
    assert re.fullmatch(r"pool\.sniffer-\d+", copy["name"])
    assert copy["name"] not in [machine["name"] for machine in room.json("ps")]
    assert [(pool["image"], pool["ready"], pool["size"]) for pool in room.json("pool", "ls")] == [
        ("base", 1, 1),
        ("sniffer", 1, 1),
    ]
    before = cpu_ticks(copy["pid"])
    room.run("version")
    assert cpu_ticks(copy["pid"]) - before <= 2


def cpu_ticks(pid: int) -> int:
    """What a process and its children have used."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    fields = [Path(f"/proc/{one}/stat").read_text().rpartition(")")[2].split() for one in pids]
    return sum(int(field[11]) + int(field[12]) for field in fields)


def test_an_insert_takes_the_copy_and_no_packet_is_lost(room: TestFabric) -> None:
    copy = wait_held(room, "sniffer")
    pinging = room.start("exec", "client", "--", "ping", "-c", "100", "-i", "0.03", "-W", "2", "web")
    room.run("insert", "sniffer", "--before", "web", "--name", "eye")
    assert room.chain("web") == [("eye", "active")]
    eye = room.json("inspect", "eye")
    assert is_same_process(copy["pid"], eye["pid"])
    assert eye["origin"].startswith("template")
    assert room.exec("eye", "hostname").strip() == "eye"
    output = pinging.communicate(timeout=60)[0].decode()
    assert "100 packets transmitted, 100 packets received" in output
    assert wait_held(room, "sniffer")["pid"] != copy["pid"], "another one is ready"
    room.run("eject", "eye")
    wait_for(lambda: not Path(f"/proc/{eye['pid']}").exists(), "its QEMU ends")


def is_same_process(monitor: int, qemu: int) -> bool:
    """Whether a machine's QEMU is in the walls that a copy was in."""
    children = Path(f"/proc/{monitor}/task/{monitor}/children")
    return monitor == qemu or str(qemu) in children.read_text().split()


def test_a_machine_is_somebody_of_its_own_on_its_network(room: TestFabric) -> None:
    first = wait_held(room, "base")
    room.run("run", "-d", "--name", "one", "-e", "WHO=one", "base", "sleep", "1000")
    second = wait_held(room, "base")
    room.run("run", "-d", "--name", "two", "base")
    views = [room.json("inspect", name) for name in ("one", "two")]
    assert is_same_process(first["pid"], views[0]["pid"])
    assert is_same_process(second["pid"], views[1]["pid"])
    for name in ("one", "two"):
        report = room.exec("client", "ping", "-c", "2", "-W", "2", name, check=False)
        assert "2 packets received" in report, report
    for what in (
        "cat /sys/class/net/eth0/address",
        "cat /proc/sys/kernel/random/boot_id",
        "head -c 32 /dev/urandom | md5sum",
    ):
        assert room.exec("one", "sh", "-c", what) != room.exec("two", "sh", "-c", what), what
    assert room.exec("one", "cat", "/sys/class/net/eth0/address").strip() == views[0]["networks"][0]["mac"]
    assert "WHO=one" in room.exec("one", "sh", "-c", "tr '\\0' '\\n' < /proc/$(pidof sleep)/environ")
    room.run("restart", "one")
    assert room.exec("one", "hostname").strip() == "one"
    room.run("rm", "-f", "one", "two")


def test_a_machine_from_a_pool_is_copied_and_suspended_like_any_other(room: TestFabric) -> None:
    copy = wait_held(room, "base")
    room.run("run", "-d", "--name", "one", "base", "sleep", "1000")
    assert is_same_process(copy["pid"], room.json("inspect", "one")["pid"])
    room.exec("one", "sh", "-c", "echo kept >/tmp/note")
    room.run("fork", "one", "--name", "other")
    assert room.exec("other", "sh", "-c", "cat /tmp/note; hostname") == "kept\nother\n"
    room.run("suspend", "one")
    room.run("resume", "one")
    assert room.exec("one", "sh", "-c", "cat /tmp/note; hostname") == "kept\none\n"
    room.run("rm", "-f", "one", "other")


def test_copies_survive_the_daemon_and_are_taken_by_the_next(room: TestFabric) -> None:
    copy = wait_held(room, "sniffer")
    room.kill_daemon()
    assert wait_held(room, "sniffer")["pid"] == copy["pid"]
    room.run("insert", "sniffer", "--before", "web", "--name", "eye")
    assert is_same_process(copy["pid"], room.json("inspect", "eye")["pid"])
    room.run("eject", "eye")


def test_a_copy_that_dies_is_replaced(room: TestFabric) -> None:
    copy = wait_held(room, "sniffer")
    os.kill(copy["pid"], signal.SIGKILL)
    wait_for(lambda: [one for one in held(room, "sniffer") if one["pid"] != copy["pid"]], "another is ready")


def test_a_machine_that_does_not_fit_boots(room: TestFabric) -> None:
    copy = wait_held(room, "base")
    room.run("run", "-d", "--name", "large", "--memory", "96M", "--cold", "base")
    assert room.json("inspect", "large")["origin"] == ""
    assert wait_held(room, "base")["pid"] == copy["pid"]
    room.run("rm", "-f", "large")


def test_nothing_is_left_of_a_pool_or_of_its_room(room: TestFabric) -> None:
    room.run("pool", "rm", "base")
    wait_for(lambda: not held(room, "base"), "its copy ends")
    assert room.refusal("pool", "rm", "base") == "not-found"
    room.run("room", "create", "acme")
    room.run("--room", "acme", "pool", "set", "sniffer", "1")
    (copy,) = room.json("--room", "acme", "ps", "-a")
    room.run("room", "rm", "acme")
    assert not Path(f"/proc/{copy['pid']}").exists()
    assert not [line for line in room.leftovers() if "acme" in line]
