"""`weft cp`: where things land, as `docker cp` has it; what is asked of the daemon; what is refused."""

import io
import json
import os
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Reply, Request, fail, open_fake_daemon
from tests.unit.terminals import Terminal, weft

from weft.client.places import Landing, Place, parse_place, plan_landing
from weft.client.renaming import rename_tree
from weft.client.tarring import pack_tree
from weft.client.unpacking import Unpacker
from weft.model.errors import Invalid, NotFound, WeftError, WrongState

Json = dict[str, Any]


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    with open_fake_daemon(tmp_path / "home") as daemon:
        yield daemon


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"WEFT_HOME": str(tmp_path / "home")}


@pytest.mark.parametrize(
    ("text", "place"),
    [
        ("web:/srv", Place("web", "/srv")),
        ("web:srv/x", Place("web", "srv/x")),
        ("web:/a:b", Place("web", "/a:b")),
        ("/a:b", Place(None, "/a:b")),
        ("./a:b", Place(None, "./a:b")),
        ("a/b:c", Place(None, "a/b:c")),
        ("file", Place(None, "file")),
        ("-", Place(None, "-")),
    ],
)
def test_places(text: str, place: Place) -> None:
    assert parse_place(text) == place


@pytest.mark.parametrize("text", ["", ":", "web:", ":/srv"])
def test_what_is_no_place(text: str) -> None:
    with pytest.raises(Invalid):
        parse_place(text)


FILE, FOLDER, ABSENT = (True, False), (True, True), (False, False)
LANDINGS: list[tuple[str, bool, str, tuple[bool, bool], Landing | type[WeftError]]] = [
    ("/a/f", False, "/b", ABSENT, Landing("/", "b")),
    ("/a/f", False, "/b/", ABSENT, NotFound),
    ("/a/f", False, "/b/c", FILE, Landing("/b", "c")),
    ("/a/f", False, "/b/c/", FILE, WrongState),
    ("/a/f", False, "/b", FOLDER, Landing("/b", "f")),
    ("/a/d", True, "/b/c", ABSENT, Landing("/b", "c")),
    ("/a/d", True, "/b/c/", ABSENT, Landing("/b", "c")),
    ("/a/d", True, "/b/c", FILE, WrongState),
    ("/a/d/", True, "/b", FOLDER, Landing("/b", "d")),
    ("/a/d/.", True, "/b", FOLDER, Landing("/b", None)),
    ("/a/d/.", True, "/b/c", ABSENT, Landing("/b", "c")),
    ("/", True, "/b", FOLDER, Landing("/b", None)),
    ("/a/f", False, "new", ABSENT, Landing("/", "new")),
    ("/a/f", False, "/", FOLDER, Landing("/", "f")),
]


@pytest.mark.parametrize(("source", "folder", "target", "there", "landing"), LANDINGS)
def test_where_a_copy_lands(
    source: str, folder: bool, target: str, there: tuple[bool, bool], landing: Landing | type[WeftError]
) -> None:
    def plan() -> Landing:
        exists, is_folder = there
        target_place = Place("web", target)
        return plan_landing(Place(None, source), folder=folder, target=target_place, exists=exists,
                            target_folder=is_folder)  # fmt: skip

    if isinstance(landing, Landing):
        assert plan() == landing
    else:
        with pytest.raises(landing):
            plan()


def test_a_relative_path_of_this_host_is_beside_us() -> None:
    target = Place(None, "copy")
    landing = plan_landing(Place("web", "/f"), folder=False, target=target, exists=False, target_folder=False)
    assert landing == Landing(".", "copy")


# A tar with another name


def sparse_tree(tmp_path: Path) -> Path:
    tree = tmp_path / "tree"
    (tree / "in").mkdir(parents=True)
    (tree / "in" / "file").write_bytes(os.urandom(300_001))
    os.link(tree / "in" / "file", tree / "same")
    (tree / "link").symlink_to("in/file")
    with (tree / "sparse").open("wb") as file:
        file.truncate(32 << 20)
        os.pwrite(file.fileno(), b"data" * 2000, 16 << 20)
    return tree


@pytest.mark.parametrize("name", ["new", "."])
def test_a_tar_gets_another_root_and_keeps_its_holes(tmp_path: Path, name: str) -> None:
    tree = sparse_tree(tmp_path)
    source = io.BytesIO(b"".join(pack_tree(tree, "old")))
    renamed = b"".join(rename_tree(source, name, owners=False))
    assert len(renamed) < 1 << 20
    out = tmp_path / "out"
    out.mkdir()
    fd = os.open(out, os.O_RDONLY)
    Unpacker(fd, None if name == "." else "new").unpack(io.BytesIO(renamed))
    os.close(fd)
    copy = out if name == "." else out / "new"
    assert sorted(path.name for path in copy.iterdir()) == ["in", "link", "same", "sparse"]
    assert (copy / "in" / "file").samefile(copy / "same")
    for part in ("in/file", "sparse"):
        assert (copy / part).read_bytes() == (tree / part).read_bytes()
    assert (copy / "sparse").stat().st_blocks * 512 < 1 << 20


@pytest.mark.parametrize("data", [b"x" * 1024, b"".join(pack_tree(Path(__file__), "it"))[:3000]])
def test_what_is_no_tar_is_not_renamed(data: bytes) -> None:
    with pytest.raises(Invalid):
        list(rename_tree(io.BytesIO(data), "new", owners=False))


# The command


def view(path: str, kind: str, **more: Any) -> Json:
    base = {"path": path, "kind": kind, "size": 0, "mode": 0o644, "uid": 0, "gid": 0, "mtime": 1.0, "target": None}
    return base | {"real": path, "real_kind": kind} | more


def serve_files(fake: FakeDaemon, machine: str, files: dict[str, Json]) -> None:
    def answer(request: Request) -> Any:
        path = "/" + request.query["path"].strip("/").removesuffix("/.")
        return files.get(path) or fail(404, "not-found", f"machine {machine!r} has no {path}")

    fake.on("GET", f"/v1/machines/{machine}", MACHINE)
    fake.on("GET", f"/v1/machines/{machine}/file", answer)


def names_in(data: bytes) -> list[str]:
    with tarfile.open(fileobj=io.BytesIO(data)) as archive:
        return archive.getnames()


def serve_put(fake: FakeDaemon, machine: str) -> list[Request]:
    taken: list[Request] = []

    def take(request: Request) -> Reply:
        taken.append(request)
        return Reply(b"", 204)

    fake.on("PUT", f"/v1/machines/{machine}/archive", take)
    return taken


def test_into_a_machine(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    tree = sparse_tree(tmp_path)
    serve_files(fake, "web", {"/srv": view("/srv", "folder")})
    taken = serve_put(fake, "web")
    for source, target in ((str(tree), "web:/srv"), (f"{tree}/.", "web:/srv"), (f"{tree}/link", "web:/srv/new")):
        done = weft(env, "cp", source, target)
        assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert [request.query for request in taken] == [{"path": "/srv"}] * 3
    assert [sorted(names_in(request.body))[0] for request in taken] == ["tree", "./in", "new"]
    with tarfile.open(fileobj=io.BytesIO(taken[0].body)) as archive:
        assert {member.uid for member in archive} == {0}


def test_out_of_a_machine(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    tree = sparse_tree(tmp_path)
    serve_files(fake, "web", {"/tree": view("/tree", "folder")})
    fake.on("GET", "/v1/machines/web/archive", Reply(pack_tree(tree, "tree"), type="application/x-tar"))
    assert weft(env, "cp", "web:/tree", str(tmp_path / "copy")).returncode == 0
    assert (tmp_path / "copy" / "in" / "file").read_bytes() == (tree / "in" / "file").read_bytes()
    assert fake.last().query == {"path": "/tree"}
    fake.on("GET", "/v1/machines/web/archive", Reply(pack_tree(tree, "tree"), type="application/x-tar"))
    done = weft(env, "cp", "web:tree", "-")
    assert names_in(done.stdout)[0] == "tree"


def test_a_copy_that_breaks_off_leaves_no_half_file(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(os.urandom(1 << 20))

    def broken() -> Iterator[bytes]:
        yield b"".join(pack_tree(tmp_path / "big", "big"))[: 1 << 19]
        raise ConnectionResetError

    serve_files(fake, "web", {"/big": view("/big", "file")})
    fake.on("GET", "/v1/machines/web/archive", Reply(broken()))
    done = weft(env, "cp", "web:/big", str(tmp_path / "copy"))
    assert done.returncode == 1
    assert done.stderr.startswith(b"weft: unavailable: ")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["big", "home"]


def test_what_is_passed_over_is_said(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    serve_files(fake, "web", {"/pipe": view("/pipe", "other")})
    fake.on("GET", "/v1/machines/web/archive", Reply(pack_tree(tmp_path / "pipe", "pipe")))
    done = weft(env, "cp", "web:/pipe", str(tmp_path / "copy"))
    assert (done.returncode, done.stderr) == (0, b"weft: not copied, since it is a device or a pipe: copy\n")


def test_between_machines(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    tree = sparse_tree(tmp_path)
    serve_files(fake, "a", {"/tree": view("/tree", "folder")})
    serve_files(fake, "b", {"/": view("/", "folder")})
    fake.on("GET", "/v1/machines/a/archive", lambda _request: Reply(pack_tree(tree, "tree")))
    taken = serve_put(fake, "b")
    assert weft(env, "cp", "a:/tree", "b:/new").returncode == 0
    assert weft(env, "cp", "a:/tree/.", "b:/").returncode == 0
    assert [sorted(names_in(request.body))[0] for request in taken] == ["new", "./in"]


def test_a_tar_from_standard_input(fake: FakeDaemon, env: dict[str, str]) -> None:
    taken = serve_put(fake, "web")
    data = b"".join(pack_tree(Path(__file__), "it"))
    assert weft(env, "cp", "-", "web:/srv", stdin=data).returncode == 0
    assert (taken[0].body, taken[0].query) == (data, {"path": "/srv"})


def test_a_daemon_that_says_no_in_the_middle(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on("PUT", "/v1/machines/web/archive", fail(409, "wrong-state", "/srv in machine 'web' is no folder"))
    done = weft(env, "cp", "-", "web:/srv", stdin=bytes(1 << 20))
    assert done.stderr == b"weft: wrong-state: /srv in machine 'web' is no folder\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["a", "b"], b"weft: invalid: neither side is in a machine"),
        (["web:/absent", "x"], b"weft: not-found: machine 'web' has no /absent"),
        (["absent", "web:/srv"], b"weft: not-found: absent cannot be read: No such file"),
        (["web:/link/", "x"], b"weft: not-found: web:/link/ is a link that leads nowhere"),
        (["web:/file/", "x"], b"weft: not-found: web:/file/ is no folder"),
        (["web:/file", "/nowhere/x"], b"weft: not-found: folder /nowhere: No such file"),
    ],
)
def test_refusals(fake: FakeDaemon, env: dict[str, str], args: list[str], message: bytes) -> None:
    link = view("/link", "link", target="gone", real=None, real_kind=None)
    serve_files(fake, "web", {"/file": view("/file", "file"), "/link": link, "/srv": view("/srv", "folder")})
    done = weft(env, "cp", *args)
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr.startswith(message)


def test_progress_of_a_big_copy_and_no_tar_at_a_terminal(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "big").write_bytes(bytes(1) * (20 << 20))
    serve_files(fake, "web", {"/": view("/", "folder")})
    serve_put(fake, "web")
    terminal = Terminal(env, "cp", str(tmp_path / "big"), "web:/")
    terminal.read_until(b"MiB")
    assert terminal.finish() == 0
    terminal = Terminal(env, "cp", "web:/", "-")
    terminal.read_until(b"a tar is not written to a terminal")
    assert terminal.finish() == 1


def test_the_shell_completes_machines_and_files(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on("GET", "/v1/machines", [{"name": "web"}, {"name": "db"}])
    asked = {"_WEFT_COMPLETE": "bash_complete", "COMP_WORDS": "weft cp w", "COMP_CWORD": "2"}
    assert weft(env | asked).stdout.split() == [b"plain,web:", b"file,w"]


def test_views_here_are_those_of_the_model() -> None:
    from weft.model.files import FileView

    assert json.loads(FileView.model_validate(view("/x", "file")).model_dump_json()) == view("/x", "file")
