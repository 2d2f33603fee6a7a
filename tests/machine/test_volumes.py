"""Volumes and folders of the host in real machines: what survives, who may have them, and what a guest cannot do."""

import json
import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

from weft.host.pids import ProcessId
from weft.model.errors import Invalid, WrongState

AS_ROOT = os.geteuid() == 0


def volume(source: str, target: str, **more: Any) -> dict[str, Any]:
    return {"kind": "volume", "source": source, "target": target, **more}


def folder(source: Path, target: str, **more: Any) -> dict[str, Any]:
    return {"kind": "host", "source": str(source), "target": target, **more}


def make(fabric: TestFabric, name: str, *mounts: dict[str, Any], image: str = "base", **more: Any) -> None:
    fabric.client.create_machine({"name": name, "image": image, "nics": [], "mounts": list(mounts), **more})


def kill_qemu(fabric: TestFabric, name: str) -> None:
    os.kill(fabric.client.machine(name)["pid"], signal.SIGKILL)
    wait_for(lambda: fabric.client.machine(name)["pid"] is None, "its death is noticed")


def test_what_was_flushed_survives_and_one_machine_writes(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "one", "--network", "none", "-v", "data:/srv/www:size=64M", "web")
    disk = fabric.home / "volumes" / "data" / "disk.img"
    assert (disk.stat().st_size, disk.stat().st_blocks * 512 < 8 << 20) == (64 << 20, True)
    assert "index.html" in fabric.exec("one", "ls", "/srv/www")  # the image's content is copied
    fabric.exec("one", "sh", "-c", "mkdir /srv/www/d; head -c 4000000 /dev/zero | dd of=/srv/www/d/f conv=fsync")
    fabric.kill_daemon()
    fabric.exec("one", "sh", "-c", "echo after >> /srv/www/d/g; sync")
    kill_qemu(fabric, "one")
    # Its journal has not been written back: a reader could not mount it as it is.
    make(fabric, "reader", volume("data", "/data", read_only=True))
    make(fabric, "another", volume("data", "/data", read_only=True))
    said = fabric.exec("another", "sh", "-c", "cat /data/d/g; wc -c < /data/d/f; touch /data/x 2>&1", check=False)
    assert said == "after\n4000000\ntouch: /data/x: Read-only file system\n"
    assert fabric.refusal("start", "one") == "wrong-state"
    assert fabric.refusal("volume", "rm", "data") == "wrong-state"
    assert fabric.refusal("volume", "resize", "data", "128M") == "wrong-state"
    fabric.run("rm", "-f", "reader", "another")
    assert fabric.text("volume", "resize", "data", "128M") == "data 128M\n"
    fabric.run("start", "one")
    assert int(fabric.exec("one", "df", "-m", "/srv/www").split()[8]) > 100
    assert fabric.exec("one", "cat", "/srv/www/d/g") == "after\n"
    with pytest.raises(WrongState, match="volume 'data' is being written by machine 'one'"):
        make(fabric, "two", volume("data", "/data"))
    fabric.run("rm", "-f", "one")
    assert fabric.text("volume", "prune") == "data\n"
    assert list((fabric.home / "volumes").iterdir()) == []


def test_what_an_image_wants_kept_stays_with_its_machine(fabric: TestFabric) -> None:
    manifest = fabric.home / "images" / "web" / "image.json"
    manifest.write_text(json.dumps(json.loads(manifest.read_text()) | {"volumes": ["/srv/www", "/var/cache"]}))
    make(fabric, "web", image="web")
    fabric.exec("web", "sh", "-c", "rm /srv/www/index.html; echo kept > /var/cache/x; echo lost > /var/x")
    fabric.run("restart", "web")
    assert (
        fabric.exec("web", "sh", "-c", "cat /var/cache/x; ls /var/x /srv/www/index.html 2>/dev/null; true") == "kept\n"
    )
    assert fabric.json("volume", "ls") == []
    fabric.run("rm", "-f", "web")
    assert not (fabric.home / "machines" / "web").exists()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[TestFabric, Path]]:
    """A machine with one folder of the host to write to and one to read, on each profile."""
    place = tmp_path_factory.mktemp("shared")
    for name in ("open", "closed"):
        (place / name).mkdir()
        (place / name / "host").write_text("from the host\n")
    with open_fabric(place / "home") as fabric:
        mounts = (folder(place / "open", "/open"), folder(place / "closed", "/closed", read_only=True))
        make(fabric, "small", *mounts)
        make(fabric, "big", *mounts, profile="q35", memory=128 << 20)
        yield fabric, place


@pytest.mark.parametrize("name", ["small", "big"])
def test_a_folder_of_the_host_is_seen_from_both_sides(shared: tuple[TestFabric, Path], name: str) -> None:
    fabric, place = shared
    made = place / "open" / name
    assert fabric.exec(name, "sh", "-c", f"cat /open/host; mkdir /open/{name}; echo hi > /open/{name}/file") == (
        "from the host\n"
    )
    assert (made / "file").read_text() == "hi\n"
    (made / "file").write_text("changed\n")
    wait_for(lambda: fabric.exec(name, "cat", f"/open/{name}/file") == "changed\n", "the change is seen")
    assert {(path.stat().st_uid, path.stat().st_gid) for path in (made, made / "file")} == {
        (os.geteuid(), os.getegid())
    }
    assert fabric.exec(name, "stat", "-c", "%u %g", f"/open/{name}/file") == "0 0\n"


def test_a_folder_to_read_is_not_written_to(shared: tuple[TestFabric, Path]) -> None:
    fabric, place = shared
    script = "cat /closed/host; echo x > /closed/host; mount -o remount,rw /closed; echo x > /closed/host"
    assert fabric.exec("small", "sh", "-c", f"({script}) 2>&1", check=False).count("Read-only file system") == 2
    assert (place / "closed" / "host").read_text() == "from the host\n"


def test_whoever_writes_in_the_guest_it_is_the_folders_owner_on_the_host(shared: tuple[TestFabric, Path]) -> None:
    fabric, place = shared
    (place / "open" / "all").mkdir()
    (place / "open" / "all").chmod(0o777)
    script = "id -u; echo x > /open/all/f && mkdir /open/all/d && echo made; echo x > /open/host || echo refused"
    with fabric.client.open_exec("small", ["sh", "-c", script], user="33:33") as session:
        said = b"".join(data for stream, data in session if stream == 1)
    assert said == b"33\nmade\nrefused\n"
    assert {path.stat().st_uid for path in (place / "open" / "all").iterdir()} == {os.geteuid()}


HOSTILE = r"""
cd /open
echo x > tool; chmod 4755 tool; chmod 2755 tool; mkdir -m 2777 set
mknod disk b 8 0; mknod null c 1 3
ln -s /etc/shadow out; ln -s ../../../../../../../../etc/passwd up
cat out up
chown 12345 tool
ls -a /open/../../.. > /tmp/top
"""


def test_a_hostile_guest_stays_in_the_folder(shared: tuple[TestFabric, Path]) -> None:
    fabric, place = shared
    (place / "outside").write_text("secret\n")
    fabric.exec("small", "sh", "-c", HOSTILE, check=False)
    states = {path.name: path.lstat() for path in (place / "open").iterdir()}
    assert not {"disk", "null"} & set(states)
    assert not [name for name, state in states.items() if state.st_mode & 0o6000]
    assert {state.st_uid for state in states.values()} == {os.geteuid()}
    # Its links are its own to follow: they lead to the guest's files, not to the host's.
    assert fabric.exec("small", "cat", "/open/up") == fabric.exec("small", "cat", "/etc/passwd")
    assert fabric.exec("small", "sh", "-c", "cat /open/../outside", check=False) == ""


def test_a_file_server_sees_its_folder_alone_and_has_no_power(shared: tuple[TestFabric, Path]) -> None:
    fabric, _ = shared
    servers = find_servers(fabric, "small")
    assert len(servers) == 2
    for server in servers:
        status = dict(line.split(":\t", 1) for line in Path(f"/proc/{server.pid}/status").read_text().splitlines())
        assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
        for kind in ("user", "net", "mnt", "pid", "ipc"):
            assert not Path(f"/proc/{server.pid}/ns/{kind}").samefile(f"/proc/self/ns/{kind}")
        assert {path.name for path in Path(f"/proc/{server.pid}/root").iterdir()} >= {"host"}
        assert not Path(f"/proc/{server.pid}/root/usr").exists()


def test_files_are_flushed_and_live_as_long_as_they_are_open(shared: tuple[TestFabric, Path]) -> None:
    fabric, _ = shared
    gone = "cd /open; exec 3<>gone; rm gone; echo x >&3; stat -L /proc/self/fd/3 > /dev/null && echo there"
    assert fabric.exec("small", "sh", "-c", f"{gone}; dd if=/dev/zero of=f bs=1k count=1 conv=fsync") == "there\n"


def test_file_servers_outlive_the_daemon_and_end_with_their_machine(shared: tuple[TestFabric, Path]) -> None:
    fabric, _ = shared
    before = find_servers(fabric, "small")
    fabric.kill_daemon()
    assert fabric.exec("small", "cat", "/open/host") == "from the host\n"
    assert find_servers(fabric, "small") == before
    kill_qemu(fabric, "small")
    wait_for(lambda: not any(server.alive() for server in before), "they have ended")
    fabric.run("start", "small")
    assert fabric.exec("small", "cat", "/open/host") == "from the host\n"


def test_a_file_server_that_died_is_told(shared: tuple[TestFabric, Path]) -> None:
    fabric, _ = shared
    find_servers(fabric, "big")[0].send(signal.SIGKILL)
    (event,) = wait_for(lambda: fabric.events("machine.cut"), "it is told")
    assert (event["subject"], event["data"]) == ("big", {"folder": "/open"})
    assert fabric.exec("big", "cat", "/closed/host") == "from the host\n"
    fabric.run("kill", "big")


def test_a_folder_that_is_not_there_or_the_fabrics_own_is_refused(shared: tuple[TestFabric, Path]) -> None:
    fabric, place = shared
    with pytest.raises(Invalid, match="is not a folder of this host"):
        make(fabric, "bad", folder(place / "missing", "/x"))
    with pytest.raises(Invalid, match="the fabric's own"):
        make(fabric, "bad", folder(fabric.home / "machines", "/x"))
    assert {machine["name"] for machine in fabric.json("ps", "-a")} == {"small", "big"}


def find_servers(fabric: TestFabric, name: str) -> list[ProcessId]:
    """The file servers of a machine, by what is on record."""
    with sqlite3.connect(fabric.home / "weft.db") as store:
        (value,) = store.execute("select value from entries where key = ?", (f"machines/{name}",)).fetchone()
    stamps = json.loads(value)["servers"]
    return [child for stamp in stamps for child in ProcessId(stamp["pid"], stamp["start_time"]).children()]
