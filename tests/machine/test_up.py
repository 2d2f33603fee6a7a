"""The server room of the examples from nothing: a daemon that dies on the way, traffic, changes, a failure, the end."""

import subprocess
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.machine.fabrics import PATIENCE, WEFT, TestFabric, open_fabric, wait_for

from weft.client import Client

EXAMPLE = Path(__file__).parents[2] / "examples" / "server-room.yaml"
BROKEN = 'name = "broken"\nversion = "1"\npackages = ["no-such-package-anywhere"]\n'
MORE = """
      late: {image: base, memory: 48M, networks: [lan]}
      odd: {build: ./broken, memory: 48M, networks: [lan], after: late}

    volumes:"""


class ServerRoom:
    """The fabric, the file, and what is asked of the machines."""

    def __init__(self, fabric: TestFabric, folder: Path) -> None:
        self.fabric = fabric
        self.client = Client(fabric.home, room="acme")
        self.file = folder / "weft.yaml"
        text = EXAMPLE.read_text().replace("8080:80", "80")
        self.file.write_text(text.replace("../appliances", str(EXAMPLE.parents[1] / "appliances")))

    def change(self, old: str, new: str) -> None:
        text = self.file.read_text()
        assert text.count(old) == 1, (old, text)
        self.file.write_text(text.replace(old, new))

    def start(self, *args: str) -> "subprocess.Popen[str]":
        """`weft ARGS` in the file's folder."""
        argv = [str(WEFT), "--home", str(self.fabric.home), *args]
        pipes: dict[str, Any] = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen(argv, cwd=self.file.parent, text=True, **pipes)

    def weft(self, *args: str, status: int = 0, patience: float = 600) -> str:
        """What it says when it ends so, within some seconds."""
        process = self.start(*args)
        out, err = process.communicate(timeout=patience)
        assert process.returncode == status, out + err
        return out + err

    def exec(self, machine: str, script: str, room: str = "acme") -> str:
        """What a script prints in a machine, whatever its end."""
        argv = [*self.fabric.argv, "--room", room, "exec", machine, "--", "sh", "-c", script]
        return subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False).stdout

    def pids(self) -> dict[str, int]:
        return {view["name"]: view["pid"] for view in self.client.machines(all=True)}

    def fetch(self, url: str) -> str:
        """A page, from the client's machine; nothing, if it does not come soon."""
        return self.exec("client", f"timeout 5 wget -q -O - {url}")


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServerRoom]:
    folder = tmp_path_factory.mktemp("server-room")
    with open_fabric(folder / "home") as fabric:
        yield ServerRoom(fabric, folder)


def test_a_daemon_that_dies_on_the_way_is_gone_on_from(room: ServerRoom) -> None:
    first = room.start("up")
    wait_for(lambda: room.fabric.client.machines(all_rooms=True), "a machine starts")
    room.fabric.kill_daemon()
    assert first.communicate(timeout=PATIENCE) and first.returncode == 1
    room.weft("up")
    assert {view["name"]: view["state"] for view in room.client.machines(all=True)} == dict.fromkeys(
        ("client", "directory", "files", "fw", "web"), "running"
    )


def test_people_reach_what_they_are_to_reach(room: ServerRoom) -> None:
    wait_for(lambda: "<html" in room.fetch("http://www.acme.test/"), "the web server, by its name")
    put = "echo hello >/tmp/it; timeout 5 wget -q -O - --post-file=/tmp/it http://files.acme.test/cgi-bin/put/it"
    wait_for(lambda: room.exec("client", put) == "it\n", "the file server takes a file")
    assert room.fetch("http://files.acme.test/files/it") == "hello\n"
    assert "files.acme.test" in room.exec("client", "nslookup -type=srv _http._tcp.acme.test")
    assert room.fetch("http://10.20.2.10:81/") == ""


def test_the_world_reaches_the_web_server_and_the_dmz_reaches_nobody(room: ServerRoom) -> None:
    (port,) = room.client.machine("fw")["ports"]
    with urllib.request.urlopen(f"http://127.0.0.1:{port['host_port']}/", timeout=10) as answer:
        assert b"<html" in answer.read()
    assert room.exec("web", "timeout 3 wget -q -O - http://10.20.1.20/") == ""


def test_a_second_up_finds_nothing_to_do(room: ServerRoom) -> None:
    before = room.pids()
    assert room.weft("up") == "nothing to do\n"
    assert room.pids() == before


def test_a_live_change_is_made_live(room: ServerRoom) -> None:
    before = room.pids()
    room.change("- accept lan -> dmz tcp port 80 name web", "- reject lan -> dmz tcp port 80 name web")
    assert "acme machine fw: configured" in room.weft("up")
    assert room.fetch("http://www.acme.test/") == ""
    room.change("- reject lan -> dmz tcp port 80 name web", "- accept lan -> dmz tcp port 80 name web")
    room.weft("up")
    assert "<html" in room.fetch("http://www.acme.test/")
    assert room.pids() == before


def test_a_restart_is_asked_for_and_is_of_one_machine(room: ServerRoom) -> None:
    before = room.pids()
    room.change("build: ../appliances/web".replace("..", str(EXAMPLE.parents[1])), "image: web\n        env: {A: b}")
    assert "wrong-state: this would restart web (--yes" in room.weft("up", status=1)
    assert room.pids() == before
    assert "acme machine web: changed" in room.weft("up", "--yes")
    after = room.pids()
    assert after.pop("web") != before.pop("web") and after == before
    wait_for(lambda: "<html" in room.fetch("http://www.acme.test/"), "the web server is there again")


def test_what_fails_is_told_and_gone_on_from_once_it_is_mended(room: ServerRoom) -> None:
    broken = room.file.parent / "broken"
    broken.mkdir()
    (broken / "recipe.toml").write_text(BROKEN)
    room.change("\n    volumes:", MORE)
    said = room.weft("up", status=1)
    assert "image broken: build failed" in said and "acme machine late: started" in said
    assert "acme machine odd: create was left out" in said and "1 of 5 steps failed" in said
    room.change("{build: ./broken", "{image: base")
    assert "acme machine odd: started" in room.weft("up")
    assert room.weft("up") == "nothing to do\n"


def test_what_is_named_no_more_goes_and_what_no_file_named_stays(room: ServerRoom) -> None:
    room.client.create_machine({"name": "mine", "image": "base", "nics": []}, start=False)
    room.change(MORE.replace("{build: ./broken", "{image: base"), "\n    volumes:")
    room.weft("up")
    assert set(room.pids()) == {"client", "directory", "files", "fw", "web", "mine"}
    room.client.remove_machine("mine")


def test_mistakes_are_told_by_their_lines_and_nothing_is_touched(room: ServerRoom) -> None:
    good = room.file.read_text()
    room.change("memory: 48M\n        networks: {dmz: 10.20.2.10}", "memory: 4T\n        networks: {dmz: 10.99.0.1}")
    said = room.weft("up", status=2).splitlines()
    assert len(said) >= 3 and all(line.startswith("weft.yaml:") for line in said[:-1])
    assert said[-1].startswith("weft: invalid: weft.yaml has ")
    room.file.write_text(good)
    assert room.weft("up") == "nothing to do\n"


def test_down_leaves_the_volume_and_then_nothing(room: ServerRoom) -> None:
    room.weft("down")
    assert room.pids() == {} and [view["name"] for view in room.client.volumes()] == ["files"]
    assert "this would lose all that is on volume files" in room.weft("down", "--volumes", status=1)
    room.weft("down", "--volumes", "--yes")
    assert [view["name"] for view in room.client.rooms()] == ["default"]


def test_ten_customers_with_the_same_addresses(room: ServerRoom) -> None:
    path = str(EXAMPLE.with_name("many-rooms.yaml"))
    room.weft("up", path, patience=1200)
    views = room.client.rooms()
    customers = [view["name"] for view in views if view["name"] != "default"]
    assert len(customers) == 10 and sum(view["running"] for view in views) == 50
    put = "echo bolts >/tmp/it; timeout 5 wget -q -O - --post-file=/tmp/it http://10.20.1.20/cgi-bin/put/it"
    wait_for(lambda: room.exec("client", put, room="bolt") == "it\n", "a customer's file server takes a file")
    page = "timeout 5 wget -qO- http://www.office.test/"
    for name in customers:
        wait_for(lambda name=name: "<html" in room.exec("client", page, room=name), f"a page in {name}")  # type: ignore[misc]
        kept = room.exec("client", "timeout 5 wget -qO- http://10.20.1.20/", room=name)
        assert kept.split() == (["it"] if name == "bolt" else [])
    assert room.weft("up", path) == "nothing to do\n"
    room.weft("down", path, patience=900)
    assert [view["name"] for view in room.client.rooms()] == ["default"]
