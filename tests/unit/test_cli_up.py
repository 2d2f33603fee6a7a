"""Fabric files on the command line: which file is read, what is asked and shown, and how it ends."""

import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import FakeDaemon, Reply, Request, fail
from tests.unit.terminals import Terminal, start_weft

from weft.cli.steps import dump_report, dump_steps
from weft.client import Client
from weft.model.steps import ApplyReport, Kind, Plan, Progress, Step, StepReport, Verb

FILE = "rooms: {acme: {}}\n"


def make(name: str, verb: Verb, **rest: Any) -> Step:
    return Step(key=f"acme/machine/{name}/{verb}", room="acme", kind=Kind.MACHINE, name=name, verb=verb, **rest)


CREATE = make("web", Verb.CREATE, why=("it is not there",))
RESTART = make("db", Verb.CHANGE, why=("memory 64M → 128M needs a start",), restarts=("db",))
LOSS = make("old", Verb.REMOVE, why=("the file does not name it any more",), loses=("all that is on volume data",))


def view(*steps: Step, **rest: Any) -> dict[str, Any]:
    return {"plan": Plan(steps=steps, **rest).model_dump(mode="json"), "warnings": []}


def told(*reports: StepReport) -> Iterator[bytes]:
    """An answer of `apply`: what begins, what ends, the report."""
    for report in reports:
        for one in (StepReport(step=report.step, progress=Progress.BEGUN), report):
            yield json.dumps({"step": one.model_dump(mode="json")}).encode() + b"\n"
    result = ApplyReport(steps=list(reports), seconds=1.5)
    yield json.dumps({"result": result.model_dump(mode="json")}).encode() + b"\n"


def done(step: Step) -> StepReport:
    return StepReport(step=step, progress=Progress.DONE, seconds=1.25)


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    place = tmp_path / "here"
    place.mkdir()
    monkeypatch.chdir(place)
    (place / "weft.yaml").write_text(FILE)
    return place


def serve(fake: FakeDaemon, *reports: StepReport, **plan: Any) -> None:
    fake.on("POST", "/v1/files/plan", view(*(report.step for report in reports), **plan))
    fake.on("POST", "/v1/files/apply", lambda _request: Reply(told(*reports), type="application/x-ndjson"))


def test_a_plan_is_a_table_and_nothing_is_done(fake: FakeDaemon, weft: Weft, folder: Path) -> None:
    serve(fake, done(CREATE), done(RESTART), done(LOSS), notes=("acme: volume logs stays, with what is on it",))
    for command in (["plan"], ["up", "--plan"]):
        ran = weft(*command)
        lines = ran.out.splitlines()
        assert lines[0].split() == ["ROOM", "DO", "KIND", "NAME", "RESTARTS", "LOSES", "WHY"]
        assert lines[1].split() == ["acme", "create", "machine", "web", "-", "-", *["it", "is", "not", "there"]]
        assert "all that is on volume data" in lines[3] and lines[4].startswith("acme: volume logs stays")
        assert ran.status == 0 and fake.last().path == "/v1/files/plan"
    assert fake.last().body == {
        "path": str(folder / "weft.yaml"),
        "text": FILE,
        "build": False,
        "pull": False,
        "rooms": [],
    }


def test_there_are_no_columns_for_what_does_not_happen() -> None:
    steps = [CREATE.model_dump(mode="json")]
    assert dump_steps(steps).splitlines()[0].split() == ["ROOM", "DO", "KIND", "NAME", "WHY"]
    begun = [*steps, make("web", Verb.START, why=("it is new",)).model_dump(mode="json")]
    assert dump_steps(begun) == dump_steps(steps)


def test_nothing_to_do(fake: FakeDaemon, weft: Weft) -> None:
    serve(fake)
    assert weft("up").out == "nothing to do\n"
    assert fake.last().path == "/v1/files/plan"


def test_which_file_and_which_rooms(fake: FakeDaemon, weft: Weft, folder: Path) -> None:
    serve(fake)
    (folder / "weft.yaml").rename(folder / "weft.yml")
    assert weft("--room", "acme", "plan").status == 0
    assert fake.last().body["path"] == str(folder / "weft.yml") and fake.last().body["rooms"] == ["acme"]
    (folder / "house.yaml").write_text(FILE)
    assert weft("plan", "--build", "--room", "acme", "--room", "bolt", "../here/house.yaml").status == 0
    body = fake.last().body
    assert (body["path"], body["rooms"], body["build"]) == (str(folder / "house.yaml"), ["acme", "bolt"], True)
    (folder / "weft.yml").unlink()
    ran = weft("up")
    assert ran.err == "weft: not-found: there is no weft.yaml here (name a file, or go where one is)\n"
    assert weft("up", "nope.yaml").err == "weft: not-found: there is no nope.yaml\n"
    (folder / "weft.yaml").write_bytes(b"\xff")
    assert weft("up").err == "weft: invalid: weft.yaml is not a text in UTF-8\n"


def test_what_is_wrong_with_a_file_is_told_by_its_lines(fake: FakeDaemon, weft: Weft, folder: Path) -> None:
    path = folder / "weft.yaml"
    detail = f"{path}:3:5: rooms.acme: there is no such key\n{path}:4:1: rooms: warning: much"
    refusal = fail(422, "invalid", f"{path} has 1 error", detail=detail)
    fake.on("POST", "/v1/files/plan", refusal)
    for command in ("plan", "up"):
        ran = weft(command)
        assert ran.status == 2 and not ran.out
        assert ran.err.splitlines() == [
            "weft.yaml:3:5: rooms.acme: there is no such key",
            "weft.yaml:4:1: rooms: warning: much",
            "weft: invalid: weft.yaml has 1 error",
        ]


def test_warnings_are_told_and_hold_nothing_up(fake: FakeDaemon, weft: Weft) -> None:
    warning = {"line": 2, "column": 3, "where": "rooms", "what": "much", "severity": "warning"}
    fake.on("POST", "/v1/files/plan", view() | {"warnings": [warning]})
    ran = weft("plan")
    assert (ran.status, ran.err) == (0, "weft.yaml:2:3: rooms: warning: much\n")


def test_steps_are_told_as_they_end(fake: FakeDaemon, weft: Weft) -> None:
    serve(fake, done(CREATE))
    ran = weft("up")
    assert ran.status == 0 and ran.out.splitlines()[1].startswith("acme")
    assert ran.err == "acme machine web: created in 1.2 s\n"
    assert fake.last().body["agreed"] == []


def test_an_image_takes_long_enough_to_be_told_of_before(fake: FakeDaemon, weft: Weft) -> None:
    serve(fake, done(Step(key="image/x/build", room="", kind=Kind.IMAGE, name="x", verb=Verb.BUILD)))
    assert weft("up").err.splitlines() == ["image x: build", "image x: built in 1.2 s"]


def test_a_report_for_programs(fake: FakeDaemon, weft: Weft) -> None:
    serve(fake, done(CREATE))
    report = json.loads(weft("up", "--format", "json").out)
    assert ApplyReport.model_validate(report).steps[0].progress is Progress.DONE
    assert json.loads(weft("up", "--plan", "--format", "json").out) == view(CREATE)
    serve(fake)
    assert json.loads(weft("up", "--format", "json").out)["steps"] == []


def test_restarts_and_losses_are_agreed_to(fake: FakeDaemon, weft: Weft) -> None:
    serve(fake, done(CREATE), done(RESTART), done(LOSS))
    ran = weft("up")
    assert ran.status == 1
    assert ran.err == (
        "weft: wrong-state: this would restart db and lose all that is on volume data (--yes agrees to it)\n"
    )
    assert fake.last().path == "/v1/files/plan"
    assert weft("up", "--yes").status == 0
    assert fake.last().body["agreed"] == [RESTART.key, LOSS.key]


def test_a_failure_ends_with_a_status_and_a_line(fake: FakeDaemon, weft: Weft) -> None:
    error: dict[str, str | None] = {
        "code": "not-found",
        "message": "no image 'web'",
        "hint": "build it",
        "detail": "a log\n\x1b[31mred",
    }
    failed = StepReport(step=CREATE, progress=Progress.FAILED, seconds=0.01, error=error)
    skipped = StepReport(step=make("db", Verb.CREATE), progress=Progress.SKIPPED)
    serve(fake, failed, skipped)
    ran = weft("up")
    assert ran.status == 1
    assert ran.err.splitlines() == [
        "acme machine web: create failed: not-found: no image 'web' (build it)",
        "    a log",
        "    [31mred",
        "acme machine db: create was left out: it needs what failed, or nothing more was begun",
        "weft: not-found: 1 of 2 steps failed, 1 left out (the same command goes on)",
    ]
    ran = weft("up", "--format", "json")
    assert ran.status == 1 and json.loads(ran.out)["steps"][0]["error"]["code"] == "not-found"


def test_down_says_what_is_wanted(fake: FakeDaemon, weft: Weft, folder: Path) -> None:
    serve(fake, done(make("web", Verb.REMOVE)))
    assert weft("down").err == "acme machine web: removed in 1.2 s\n"
    body = fake.last().body
    assert (body["down"], body["volumes"], body["text"]) == (True, False, FILE)
    (folder / "weft.yaml").unlink()
    assert weft("down", "--volumes", "--plan").status == 0
    body = fake.last().body
    assert (body["path"], body["text"], body["volumes"]) == (str(folder / "weft.yaml"), "", True)


def test_a_daemon_that_goes_away_in_the_middle(fake: FakeDaemon, weft: Weft) -> None:
    serve(fake, done(CREATE))
    fake.on("POST", "/v1/files/apply", lambda _request: Reply([b'{"key": "a", "progress": "b", "fraction": null}\n']))
    ran = weft("up")
    assert ran.status == 1 and "went away before the work was done" in ran.err


def test_a_client_may_ask_what_is_wrong(fake: FakeDaemon, tmp_path: Path) -> None:
    fake.on("POST", "/v1/files/check", {"problems": [{"line": 1}]})
    assert Client(tmp_path, room="acme").check_file("/srv/weft.yaml", FILE) == [{"line": 1}]
    assert fake.last().body == {"path": "/srv/weft.yaml", "text": FILE}


def test_a_file_in_full(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/files/render", {"text": "rooms: {}\n"})
    assert weft("render").out == "rooms: {}\n"
    fake.on("GET", "/v1/files/schema", {"type": "object"})
    assert json.loads(weft("render", "--schema").out) == {"type": "object"}


def test_what_differs(fake: FakeDaemon, weft: Weft, folder: Path) -> None:
    text = f"--- as it is\n+++ {folder}/weft.yaml\n@@ room acme @@\n~ machine db\n      memory 64M → 128M\n"
    fake.on("POST", "/v1/files/diff", {"differences": [{"name": "db"}], "text": text, "warnings": []})
    assert weft("diff").out == text.replace(f"{folder}/", "")
    assert json.loads(weft("diff", "--format", "json").out) == [{"name": "db"}]
    fake.on("POST", "/v1/files/diff", {"differences": [], "text": "", "warnings": []})
    assert weft("diff") == (0, "", "")


def test_a_room_as_a_file(fake: FakeDaemon, weft: Weft) -> None:
    for name in ("acme", "default"):
        fake.on("GET", f"/v1/files/export/{name}", {"text": f"rooms: {{{name}: {{}}}}\n"})
    assert weft("export", "acme").out == "rooms: {acme: {}}\n" and fake.last().query == {"exact": "false"}
    assert weft("export", "--exact").out == "rooms: {default: {}}\n" and fake.last().query == {"exact": "true"}
    assert weft("--room", "acme", "export").out == "rooms: {acme: {}}\n"


def test_on_a_terminal_it_asks_and_shows_what_goes_on(fake: FakeDaemon, tmp_path: Path, folder: Path) -> None:
    def answer(_request: Request) -> Reply:
        return Reply(told(done(RESTART)), type="application/x-ndjson")

    fake.on("POST", "/v1/files/plan", view(RESTART))
    fake.on("POST", "/v1/files/apply", answer)
    env = os.environ | {"WEFT_HOME": str(tmp_path)}
    terminal = Terminal(env, "up")
    terminal.read_until(b"Go on? [y/N]: ")
    terminal.type(b"y\n")
    terminal.read_until(b"acme machine db: changed in 1.2 s")
    assert terminal.finish() == 0
    count = len(fake.requests)
    terminal = Terminal(env, "up")
    terminal.read_until(b"Go on? [y/N]: ")
    terminal.type(b"n\n")
    assert terminal.finish() == 130 and len(fake.requests) == count + 1


def test_ctrl_c_says_what_becomes_of_it(fake: FakeDaemon, tmp_path: Path, folder: Path) -> None:
    asked, over = Event(), Event()

    def answer(_request: Request) -> Reply:
        def pieces() -> Iterator[bytes]:
            yield next(told(done(CREATE)))
            asked.set()
            over.wait(10)

        return Reply(pieces(), type="application/x-ndjson")

    fake.on("POST", "/v1/files/plan", view(CREATE))
    fake.on("POST", "/v1/files/apply", answer)
    with start_weft(os.environ | {"WEFT_HOME": str(tmp_path)}, "up") as process:
        assert asked.wait(10)
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=10)
        over.set()
    assert process.returncode == 130
    assert b"weft: nothing more is begun; what was begun is done to its end" in said


def test_words_for_each_end() -> None:
    report = StepReport(step=make("web", Verb.START), progress=Progress.DONE, seconds=0.01)
    assert dump_report(report.model_dump(mode="json")) == "acme machine web: started"
    image = Step(key="image/x/build", room="", kind=Kind.IMAGE, name="x", verb=Verb.BUILD)
    built = StepReport(step=image, progress=Progress.DONE, seconds=3.0)
    assert dump_report(built.model_dump(mode="json")) == "image x: built in 3.0 s"
