"""Snapshots on the command line, against a server that is not real: what is asked, and what is printed."""

import json
from pathlib import Path

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Reply, Request, fail
from tests.unit.test_cli_transfers import stream

from weft.cli.compressing import ENDING

SNAPSHOT = {
    "name": "web-1", "machine": "web", "image": "web", "memory": 64 << 20, "stored": 20 << 20, "disks": ["data"],
    "created": 1.0e9, "broken": None,
}  # fmt: skip
BROKEN = {**SNAPSHOT, "name": "bad", "machine": "", "image": "", "created": None, "broken": "its head is gone"}


def test_create(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/snapshots", lambda _: stream(SNAPSHOT, "saving, 3 of 64 MB"))
    ran = weft("snapshot", "create", "web", "--label", "why=test")
    assert ran == (0, "web-1\n", "snapshot of web: saving, 3 of 64 MB 50%\n")
    assert fake.last().body == {"machine": "web", "name": None, "labels": {"why": "test"}}
    assert json.loads(weft("snapshot", "create", "web", "mine", "--format", "json").out) == SNAPSHOT
    assert fake.last().body["name"] == "mine"


def test_ls_and_inspect(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/snapshots", [SNAPSHOT, BROKEN])
    fake.on("GET", "/v1/snapshots/web-1", SNAPSHOT)
    lines = weft("snapshot", "ls").out.splitlines()
    assert lines[1].split()[:6] == ["web-1", "web", "web", "64M", "20M", "data"]
    assert lines[2].startswith("bad") and lines[2].endswith("broken: its head is gone")
    assert json.loads(weft("snapshot", "ls", "--format", "json").out) == [SNAPSHOT, BROKEN]
    assert "stored   20M" in weft("snapshot", "inspect", "web-1").out


def test_rm(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("DELETE", "/v1/snapshots/web-1", lambda _: Reply(b"", 204))
    fake.on("DELETE", "/v1/snapshots/no", lambda _: fail(404, "not-found", "snapshot 'no' does not exist"))
    ran = weft("snapshot", "rm", "web-1", "no")
    assert (ran.status, ran.out) == (1, "web-1\n")
    assert "not-found" in ran.err


def test_export_to_a_file(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    fake.on("GET", "/v1/snapshots/web-1/archive", lambda _: Reply([b"archive" * 1000], type="application/x-tar"))
    assert weft("snapshot", "export", "web-1", str(tmp_path / "x.tar")).status == 0
    assert (tmp_path / "x.tar").read_bytes() == b"archive" * 1000
    assert weft("snapshot", "export", "web-1", "-").out == "archive" * 1000
    fake.on("GET", "/v1/snapshots/web-1/archive", lambda _: fail(404, "not-found", "there is none"))
    assert weft("snapshot", "export", "web-1", str(tmp_path / "y.tar")).status == 1
    assert [path.name for path in tmp_path.glob("*.tar*")] == ["x.tar"]


def test_compressed_there_and_back(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    fake.on("GET", "/v1/snapshots/web-1/archive", lambda _: Reply([b"archive" * 100_000], type="application/x-tar"))
    fake.on("POST", "/v1/snapshots/import", lambda _: stream(SNAPSHOT))
    file = tmp_path / f"x.tar{ENDING}"
    assert weft("snapshot", "export", "web-1", str(file)).status == 0
    assert file.stat().st_size < 10_000
    assert weft("snapshot", "import", str(file), "--name", "new").out == "web-1\n"
    assert fake.last() == Request("POST", "/v1/snapshots/import", {"name": "new"}, b"archive" * 100_000)
    file.write_bytes(file.read_bytes()[:-10])
    assert "invalid" in weft("snapshot", "import", str(file)).err


def test_without_zstd(weft: Weft, fake: FakeDaemon, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    ran = weft("snapshot", "export", "web-1", str(tmp_path / f"x{ENDING}"))
    assert "unavailable: zstd is not installed" in ran.err
    assert not list(tmp_path.glob("*x*"))


def test_import(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    fake.on("POST", "/v1/snapshots/import", lambda _: stream(SNAPSHOT))
    (tmp_path / "x.tar").write_bytes(b"archive")
    assert json.loads(weft("snapshot", "import", str(tmp_path / "x.tar"), "--format", "json").out) == SNAPSHOT
    assert fake.last().body == b"archive"
    assert "not-found" in weft("snapshot", "import", str(tmp_path / "y.tar")).err


def test_restore(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/snapshots/web-1/restore", lambda _: stream(MACHINE, "loading"))
    assert weft("restore", "web-1", "--name", "other").out == "web\n"
    assert fake.last().body == {"name": "other", "replace": False}
    assert json.loads(weft("restore", "web-1", "--replace", "--format", "json").out) == MACHINE
    assert fake.last().body == {"name": None, "replace": True}


def test_suspend_and_resume(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/machines/web/suspend", lambda _: stream({**MACHINE, "state": "suspended"}))
    fake.on("POST", "/v1/machines/web/resume", MACHINE)
    assert weft("suspend", "web").out == "web\n"
    assert weft("resume", "web", "--no-wait").out == "web\n"
    assert fake.last().body == {"wait": False}
    assert json.loads(weft("resume", "web", "--format", "json").out) == [MACHINE]
