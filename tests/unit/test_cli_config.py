"""Settings, the reset button and floppies on the command line, against a server that speaks HTTP."""

import json
import os
from base64 import b64decode
from pathlib import Path
from typing import Any

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Reply, fail

from weft.model.config import ConfigChange, ConfigView, RevisionView
from weft.model.floppy import FloppyView

SETTINGS: list[dict[str, Any]] = [
    {"name": "mode", "type": "string", "value": "open", "is_set": False, "help": "What passes."},
    {"name": "lan.dns", "type": "list", "value": ["a", "b"], "is_set": True, "help": ""},
    {"name": "loud", "type": "boolean", "value": True, "is_set": True, "help": ""},
    {"name": "key", "type": "secret", "value": None, "is_set": False, "help": ""},
]
CONFIG: dict[str, Any] = {"machine": "gate", "source": "saved", "revision": 3, "schema_version": 1,
                          "settings": SETTINGS, "unknown": {"old": [1]}, "notes": ["old: not known"]}  # fmt: skip
REVISION = {"revision": 3, "time": 1.0e9, "by": "weft config set", "why": "mode set", "fits": False}
FLOPPY = {"floppy": "/a.img", "label": "WEFT", "free": 1000,
          "files": [{"path": "history", "size": 0, "modified": "2026-01-01 1:00", "folder": True},
                    {"path": "settings.toml", "size": 20, "modified": "2026-01-01 1:00", "folder": False}]}  # fmt: skip
BASE = "/v1/machines/gate/config"


def test_the_views_here_are_those_of_the_model() -> None:
    ConfigView.model_validate(CONFIG)
    RevisionView.model_validate(REVISION)
    FloppyView.model_validate(FLOPPY)


def test_show(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", BASE, CONFIG)
    ran = weft("config", "show", "gate")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["SETTING", "VALUE", "MEANING"],
        ["mode", "(open)", "What", "passes."],
        ["lan.dns", "a,b", "-"],
        ["loud", "true", "-"],
        ["key", "-", "-"],
        ["unknown:", "old", "=", "1"],
    ]
    assert ran.err == "note: old: not known\n" and fake.last().query == {}
    weft("config", "show", "--saved", "--secrets", "gate")
    assert fake.last().query == {"running": "false", "secrets": "true"}
    assert json.loads(weft("config", "show", "--format", "json", "gate").out) == CONFIG


def test_schema(fake: FakeDaemon, weft: Weft) -> None:
    one = {"type": "integer", "help": "Largest.", "default": 1500, "required": False, "choices": [], "pattern": None,
           "minimum": 576, "maximum": None}  # fmt: skip
    two = one | {"type": "string", "default": None, "required": True, "choices": ["a", "b"], "minimum": None}
    fake.on("GET", f"{BASE}/schema", {"version": 1, "settings": {"mtu": one, "mode": two}, "apply": []})
    assert [line.split() for line in weft("config", "schema", "gate").out.splitlines()[1:]] == [
        ["mtu", "integer", "1500", "576..", "Largest."],
        ["mode", "string", "(required)", "a", "b", "Largest."],
    ]
    fake.on("GET", f"{BASE}/json-schema", {"type": "object"})
    assert json.loads(weft("config", "schema", "--json-schema", "gate").out) == {"type": "object"}


def test_set_and_unset(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("PATCH", BASE, CONFIG)
    assert weft("config", "set", "gate", "mode=a=b", "lan.dns=").out == "gate revision 3\n"
    assert fake.last().body == {"set": {"mode": "a=b", "lan.dns": ""}, "unset": [], "revision": None}
    weft("config", "unset", "gate", "mode", "key")
    assert fake.last().body == {"set": {}, "unset": ["mode", "key"], "revision": None}
    assert weft("config", "set", "gate", "mode").status == 2


def test_a_trial(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    fake.on("PATCH", BASE, {**CONFIG, "on_trial_until": 1.0e9})
    fake.on("POST", f"{BASE}/import", {**CONFIG, "on_trial_until": 1.0e9})
    fake.on("POST", f"{BASE}/confirm", CONFIG)
    (tmp_path / "gate.toml").write_text("mode = 'x'")
    file = str(tmp_path / "gate.toml")
    for command in (("set", "gate", "mode=x"), ("unset", "gate", "mode"), ("import", "gate", file)):
        ran = weft("config", *command, "--confirm", "1m")
        assert "note: on trial until 2001-09-09" in ran.err and "weft config confirm gate keeps it" in ran.err
        assert fake.last().body["confirm"] == 60
    ran = weft("config", "confirm", "gate")
    assert ran.out == "gate revision 3\n" and "trial" not in ran.err


def test_a_refusal_is_one_line(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("PATCH", BASE, fail(422, "invalid", "the appliance refuses: no"))
    assert weft("config", "set", "gate", "mode=x") == (1, "", "weft: invalid: the appliance refuses: no\n")


def test_export_and_import(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    fake.on("GET", f"{BASE}/export", Reply("mode = 'ä'\n".encode(), type="application/toml"))
    assert weft("config", "export", "--running", "gate").out == "mode = 'ä'\n"
    assert fake.last().query == {"running": "true"}
    (tmp_path / "in.toml").write_text("mode = 'ä'\n")
    fake.on("POST", f"{BASE}/import", CONFIG)
    assert weft("config", "import", "gate", str(tmp_path / "in.toml")).status == 0
    assert fake.last().body == {"text": "mode = 'ä'\n", "revision": None, "by": ""}


def edit(weft: Weft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> Any:
    editor = tmp_path / "editor"
    editor.write_text(f"#!/bin/sh\n{script}\n")
    editor.chmod(0o755)
    monkeypatch.setenv("VISUAL", str(editor))
    return weft("config", "edit", "gate")


def test_edit(fake: FakeDaemon, weft: Weft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake.on("GET", BASE, CONFIG)
    fake.on("GET", f"{BASE}/export", Reply(b"mode = 'a'\n"))
    fake.on("POST", f"{BASE}/import", CONFIG)
    assert edit(weft, tmp_path, monkeypatch, 'echo "mode = \'b\'" >"$1"').out == "gate revision 3\n"
    assert fake.last().body == {"text": "mode = 'b'\n", "revision": 3, "by": "weft config edit"}
    count = len(fake.requests)
    assert edit(weft, tmp_path, monkeypatch, "true").err == "nothing has changed\n"
    assert len(fake.requests) == count + 2
    fake.on("POST", f"{BASE}/import", fail(422, "invalid", "mode: no"))
    ran = edit(weft, tmp_path, monkeypatch, 'echo "mode = 5" >"$1"')
    kept = Path(ran.err.splitlines()[0].split()[-1])
    assert ran.status == 1 and ran.err.endswith("weft: invalid: mode: no\n") and kept.read_text() == "mode = 5\n"
    kept.unlink()


def test_history_diff_revert_and_commit(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", f"{BASE}/history", [REVISION])
    assert weft("config", "history", "gate").out.splitlines()[1].endswith("mode set (does not fit the schema)")
    change = ConfigChange(name="lan.dns", before=["a"], after=["a", "b"]).model_dump()
    fake.on("GET", f"{BASE}/diff", [change, {"name": "mode", "before": None, "after": "x"}])
    assert weft("config", "diff", "gate", "1", "2").out == "- lan.dns = a\n+ lan.dns = a,b\n+ mode = x\n"
    assert fake.last().query == {"before": "1", "after": "2"}
    fake.on("POST", f"{BASE}/revert", CONFIG)
    assert weft("config", "revert", "gate", "2").status == 0 and fake.last().body == {"revision": 2}
    assert weft("config", "revert", "gate").status == 0 and fake.last().body == {"revision": None}
    fake.on("POST", f"{BASE}/commit", CONFIG)
    assert json.loads(weft("config", "commit", "--format", "json", "gate").out) == CONFIG


def test_reset_and_failsafe(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/machines/gate/reset", MACHINE)
    assert weft("reset", "gate").out == "gate\n"
    assert fake.last().body == {"failsafe": False, "wait": True}
    weft("reset", "--failsafe", "--no-wait", "gate")
    assert fake.last().body == {"failsafe": True, "wait": False}
    fake.on("POST", "/v1/machines/gate/start", MACHINE)
    assert weft("start", "--failsafe", "gate").status == 0
    assert fake.last().body == {"wait": True, "failsafe": True}


def test_floppies(fake: FakeDaemon, weft: Weft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    here = os.fspath(Path.cwd() / "a.img")
    fake.on("POST", "/v1/floppies", FLOPPY)
    assert weft("floppy", "create", "--label", "FW", "-f", "a.img").out == "/a.img\n"
    assert fake.last().body == {"floppy": here, "label": "FW", "force": True}
    fake.on("GET", "/v1/floppies", FLOPPY)
    assert [line.split()[:2] for line in weft("floppy", "ls", "a.img").out.splitlines()] == [
        ["PATH", "SIZE"], ["history/", "0"], ["settings.toml", "20"], ["(free)", "1000"]]  # fmt: skip
    fake.on("GET", "/v1/floppies/content", Reply(b"a = 1\n"))
    assert weft("floppy", "read", "a.img", "settings.toml").out == "a = 1\n"
    assert fake.last().query == {"floppy": here, "path": "settings.toml"}
    (tmp_path / "in").write_bytes(b"\0\xff")
    fake.on("POST", "/v1/floppies/content", FLOPPY)
    assert weft("floppy", "write", "a.img", "x/y", "in").status == 0
    assert fake.last().body["path"] == "x/y" and b64decode(fake.last().body["content"]) == b"\0\xff"
    fake.on("POST", "/v1/floppies/copy", FLOPPY)
    assert weft("floppy", "copy", "a.img", "b.img").status == 0
    assert fake.last().body == {"floppy": here, "target": here.replace("a.img", "b.img"), "force": False}
    fake.on("DELETE", "/v1/floppies/content", Reply(b"", 204))
    assert weft("floppy", "rm", "a.img", "x", "y").out == "x\ny\n"


def test_run_from_a_floppy(fake: FakeDaemon, weft: Weft, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    fake.on("POST", "/v1/machines", MACHINE)
    assert weft("run", "-d", "--floppy", "acme.img", "gate").status == 0
    assert fake.last().body["spec"]["floppy"] == os.path.realpath("acme.img")
