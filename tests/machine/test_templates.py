"""Machines that go on from a template: they are as if they had booted, and nobody but themselves."""

import re
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from benchmarks.harness.appliance import add_appliance
from tests.machine.fabrics import TestFabric, open_fabric, wait_for
from tests.machine.pings import pinging

WHO = """
cat /etc/hostname /etc/machine-id /proc/sys/kernel/random/boot_id /sys/class/net/eth0/address
hostname; ip -o -4 addr show eth0 | sed 's/.*inet //; s,/.*,,'
head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n'; echo; cat /proc/sys/kernel/random/uuid
"""
LOOK = """
echo "args $*"; pwd; id -un; env | grep -v HOSTNAME | sort; mount | sed 's/(.*//' | sort; cat /etc/resolv.conf
ip -o addr show eth0 | grep -c 'inet '; ip route | sed 's/ src.*//' | sort; cat /etc/hosts | sed "s/$(hostname)/ME/"
touch /x 2>/dev/null && echo writable || echo read-only; ls /sys/block | sort; cat /proc/cmdline | tr ' ' '\\n' | sort
cat /proc/sys/net/ipv4/ip_forward; ulimit -n; ls -d /proc/[0-9]* | wc -l >/dev/null
"""


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """A fabric with templates of `web`, of `base`, and of a `sniffer` with its two sides."""
    with open_fabric(tmp_path_factory.mktemp("templates") / "home") as fabric:
        shutil.rmtree(fabric.home / "templates", ignore_errors=True)
        for image in ("web", "base", "sniffer"):
            fabric.run("template", "create", image)
        yield fabric


def origin(fabric: TestFabric, machine: str) -> str:
    return str(fabric.json("inspect", machine)["origin"])


def key_of(fabric: TestFabric, image: str) -> str:
    """Of the template for machines as the image says. One that is there stays as it is."""
    return fabric.text("template", "create", image).strip()


def test_machines_of_one_template_are_different_machines(fabric: TestFabric) -> None:
    names = ("one", "two", "three")
    for name in names:
        fabric.run("run", "-d", "--name", name, "base")
        assert origin(fabric, name) == f"template {key_of(fabric, 'base')}"
    said = {name: fabric.exec(name, "sh", "-c", WHO).split() for name in names}
    for name in names:
        (network,) = fabric.json("inspect", name)["networks"]
        assert [said[name][n] for n in (0, 3, 4, 5)] == [name, network["mac"], name, network["address"]]
    for what in zip(*said.values(), strict=True):
        assert len(set(what)) == len(names), what
    assert fabric.exec("one", "ping", "-c", "1", "-W", "5", "two")
    assert next(view for view in fabric.json("template", "ls") if view["image"] == "base")["machines"] == 3


def test_what_it_is_told_is_as_if_it_had_booted(fabric: TestFabric) -> None:
    options = ["-e", "A=b c", "-w", "/tmp", "-u", "nobody", "--tmpfs", "/scratch:size=1M", "--hostname", "me",
               "--entrypoint", "/bin/sh"]  # fmt: skip
    told = {}
    for name, extra in (("cold", ["--cold"]), ("warm", []), ("cold-ro", ["--cold", "--read-only"]),
                        ("warm-ro", ["--read-only"])):  # fmt: skip
        told[name] = fabric.text("run", "--name", name, *extra, *options, "base", "--", "-c", LOOK, "sh", "x", "y z")
        assert bool(origin(fabric, name)) == name.startswith("warm"), fabric.json("inspect", name)
    assert "args x y z\n/tmp\nnobody\nA=b c\n" in told["warm"]
    assert told["warm"] == told["cold"]
    assert told["warm-ro"] == told["cold-ro"] and "read-only" in told["warm-ro"]


def test_each_start_goes_on_from_the_template(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "again", "web")
    before = fabric.exec("again", "sh", "-c", "echo x >/tmp/left; cat /proc/sys/kernel/random/boot_id /etc/machine-id")
    fabric.run("restart", "again")
    assert origin(fabric, "again") == f"template {key_of(fabric, 'web')}"
    after = fabric.exec("again", "sh", "-c", "ls /tmp; cat /proc/sys/kernel/random/boot_id /etc/machine-id")
    assert after.split()[0] != before.split()[0] and after.split()[1] == before.split()[1]
    assert "SERVED" in fabric.exec("again", "sh", "-c", "wget -qO /dev/null http://127.0.0.1/ && echo SERVED")


def test_an_insert_goes_on_from_one_and_carries_what_flows(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "site", "web")
    fabric.run("run", "-d", "--name", "user", "base")

    def through() -> int:
        return int(fabric.exec("eye", "cat", "/sys/class/net/eth1/statistics/rx_packets"))

    with pinging(fabric, "user", "site") as echoes:
        fabric.run("insert", "sniffer", "--before", "site", "--name", "eye")
        assert origin(fabric, "eye") == f"template {key_of(fabric, 'sniffer')}"
        before = through()
        wait_for(lambda: through() > before + 5, "frames go through the sniffer")
    echoes.check_all()
    fabric.run("eject", "eye")


def test_an_appliance_has_its_settings_and_its_floppy(fabric: TestFabric, tmp_path: Path) -> None:
    add_appliance(fabric.home)
    fabric.run("run", "-d", "--name", "gate", "--set", "lan.mtu=1400", "gate")
    assert origin(fabric, "gate") == f"template {key_of(fabric, 'base')}", "its root is that of base"
    floppy = str(tmp_path / "floppy.img")
    fabric.run("floppy", "create", floppy)
    fabric.run("floppy", "write", floppy, "settings.toml", input=b"lan.mtu = 1300\nhostname = 'tor'\n")
    fabric.run("floppy", "write", floppy, "keys/id", input=b"s3cret")
    fabric.run("template", "create", "gate", "--floppy")
    fabric.run("run", "-d", "--name", "plain", "--set", "lan.mtu=1400", "gate")
    fabric.run("run", "-d", "--name", "floppied", "--floppy", floppy, "gate")
    mtu = {name: fabric.exec(name, "cat", "/sys/class/net/eth0/mtu").strip() for name in ("gate", "plain", "floppied")}
    assert mtu == {"gate": "1400", "plain": "1400", "floppied": "1300"}
    assert fabric.exec("floppied", "cat", "/media/floppy/keys/id", "/etc/hostname") == "s3crettor\n"
    origins = {origin(fabric, name) for name in ("plain", "floppied")}
    assert len(origins) == 2 and "" not in origins
    fabric.run("stop", "plain")
    fabric.run("start", "--failsafe", "plain")
    assert origin(fabric, "plain") == ""


def test_an_appliances_first_machine_boots_and_its_second_goes_on(fabric: TestFabric) -> None:
    fabric.run("image", "tag", "web", "shop")
    fabric.run("run", "-d", "--name", "shop-1", "--memory", "72M", "shop")
    assert origin(fabric, "shop-1") == ""
    wait_for(lambda: len(fabric.json("template", "ls")) and _has(fabric, "shop"), "a template is made beside")
    fabric.run("run", "-d", "--name", "shop-2", "--memory", "72M", "shop")
    assert origin(fabric, "shop-2").startswith("template ")
    wait_for(lambda: not any("mould" in view["name"] for view in fabric.json("ps", "-a")), "its mould is gone")


def _has(fabric: TestFabric, image: str) -> bool:
    return any(view["image"] == image for view in fabric.json("template", "ls"))


def spoil_memory(folder: Path) -> None:
    with (folder / "moment" / "memory").open("r+b") as file:
        file.seek(2 << 20)
        file.write(b"damaged")


def test_a_damaged_template_is_thrown_away_and_the_machine_boots(fabric: TestFabric) -> None:
    view = json_of(fabric.run("template", "create", "base", "--memory", "80M", "--format", "json").stdout)
    spoil_memory(fabric.home / "templates" / view["key"])
    fabric.end_daemon()
    fabric.run("run", "-d", "--name", "careful", "--memory", "80M", "base")
    assert origin(fabric, "careful") == "" and fabric.exec("careful", "hostname") == "careful\n"
    (event,) = fabric.events("template.failed")
    assert event["subject"] == view["key"]


def test_a_machine_that_cannot_go_on_boots_instead(fabric: TestFabric) -> None:
    view = json_of(fabric.run("template", "create", "web", "--memory", "88M", "--format", "json").stdout)
    folder = fabric.home / "templates" / view["key"] / "moment"
    state = (folder / "device").read_bytes()
    assert state.startswith(b"QEVM")
    rewrite(folder, state.replace(b"virtio-net", b"virtio-not"))
    fabric.end_daemon()
    fabric.run("run", "-d", "--name", "stubborn", "--memory", "88M", "web")
    seen = fabric.json("inspect", "stubborn")
    assert (seen["origin"], seen["state"]) == ("", "running") and view["key"] in seen["reason"]
    assert fabric.exec("stubborn", "hostname") == "stubborn\n"
    assert any(event["subject"] == view["key"] for event in fabric.events("template.failed"))
    assert fabric.json("template", "ls") and not any(one["key"] == view["key"] for one in fabric.json("template", "ls"))


def rewrite(folder: Path, state: bytes) -> None:
    """Another device state, sealed as if it had been saved so."""
    from weft.host.blocks import sum_bytes
    from weft.host.sealed import Head

    head = json_of((folder / "moment.json").read_bytes().splitlines()[0])
    head["pieces"]["device"] = {"size": len(state), "sum": sum_bytes(state)}
    (folder / "device").write_bytes(state)
    (folder / "moment.json").write_bytes(Head.model_validate(head).dump())


def json_of(data: bytes) -> Any:
    import json

    return json.loads(data)


def test_a_strict_room_makes_its_own(fabric: TestFabric) -> None:
    fabric.run("room", "create", "bank", "--isolation", "strict")
    room = TestFabric.__new__(TestFabric)
    room.home, room.argv, room.client = fabric.home, [*fabric.argv, "--room", "bank"], fabric.client
    assert room.json("template", "ls") == []
    key = room.text("template", "create", "base").strip()
    assert key == key_of(fabric, "base") and room.json("template", "inspect", key)["room"] == "bank"
    room.run("run", "-d", "--name", "vault", "base")
    fabric.run("run", "-d", "--name", "outside", "base")
    inodes = {find_memory(room, "vault"), find_memory(fabric, "outside")}
    assert len(inodes) == 2
    fabric.run("run", "-d", "--name", "beside", "base")
    assert find_memory(fabric, "beside") == find_memory(fabric, "outside")
    fabric.run("room", "rm", "-f", "bank")


def find_memory(fabric: TestFabric, machine: str) -> int:
    """The inode of the memory that a machine goes on from."""
    pid = fabric.json("inspect", machine)["pid"]
    maps = Path(f"/proc/{pid}/maps").read_text()
    found = re.search(r"^\S+ rw-p \S+ \S+ (\d+) +/memfd:weft-memory", maps, re.MULTILINE)
    assert found, maps
    return int(found[1])


def test_a_mould_that_a_daemon_left_is_ended(fabric: TestFabric) -> None:

    making = fabric.start("template", "create", "base", "--memory", "96M")
    record = fabric.home / "mould" / "machines" / "template.mould" / "process.json"
    wait_for(record.exists, "its mould runs")
    fabric.kill_daemon()
    making.communicate(timeout=60)
    wait_for(lambda: fabric.json("template", "ls"), "the next daemon is there")
    wait_for(lambda: not record.exists(), "its record is gone")
    wait_for(lambda: not [line for line in fabric.leftovers() if "template.mould" in line], "its processes are gone")
    assert not any(view["memory"] == 96 << 20 for view in fabric.json("template", "ls"))
