"""The commands of templates: what they ask, and what they print."""

import json

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import FakeDaemon, Reply

from weft.model.template import TemplateView

TEMPLATE = {"key": "0a1b2c3d4e5f", "image": "sniffer", "digest": "sha256:" + "ab" * 32, "kernel": "default",
            "profile": "microvm", "memory": 64 << 20, "cpus": 1, "nics": 2, "floppy": False, "room": None, "stale": "",
            "loaded": True, "machines": 3, "size": 40 << 20, "created": 1.0e9, "used": None, "took": 1.5}  # fmt: skip


def test_the_view_here_is_that_of_the_model() -> None:
    assert TemplateView.model_validate(TEMPLATE).model_dump(mode="json") == TEMPLATE


def test_what_create_asks_for(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/templates", TEMPLATE)
    assert weft("template", "create", "sniffer").out == "0a1b2c3d4e5f\n"
    assert fake.last().body == {"image": "sniffer"}
    options = ("--memory", "128M", "--cpus", "2", "--nics", "0", "--profile", "q35", "--kernel", "own", "--floppy")
    assert json.loads(weft("template", "create", "web", *options, "--format", "json").out) == TEMPLATE
    assert fake.last().body == {"image": "web", "memory": 128 << 20, "cpus": 2, "nics": 0, "profile": "q35",
                                "kernel": "own", "floppy": True}  # fmt: skip


@pytest.mark.parametrize(
    ("changes", "state"), [({}, "loaded"), ({"loaded": False}, "ready"), ({"stale": "it is of another QEMU"}, "stale")]
)
def test_ls(fake: FakeDaemon, weft: Weft, changes: dict[str, object], state: str) -> None:
    fake.on("GET", "/v1/templates", [TEMPLATE | changes])
    row = weft("template", "ls").out.splitlines()[1].split()
    assert row == ["0a1b2c3d4e5f", "sniffer", "default", "microvm", "64M", "1", "2", "3", "40M", "-", state]
    assert weft("template", "ls", "-A").out.splitlines()[1].split()[0] == "-"
    assert fake.last().query == {"all_rooms": "true"}


def test_inspect_rm_and_prune(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/templates/sniffer", TEMPLATE)
    assert "took      1.5" in weft("template", "inspect", "sniffer").out
    assert json.loads(weft("template", "inspect", "sniffer", "--format", "json").out) == TEMPLATE
    fake.on("DELETE", "/v1/templates/0a1b", lambda _request: Reply(b"", 204))
    assert weft("template", "rm", "0a1b").out == "0a1b\n"
    fake.on("POST", "/v1/templates/prune", {"templates": ["0a1b2c3d4e5f"], "freed": 40 << 20})
    assert weft("template", "prune", "--all").out == "0a1b2c3d4e5f\n40M freed\n"
    assert fake.last().body == {"all": True}


def test_templates_are_a_rooms(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/rooms/acme/templates", [])
    assert weft("--room", "acme", "template", "ls").status == 0


def test_an_image_is_built_with_its_template(fake: FakeDaemon, weft: Weft) -> None:
    manifest = {"name": "sniffer", "digest": "sha256:" + "ab" * 32}
    fake.on("POST", "/v1/images/build", lambda _request: Reply(json.dumps({"result": manifest}).encode() + b"\n"))
    fake.on("POST", "/v1/templates", TEMPLATE)
    assert weft("image", "build", "sniffer", "--template").out == "sniffer abababababab\n"
    assert (fake.last().path, fake.last().body) == ("/v1/templates", {"image": "sniffer"})
