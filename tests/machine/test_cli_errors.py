"""Whatever is wrong is told in one line with a code, and leaves everything as it was."""

import shutil
from pathlib import Path
from typing import Any

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

LONG = "x" * 64
RUN = ("run", "-d", "--name", "new")
INSERT = ("insert", "sniffer", "--before")

REFUSED: dict[str, list[tuple[str, ...]]] = {
    "invalid": [
        (*RUN, "--memory", "1M", "base"),
        (*RUN, "--memory", "lots", "base"),
        (*RUN, "--memory", "2000T", "base"),
        (*RUN, "--cpus", "0", "base"),
        (*RUN, "--cpus", "65", "base"),
        (*RUN, "--profile", "pc", "base"),
        (*RUN, "-e", "=value", "base"),
        (*RUN, "--rm", "--restart", "always", "base"),
        (*RUN, "-p", "70000:80", "base"),
        (*RUN, "-v", "data", "base"),
        (*RUN,),
        ("run", "-d", "--name", "New", "base"),
        ("run", "-d", "--name", LONG, "base"),
        ("run", "-d", "--name", "../new", "base"),
        ("network", "create", "lan", "--subnet", "10.0.0.1/24"),
        ("network", "create", "lan", "--subnet", "10.0.0.0/30"),
        ("network", "create", "lan", "--subnet", "fd00::/64"),
        ("network", "create", "lan", "--subnet", "10.87.0.0/16"),
        ("network", "create", "lan", "--mtu", "10"),
        ("network", "create", "lan", "--mtu", "many"),
        ("network", "create", "LAN"),
        (*INSERT, "web:x"),
        (*INSERT, "web", "--name", "Eye"),
        (*INSERT, "web", "--memory", "1M"),
        (*INSERT, "web", "--for", "never"),
        (*INSERT, "web", "--for", "0s"),
        (*INSERT, "web", "--at", "-1"),
        (*INSERT, "web", "--mode", "routed"),
        (*INSERT, "web", "--fail", "safe"),
        ("insert", "sniffer"),
        ("insert", "base", "--before", "web"),
        ("policy", "eye", "ajar"),
        ("inspect", ""),
        ("inspect", "../web"),
        ("network", "inspect", "a/b"),
        ("exec", "web"),
        ("logs", "--tail", "-1", "web"),
        ("ps", "--format", "xml"),
        ("ps", "--nonsense"),
        ("nonsense",),
        ("network", "nonsense"),
        ("kernel", "import", "/etc/passwd"),
        ("kernel", "import", "/nowhere"),
    ],
    "not-found": [
        (*RUN, "nothing"),
        (*RUN, "--kernel", "nothing", "base"),
        (*RUN, "--network", "nothing", "base"),
        ("inspect", "nobody"),
        ("logs", "nobody"),
        ("exec", "nobody", "--", "true"),
        ("exec", "web", "--", "no-such-program"),
        ("console", "nobody"),
        ("wait", "nobody"),
        *((verb, "nobody") for verb in ("start", "stop", "restart", "kill", "rm", "eject", "links", "sniff")),
        ("policy", "nobody", "open"),
        (*INSERT, "nobody"),
        (*INSERT, "web:1"),
        (*INSERT, "web:99"),
        ("network", "rm", "nothing"),
        ("network", "inspect", "nothing"),
        ("image", "rm", "nothing"),
        ("image", "build", "/nowhere"),
    ],
    "exists": [
        ("run", "-d", "--name", "web", "base"),
        ("network", "create", "default"),
        (*INSERT, "web", "--name", "client"),
    ],
    "wrong-state": [
        ("start", "web"),
        ("rm", "web"),
        ("network", "rm", "default"),
        ("image", "rm", "web"),
    ],
}


def state(fabric: TestFabric) -> dict[str, Any]:
    """All there is in a fabric, without what changes by itself."""
    machines = [{key: value for key, value in one.items() if key != "resident"} for one in fabric.json("ps", "-a")]
    return {
        "machines": machines,
        "networks": fabric.json("network", "ls"),
        "ports": fabric.client.ports(),
        "images": fabric.client.images(),
        "kernels": fabric.client.kernels(),
        "folders": sorted(str(path) for kind in ("machines", "networks") for path in (fabric.home / kind).iterdir()),
        "processes": sorted(line.split(":")[0] for line in fabric.leftovers()),
    }


@pytest.mark.parametrize("code", REFUSED)
def test_what_is_wrong_is_refused_in_one_line_and_changes_nothing(room: TestFabric, code: str) -> None:
    before = state(room)
    told = {args: room.refusal(*args) for args in REFUSED[code]}
    assert {args: said for args, said in told.items() if said != code} == {}
    assert state(room) == before


def test_a_wrong_name_is_put_right(room: TestFabric) -> None:
    assert b"(did you mean client?)" in room.run("inspect", "clint", check=False).stderr


def test_one_that_fails_does_not_keep_the_others(room: TestFabric) -> None:
    for name in ("one", "two"):
        room.run("run", "-d", "--no-wait", "--name", name, "base")
    done = room.run("rm", "-f", "one", "nobody", "two", check=False)
    assert done.returncode == 1
    assert done.stderr.decode().splitlines() == ["weft: not-found: machine 'nobody' does not exist"]
    assert {one["name"] for one in room.json("ps", "-a")} == {"web", "client"}


def test_what_stands_in_the_way_of_a_machine_is_no_machine_to_remove(room: TestFabric) -> None:
    room.run("insert", "sniffer", "--before", "web", "--name", "eye")
    done = room.run("rm", "-f", "eye", check=False)
    assert done.stderr == b"weft: wrong-state: machine 'eye' is an insert at web:0 (weft eject eye)\n"
    assert room.chain("web") == [("eye", "active")]
    assert room.refusal(*INSERT, "web", "--name", "eye") == "exists"
    room.run("eject", "eye")
    assert room.refusal("eject", "eye") == "not-found"


def test_a_machine_that_does_not_run_has_no_programs_and_no_console(room: TestFabric) -> None:
    room.run("run", "-d", "--name", "idle", "base")
    room.run("stop", "idle")
    for args in (("exec", "idle", "--", "true"), ("console", "idle")):
        assert room.refusal(*args) == "wrong-state"
    room.run("stop", "idle")
    room.run("rm", "idle")


def test_a_parked_appliance_too_small_for_a_networks_frames_must_start_again_first(room: TestFabric) -> None:
    room.run("insert", "sniffer", "--before", "web", "--name", "eye")
    room.run("eject", "--keep", "eye")
    room.run("network", "create", "fat", "--mtu", "9000")
    room.run("run", "-d", "--name", "big", "--network", "fat", "base")
    assert room.refusal("insert", "eye", "--before", "big") == "wrong-state"
    assert room.chain("big") == []
    room.run("restart", "eye")
    room.run("insert", "eye", "--before", "big")
    assert "2 packets received" in room.exec("big", "ping", "-c", "2", "-W", "2", "-s", "8972", "10.87.1.1")
    room.run("rm", "-f", "big")
    room.run("network", "rm", "fat")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    return tmp_path / "home"


def no_daemon(fabric: TestFabric, words: str) -> None:
    """Commands say why the daemon does not start: one line, then the end of its log."""
    done = fabric.run("ps", check=False)
    first, *detail = done.stderr.decode().splitlines()
    assert done.returncode == 1
    assert first.startswith(f"weft: unavailable: the daemon of {fabric.home} ended with status 1")
    assert detail and all(line.startswith("    ") for line in detail)
    assert words in detail[-1], detail


def test_a_daemon_that_cannot_start_says_why_and_breaks_nothing(home: Path) -> None:
    fabric = TestFabric(home)
    settings, store = home / "weft.toml", home / "weft.db"
    settings.write_text("boot_timeout = -1\ncolour = 7\n")
    no_daemon(fabric, "boot_timeout: Input should be greater than 0; colour: ")
    settings.write_text("boot_timeout = ")
    no_daemon(fabric, str(settings))
    settings.unlink()
    store.write_bytes(b"no database" * 1000)
    no_daemon(fabric, f"store {store}: file is not a database")
    assert store.read_bytes() == b"no database" * 1000
    store.unlink()
    assert fabric.json("ps") == []
    fabric.close()


def test_a_home_that_is_no_folder_is_refused(tmp_path: Path) -> None:
    fabric = TestFabric(tmp_path / "home")
    shutil.rmtree(fabric.home)
    fabric.home.write_text("")
    assert fabric.refusal("ps") == "unavailable"


def test_a_home_may_be_deeper_than_a_sockets_name(tmp_path: Path) -> None:
    with open_fabric(tmp_path / ("deep" * 30) / "home") as fabric:
        fabric.run("run", "-d", "--name", "box", "base")
        assert fabric.exec("box", "hostname") == "box\n"
        with fabric.client.open_console("box"):
            pass
        fabric.run("rm", "-f", "box")


def test_a_daemon_that_does_not_run_is_not_started_to_end_it(home: Path) -> None:
    fabric = TestFabric(home)
    assert fabric.refusal("shutdown") == "unavailable"
    assert not (home / "weft.sock").exists()
    assert "not running" in fabric.text("version")
    fabric.run("ps")
    fabric.run("shutdown", "--machines")
    wait_for(lambda: not fabric.leftovers(), "nothing is left", say=fabric.leftovers)
