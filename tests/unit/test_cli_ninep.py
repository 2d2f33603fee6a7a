"""weft 9p: a folder that is served, and files of a server."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.commands import Weft
from tests.unit.terminals import LIMIT, start_weft
from tests.unit.terminals import weft as run_weft

from weft.ninep.folder import FolderTree
from weft.ninep.server import NinepServer


@contextmanager
def served(folder: Path, address: Path) -> Iterator[None]:
    """A folder at a unix socket, served by a thread of this process."""
    loop = asyncio.new_event_loop()
    with socket.socket(socket.AF_UNIX) as sock, FolderTree(folder, user="glenda") as tree:
        sock.bind(str(address))
        sock.listen()
        sock.setblocking(False)
        task = loop.create_task(NinepServer(tree).serve(sock))
        thread = threading.Thread(target=_run, args=(loop, task))
        thread.start()
        try:
            yield
        finally:
            loop.call_soon_threadsafe(task.cancel)
            thread.join()
            loop.close()


def _run(loop: asyncio.AbstractEventLoop, task: "asyncio.Task[None]") -> None:
    loop.run_until_complete(asyncio.wait([task]))
    loop.run_until_complete(loop.shutdown_default_executor())


class Server:
    """A folder, and the command line that is about it."""

    def __init__(self, folder: Path, weft: Weft) -> None:
        self.folder = folder
        self.weft = weft
        self.address = f"unix!{folder}.9p"

    def ok(self, verb: str, *args: str) -> str:
        ran = self.weft("9p", verb, "-a", self.address, *args)
        assert (ran.status, ran.err) == (0, "")
        return ran.out

    def refusal(self, verb: str, *args: str) -> str:
        ran = self.weft("9p", verb, "-a", self.address, *args)
        assert ran.status == 1
        return ran.err


@pytest.fixture
def server(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Iterator[Server]:
    folder = tmp_path / "folder"
    (folder / "below").mkdir(parents=True)
    (folder / "file").write_bytes(b"text\n")
    (folder / "file").chmod(0o640)
    os.utime(folder / "file", (1000, 2000))
    with served(folder, tmp_path / "folder.9p"):
        yield Server(folder, Weft(tmp_path, capfd))


def test_ls(server: Server) -> None:
    assert server.ok("ls") == "below/\nfile\n"
    assert server.ok("ls", "file", "below") == "file\n"
    rows = server.ok("ls", "-l").splitlines()
    assert rows[2].split()[:4] == ["--rw-r-----", "glenda", "glenda", "5"]
    (view,) = json.loads(server.ok("ls", "--format", "json", "file"))
    assert (view["name"], view["mode"], view["permissions"], view["length"]) == ("file", "--rw-r-----", "640", 5)
    assert (view["user"], view["accessed"], view["modified"]) == ("glenda", 1000, 2000)
    assert server.refusal("ls", "none") == "weft: not-found: none: file does not exist\n"


def test_stat(server: Server) -> None:
    assert "mode         d-rwxr-xr-x" in server.ok("stat", "below")
    assert json.loads(server.ok("stat", "--format", "json", "/"))["name"] == "/"


def test_read(server: Server) -> None:
    (server.folder / "big").write_bytes(big := os.urandom(300_000).hex().encode())
    assert server.ok("read", "file", "big") == f"text\n{big.decode()}"
    assert "invalid: below is a directory" in server.refusal("read", "below")


def test_write(server: Server, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(data := os.urandom(300_001))
    server.ok("write", "file", str(source))
    assert (server.folder / "file").read_bytes() == data
    assert server.refusal("write", "new", str(source)) == "weft: not-found: new: file does not exist\n"
    for text in (b"a\n\nb", b""):
        source.write_bytes(text)
        server.ok("write", "-l", "-c", "new", str(source))
        assert (server.folder / "new").read_bytes() == text


def test_create_and_rm(server: Server) -> None:
    assert server.ok("create", "-d", "new") == "new\n"
    assert server.ok("create", "--append", "--exclusive", "-p", "600", "new/log") == "new/log\n"
    assert json.loads(server.ok("stat", "--format", "json", "new/log"))["mode"] == "alrw-------"
    assert server.refusal("create", "new/log") == "weft: exists: new/log: file already exists\n"
    assert server.refusal("rm", "new") == "weft: wrong-state: new: directory is not empty\n"
    assert json.loads(server.ok("rm", "--format", "json", "new/log", "new")) == [{"path": "new/log"}, {"path": "new"}]
    assert not (server.folder / "new").exists()
    assert server.refusal("rm", "/") == "weft: forbidden: /: permission denied\n"


@pytest.mark.parametrize("digits", ["8", "1000", "-1", "x", "0o7"])
def test_permissions_are_octal(server: Server, digits: str) -> None:
    ran = server.weft("9p", "create", "-a", server.address, f"--permissions={digits}", "new")
    assert (ran.status, ran.err.count("are no permissions")) == (2, 1)


def test_a_part_of_the_tree(server: Server) -> None:
    (server.folder / "below" / "deep").touch()
    assert server.ok("ls", "--aname", "below") == "deep\n"


def test_what_is_no_address_and_where_nobody_is(server: Server, tmp_path: Path) -> None:
    ran = server.weft("9p", "ls", "-a", "localhost:5640")
    assert (ran.status, "address 'localhost:5640' is neither tcp!HOST!PORT nor unix!PATH" in ran.err) == (2, True)
    ran = server.weft("9p", "ls", "-a", f"unix!{tmp_path}/none")
    assert (ran.status, ran.err) == (1, f"weft: unavailable: unix!{tmp_path}/none: No such file or directory\n")
    with socket.create_server(("127.0.0.1", 0)) as sock:
        nobody = f"tcp!127.0.0.1!{sock.getsockname()[1]}"
    ran = server.weft("9p", "ls", "-a", nobody)
    assert (ran.status, ran.err) == (1, f"weft: unavailable: {nobody}: Connection refused\n")


# As processes


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"WEFT_HOME": str(tmp_path)}


def test_rdwr(server: Server, env: dict[str, str]) -> None:
    done = run_weft(env, "9p", "rdwr", "-a", server.address, "file", stdin=b"one\ntwo\n")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == b"text\n" + b"one\n\n" + b"two\n\n"


@pytest.mark.parametrize(
    ("words", "expected"), [("", {"below/", "file"}), ("below/d", {"below/deep"}), ("none/", set()), ("x", set())]
)
def test_the_shell_completes_paths(server: Server, env: dict[str, str], words: str, expected: set[str]) -> None:
    (server.folder / "below" / "deep").touch()
    line = f"weft 9p read -a {server.address} {words}"
    asked = {"_WEFT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": "5"}
    done = run_weft(env | asked)
    assert {answer.partition(",")[2] for answer in done.stdout.decode().split()} == expected


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_serving_until_it_is_enough(tmp_path: Path, env: dict[str, str], number: signal.Signals) -> None:
    (tmp_path / "file").write_text("text\n")
    secret, address = tmp_path / "secret", f"unix!{tmp_path}/socket"
    secret.write_text("something\n")
    secret.chmod(0o600)
    words = ["9p", "serve", str(tmp_path), "--listen", address, "--listen", "tcp!*!0", "--secret-file", str(secret)]
    with start_weft(env, *words) as process:
        assert process.stderr
        lines = [process.stderr.readline().decode() for _ in range(2)]
        assert lines[0] == f"weft: serving {tmp_path} at {address}\n"
        assert lines[1].startswith(f"weft: serving {tmp_path} at tcp!0.0.0.0!")
        assert (tmp_path / "socket").stat().st_mode & 0o777 == 0o700
        port = lines[1].rpartition("!")[2].strip()
        read = ["9p", "read", "-a", f"tcp!127.0.0.1!{port}", "file"]
        assert run_weft(env, *read, "--secret-file", str(secret)).stdout == b"text\n"
        secret.write_text("something else\n")
        for more in ([], ["--secret-file", str(secret)]):
            refused = run_weft(env, *read, *more)
            assert (refused.returncode, refused.stdout) == (1, b"")
            assert refused.stderr.startswith(b"weft: forbidden: ")
        process.send_signal(number)
        process.communicate(timeout=LIMIT)
    assert process.returncode == (130 if number is signal.SIGINT else 0)
    assert not (tmp_path / "socket").exists()


def test_the_tree_of_the_guide_is_served(tmp_path: Path, env: dict[str, str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "guide" / "9p.md").read_text()
    lines = page.partition("### A tree of your own")[2].partition("\n## ")[0].splitlines(keepends=True)
    program = "".join(line[4:] or line for line in lines if line.startswith("    ") or not line.strip())
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path) as process:
        try:
            while not (tmp_path / "clock.9p").exists():
                assert process.poll() is None
                time.sleep(0.01)
            address = ["-a", f"unix!{tmp_path}/clock.9p"]
            assert run_weft(env, "9p", "ls", *address).stdout == b"ctl\ntime\n"
            assert run_weft(env, "9p", "write", *address, "ctl", stdin=b"call Greenwich\n").returncode == 0
            assert run_weft(env, "9p", "read", *address, "time").stdout.endswith(b" Greenwich\n")
            assert b"what there is: call NAME" in run_weft(env, "9p", "write", *address, "ctl", stdin=b"stop").stderr
        finally:
            process.kill()


def test_a_socket_that_was_left_behind_is_in_nobodys_way(tmp_path: Path, env: dict[str, str]) -> None:
    address = tmp_path / "socket"
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(address))
        sock.listen()
        taken = run_weft(env, "9p", "serve", str(tmp_path), "--listen", f"unix!{address}")
        assert b"unavailable: nobody can listen at" in taken.stderr
    with start_weft(env, "9p", "serve", str(tmp_path), "--listen", f"unix!{address}") as process:
        assert process.stderr
        assert b"serving" in process.stderr.readline()
        process.terminate()


@pytest.mark.parametrize(
    ("words", "complaint"),
    [
        (["--listen", "tcp!*!0"], "everybody would be served who gets to tcp!0.0.0.0!"),
        (["--listen", "tcp!127.0.0.1"], "Permission denied"),
        (["--listen", "9p"], "neither tcp!HOST!PORT nor unix!PATH"),
        (["--secret-file", "none"], "not-found: secret none cannot be read"),
        (["--secret-file", "open"], "open can be read by others"),
        (["--secret-file", "empty"], "empty is empty"),
        (["--secret-file", "empty", "--no-auth"], "two ways"),
    ],
)
def test_what_is_not_served(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, words: list[str], complaint: str
) -> None:
    if words[-1] == "tcp!127.0.0.1" and os.geteuid() == 0:
        pytest.skip("root may listen at any port")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "open").write_text("secret")
    (tmp_path / "empty").touch(mode=0o600)
    ran = Weft(tmp_path, capfd)("9p", "serve", str(tmp_path), *words)
    assert ran.status in (1, 2)
    assert complaint in ran.err
    assert ran.err.count("\n") == 1


def test_a_mistake_is_told_before_much_is_imported(env: dict[str, str]) -> None:
    script = (
        "import sys; from weft.cli.main import run_command; run_command(['9p', 'serve', '/none']); print(*sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", script], env=env, capture_output=True, check=True, timeout=LIMIT)
    assert not {"pydantic", "weft.client", "weft.ninep.server"} & set(done.stdout.decode().split())
