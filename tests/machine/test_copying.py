"""Files in and out of real machines, and what is seen of machines from outside."""

import json
import os
import subprocess
import tarfile
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path

import pytest
from tests.machine.fabrics import TestFabric, wait_for

from weft.client.tarring import pack_tree


def make_tree(root: Path) -> Path:
    (root / "in").mkdir(parents=True)
    (root / "in" / "file").write_bytes(os.urandom(300_001))
    os.link(root / "in" / "file", root / "same")
    (root / "link").symlink_to("/nowhere")
    (root / "script").write_text("#!/bin/sh\n")
    (root / "script").chmod(0o750)
    with (root / "sparse").open("wb") as file:
        file.truncate(256 << 20)
        os.pwrite(file.fileno(), b"data" * 2000, 128 << 20)
    return root


def same(left: Path, right: Path) -> bool:
    done = subprocess.run(["diff", "-r", "--no-dereference", left, right], capture_output=True, check=False)
    return done.returncode == 0


def test_a_tree_goes_in_on_to_another_machine_and_out_again(room: TestFabric, tmp_path: Path) -> None:
    tree = make_tree(tmp_path / "tree")
    room.run("cp", str(tree), "web:/tmp")
    assert room.exec("web", "stat", "-c", "%u %g %a", "/tmp/tree/script") == "0 0 750\n"
    assert int(room.exec("web", "du", "-k", "/tmp/tree/sparse").split()[0]) < 100
    room.run("cp", "web:/tmp/tree", "client:/tmp/other")
    assert room.exec("client", "ls", "/tmp/other") == "in\nlink\nsame\nscript\nsparse\n"
    assert int(room.exec("client", "du", "-k", "/tmp/other/sparse").split()[0]) < 100
    room.run("cp", "client:/tmp/other/.", str(tmp_path / "back"))
    assert same(tree, tmp_path / "back")
    assert (tmp_path / "back" / "sparse").stat().st_blocks * 512 < 1 << 20
    assert (tmp_path / "back" / "same").samefile(tmp_path / "back" / "in" / "file")


def test_tars_on_pipes_and_owners(room: TestFabric, tmp_path: Path) -> None:
    buffer = BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        info = tarfile.TarInfo("owned")
        info.uid, info.gid = 12, 34
        archive.addfile(info)
    room.run("cp", "-", "web:/srv", input=buffer.getvalue())
    assert room.exec("web", "stat", "-c", "%u %g", "/srv/owned") == "12 34\n"
    with tarfile.open(fileobj=BytesIO(room.run("cp", "web:/srv/owned", "-").stdout)) as archive:
        assert [(member.name, member.uid) for member in archive] == [("owned", 12)]
    if os.geteuid() == 0:
        room.run("cp", "-a", "web:/srv/owned", str(tmp_path / "owned"))
        assert (tmp_path / "owned").stat().st_uid == 12
    room.run("cp", "web:/srv/owned", str(tmp_path / "ours"))
    assert (tmp_path / "ours").stat().st_uid == os.geteuid()


def test_a_copy_that_breaks_off_leaves_what_was_there(room: TestFabric, tmp_path: Path) -> None:
    big = tmp_path / "big"
    big.write_bytes(os.urandom(4 << 20))
    room.exec("web", "sh", "-c", "mkdir /srv/kept; echo old >/srv/kept/big")

    def broken() -> Iterator[bytes]:
        for number, piece in enumerate(pack_tree(big, "big")):
            if number == 5:
                raise KeyboardInterrupt
            yield piece

    with pytest.raises(KeyboardInterrupt):
        room.client.send_archive("web", "/srv/kept", broken())
    wait_for(lambda: room.exec("web", "ls", "-A", "/srv/kept") == "big\n", "only what was there is there")
    assert room.exec("web", "cat", "/srv/kept/big") == "old\n"
    room.run("cp", str(big), "web:/srv/kept")
    assert room.exec("web", "wc", "-c", "/srv/kept/big").split()[0] == str(4 << 20)
    room.run("cp", "/etc/hostname", "web:/etc/hostname")  # something may be mounted over it
    assert room.exec("web", "cat", "/etc/hostname") == Path("/etc/hostname").read_text()


def test_what_cannot_be_copied_says_so(room: TestFabric, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x" * 100_000)
    assert room.refusal("cp", "web:/absent", str(tmp_path)) == "not-found"
    assert room.refusal("cp", str(file), "web:/absent/file") == "not-found"
    assert room.refusal("cp", str(file), "web:/etc/passwd/file") in ("not-found", "wrong-state")
    assert room.refusal("cp", str(file), "nobody:/") == "not-found"
    assert room.refusal("cp", str(file), "web:/proc/file") == "unavailable"


def test_what_machines_do_is_seen(room: TestFabric) -> None:
    commands = [view["command"] for view in room.json("top", "web")]
    assert "lighttpd -D -f /etc/lighttpd.conf" in commands
    room.exec("client", "wget", "-q", "-O", "/dev/null", "http://web/")
    lines = room.text("stats", "--no-stream", "--format", "json").splitlines()
    views = {view["name"]: view for view in map(json.loads, lines)}
    assert set(views) == {"web", "client"}
    web = views["web"]
    assert 0 <= web["cpu_percent"] < 500 and web["cpu_seconds"] > 0
    assert 0 < web["memory_used"] < web["memory_total"] < 64 << 20 < web["resident"]
    assert web["nics"][0]["received"] > 100 and web["nics"][0]["sent"] > 100
    assert web["processes"] > 3
