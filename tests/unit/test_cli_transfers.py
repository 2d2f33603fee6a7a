"""pull, push, import, export and prune against a server that is not real; what they ask and what they print."""

import json
import tarfile
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Reply, Request, fail
from tests.unit.test_cli_commands import IMAGE

NGINX = "docker.io/library/nginx:latest"
PULLED = {**IMAGE, "name": NGINX, "kind": "oci"}


def stream(result: Any, *texts: str) -> Reply:
    lines = [{"progress": text, "fraction": 0.5} for text in texts]
    return Reply([json.dumps(line).encode() + b"\n" for line in (*lines, {"result": result})])


def test_pull(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/images/pull", lambda _: stream(PULLED, "1.0 of 2.0 MB"))
    ran = weft("image", "pull", "nginx")
    assert ran == (0, f"{NGINX} abababababab\n", "pull nginx: 1.0 of 2.0 MB 50%\n")
    assert fake.last().body == {"reference": "nginx"}
    assert json.loads(weft("image", "pull", "--format", "json", "nginx", "redis").out) == [PULLED, PULLED]


def test_push(fake: FakeDaemon, weft: Weft) -> None:
    pushed = {"reference": "localhost:5000/x:1", "digest": "sha256:1"}
    fake.on("POST", "/v1/images/push", lambda _: stream(pushed))
    assert weft("image", "push", "x", "localhost:5000/x:1").out == "localhost:5000/x:1 sha256:1\n"
    assert fake.last().body == {"name": "x", "reference": "localhost:5000/x:1"}
    assert json.loads(weft("image", "push", "--format", "json", "x").out) == pushed


def test_import_of_a_file(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    fake.on("POST", "/v1/images/import", lambda _: stream({"images": [PULLED]}, "writing"))
    file = tmp_path / "x.tar"
    file.write_bytes(b"archive" * 1000)
    ran = weft("image", "import", "-t", "x", str(file))
    assert (ran.status, ran.out) == (0, f"{NGINX} abababababab\n")
    assert fake.last() == Request("POST", "/v1/images/import", {"name": "x"}, b"archive" * 1000)
    assert json.loads(weft("image", "import", str(file), "--format", "json").out) == [PULLED]


def test_import_of_a_folder(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    fake.on("POST", "/v1/images/import", lambda _: stream({"images": []}))
    folder = tmp_path / "layout"
    (folder / "blobs" / "sha256").mkdir(parents=True)
    files = {"blobs/sha256/ab": b"x" * 3000, "index.json": b"{}", "oci-layout": b"{}"}
    for name, content in files.items():
        (folder / name).write_bytes(content)
    assert weft("image", "import", str(folder)).status == 0
    with tarfile.open(fileobj=BytesIO(fake.last().body)) as tar:
        sent = {member.name: file.read() for member in tar if (file := tar.extractfile(member))}
    assert sent == files
    (folder / "oci-layout").unlink()
    assert "has no OCI layout" in weft("image", "import", str(folder)).err
    assert weft("image", "import", str(tmp_path / "nothing")).err.startswith("weft: not-found: cannot read")


def test_what_the_daemon_says_of_an_archive(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    (tmp_path / "x.tar").write_bytes(b"x")
    fake.on("POST", "/v1/images/import", fail(422, "invalid", "this is no tar archive"))
    ran = weft("image", "import", str(tmp_path / "x.tar"))
    assert ran.status == 1
    assert ran.err.endswith("weft: invalid: this is no tar archive\n")


def test_export(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    fake.on("POST", "/v1/images/export", lambda _: Reply([b"one", b"two"], type="application/x-tar"))
    assert weft("image", "export", "x") == (0, "onetwo", "")
    assert fake.last().body == {"name": "x"}
    assert weft("image", "export", "x", "-o", str(tmp_path / "x.tar")) == (0, "", "")
    assert (tmp_path / "x.tar").read_bytes() == b"onetwo"
    fake.on("POST", "/v1/images/export", fail(404, "not-found", "no image 'x'"))
    assert weft("image", "export", "x", "-o", str(tmp_path / "y.tar")).err == "weft: not-found: no image 'x'\n"
    assert not list(tmp_path.glob("*y.tar*"))


def test_prune(fake: FakeDaemon, weft: Weft) -> None:
    report = {"images": [NGINX], "blobs": 3, "freed": 5 << 20}
    fake.on("POST", "/v1/images/prune", report)
    assert weft("image", "prune", "--all").out == f"{NGINX}\n5M freed\n"
    assert fake.last().body == {"all": True}
    assert json.loads(weft("image", "prune", "--format", "json").out) == report


RUNS = [
    (["nginx"], False, []),
    (["team/app"], True, []),
    (["localhost:5000/app"], True, []),
    (["localhost:5000/app"], False, ["localhost:5000/app"]),
    (["--pull", "always", "nginx"], True, ["nginx"]),
    (["--pull", "never", "localhost:5000/app"], False, []),
]


@pytest.mark.parametrize(("args", "here", "pulled"), RUNS)
def test_run_pulls_what_names_its_registry(
    fake: FakeDaemon, weft: Weft, args: list[str], here: bool, pulled: list[str]
) -> None:
    fake.on("POST", "/v1/machines", MACHINE)
    fake.on("POST", "/v1/images/pull", lambda _: stream(PULLED))
    answer = PULLED if here else fail(404, "not-found", "no image")
    for name in ("team/app", "localhost:5000/app"):
        fake.on("GET", f"/v1/images/{name}", answer)
    assert weft("run", "-d", *args).status == 0
    asked = [request.body["reference"] for request in fake.requests if request.path == "/v1/images/pull"]
    assert asked == pulled
    assert fake.last().body["spec"]["image"] == args[-1]


def test_run_of_what_is_not_here_and_names_no_registry(fake: FakeDaemon, weft: Weft) -> None:
    hint = "weft image pull docker.io/team/app:latest fetches it"
    fake.on("GET", "/v1/images/team/app", fail(404, "not-found", "no image 'team/app'", hint))
    ran = weft("run", "-d", "team/app")
    assert ran.status == 1
    assert "docker.io/team/app" in ran.err
