"""The file tree from inside a machine that was given it, mounted by Linux; and what others find in its place."""

from collections.abc import Iterator

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

GATEWAY = "10.87.0.1"
MOUNT = "mkdir -p /m && mount -t 9p -o trans=tcp,version=9p2000,port=5640,cache=none,noextend,aname=%s 10.87.0.1 /m"


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """`keeper` has its room, `guest` nothing; another room has a network."""
    with open_fabric(tmp_path_factory.mktemp("house") / "home") as fabric:
        fabric.run("run", "-d", "--name", "keeper", "--expose", "room", "base")
        fabric.run("run", "-d", "--name", "guest", "base")
        fabric.run("room", "create", "other")
        fabric.run("--room", "other", "network", "create", "theirs")
        sh(fabric, MOUNT % "room")
        yield fabric


def sh(fabric: TestFabric, script: str, *, machine: str = "keeper", check: bool = True) -> str:
    return fabric.exec(machine, "sh", "-c", script, check=check)


def test_a_room_is_looked_at_and_changed_from_inside(house: TestFabric) -> None:
    assert sh(house, "ls /m/machine").split() == ["clone", "guest", "keeper"]
    assert sh(house, "cat /m/machine/guest/status").split()[:2] == ["guest", "running"]
    sh(house, "echo insert sniffer name=ear mode=copy nowait >/m/machine/guest/port/0/ctl")
    assert sh(house, "cat /m/machine/guest/port/0/chain").split()[:2] == ["ear", "sniffer"]
    sh(house, "echo eject ear >/m/machine/guest/port/0/ctl")
    sh(house, "echo create inner subnet=10.9.0.0/24 >/m/network/ctl")
    assert "10.9.0.0/24" in sh(house, "cat /m/network/inner/status")
    sh(house, "rmdir /m/network/inner")
    assert [network["name"] for network in house.client.networks()] == ["default"]


def test_nothing_beyond_it_is_there(house: TestFabric) -> None:
    assert not {"room", "host", "image", "template"} & set(sh(house, "ls /m").split())
    assert "theirs" not in sh(house, "ls /m/network; cat /m/export /m/link")
    sh(house, "! echo create out uplink >/m/network/ctl", check=True)
    sh(house, "! printf 'image base\\nvolume /:/host\\ncreate\\n' >/m/clone")
    sh(house, "! echo update expose fabric >/m/machine/guest/ctl")
    assert house.json("inspect", "guest")["expose"] == []
    said = sh(house, "dmesg")  # Linux has no number for what a server says in words of its own
    assert "forbidden: machine 'keeper' cannot give a way out of the room" in said
    assert sh(house, f"! mount -t 9p -o trans=tcp,version=9p2000,port=5640,aname=fabric {GATEWAY} /mnt") == ""


def test_a_blocking_read_sees_what_happens_and_can_be_given_up(house: TestFabric) -> None:
    # Linux reads on until it has as much as was asked for, and a shell asks for a byte at a time.
    house.run("exec", "-d", "keeper", "--", "sh", "-c", "read -r line </m/event; echo $line >/tmp/seen; cat /m/event")

    def happen() -> bool:
        """Something does, as often as it takes until the reader has opened the file."""
        house.client.create_network({"name": "short"})
        house.client.remove_network("short")
        return len(sh(house, "cat /tmp/seen || true").split()) > 3

    wait_for(happen, "an event arrives, whichever is the first")
    wait_for(lambda: "cat" in sh(house, "ps -o comm").split(), "the reader goes on")
    sh(house, "killall -INT cat")
    wait_for(lambda: "cat" not in sh(house, "ps -o comm").split(), "the reader ends")
    assert "keeper" in sh(house, "cat /m/status")


def test_programs_of_linux_see_what_comes_as_it_comes(house: TestFabric) -> None:
    """They ask for much more than there is."""
    sh(house, f"mkdir -p /l; {MOUNT.replace('/m', '/l') % 'linux/room'}")
    house.run("exec", "-d", "keeper", "--", "sh", "-c", "cat /l/event >/tmp/all")
    house.run("exec", "-d", "keeper", "--", "sh", "-c", "grep -m1 'created short' /l/event >/tmp/one; echo >/tmp/done")

    def happen() -> list[str]:
        house.client.create_network({"name": "short"})
        house.client.remove_network("short")
        return sh(house, "grep -c 'removed short' /tmp/all; ls /tmp/done; true").split()

    wait_for(lambda: len(happen()) == 2 and int(happen()[0]) > 1, "both have seen it")
    assert "created short" in sh(house, "cat /tmp/one")
    assert sh(house, "head -c 4 /l/machine/guest/port/0/pcap | od -An -tx1").split() == ["0a", "0d", "0d", "0a"]
    script = "echo \"run sh -c 'echo one; cat'\" >ctl; read -r line <data; echo $line; echo two >data; echo eof >ctl"
    said = sh(house, f"n=$(cat /l/machine/guest/exec/clone); cd /l/machine/guest/exec/$n; {script}; cat data wait")
    assert said == "one\ntwo\nended 0 sh -c 'echo one; cat'\n"
    sh(house, "killall -INT cat")
    wait_for(lambda: "umounted" in sh(house, "umount /l && echo umounted || true"), "nobody reads any more")


def test_others_reach_nothing(house: TestFabric) -> None:
    script = f"timeout 2 nc {GATEWAY} 5640 </dev/null; echo $?"
    assert sh(house, script.replace("2", "30", 1)).strip() == "0"
    assert sh(house, script, machine="guest").strip() != "0"
    keeper, guest = (house.json("inspect", name)["networks"][0]["address"] for name in ("keeper", "guest"))
    change = "ip addr del %s/24 dev eth0 && ip addr add %s/24 dev eth0"
    forged = f"{change % (guest, keeper)}; {script}; {change % (keeper, guest)}"
    assert sh(house, forged, machine="guest").strip() != "0"
    wait_for(lambda: house.events("port.spoofed"), "it was noticed")


def test_a_snapshot_gives_nothing_back_that_was_taken_away(house: TestFabric) -> None:
    house.run("run", "-d", "--name", "past", "-p", "80", "base")
    house.run("snapshot", "create", "past", "old")
    sh(house, "echo restore name=twin >/m/snapshot/old/ctl")  # its original has that
    house.run("rm", "-f", "past", "twin")
    sh(house, "! echo restore >/m/snapshot/old/ctl")
    assert "forbidden: machine 'keeper' cannot give port any of the host to 80" in sh(house, "dmesg")
    assert "past" not in house.text("ps", "-a")
    house.run("snapshot", "rm", "old")


def test_who_may_look_only_changes_nothing(house: TestFabric) -> None:
    house.run("update", "--expose", "room:ro", "keeper")
    assert sh(house, "ls /m/machine 2>&1 || true").endswith("rror\n"), "what was mounted as more has ended"
    sh(house, f"umount /m; {MOUNT % 'room'}")
    assert "guest" in sh(house, "cat /m/machine/guest/status")
    sh(house, "! echo stop >/m/machine/guest/ctl")
    assert house.json("inspect", "guest")["state"] == "running"


def test_the_next_daemon_serves_it_too_until_it_is_taken_back(house: TestFabric) -> None:
    house.run("shutdown")
    house.run("ps")
    sh(house, f"umount /m; {MOUNT % 'room'}")
    assert "keeper" in sh(house, "cat /m/status")
    house.run("update", "--expose", "none", "keeper")
    sh(house, "! ls /m")
    sh(house, f"umount /m; ! timeout 2 nc {GATEWAY} 5640 </dev/null")
