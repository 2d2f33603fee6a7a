"""The command line as a process: pipes, signals, completion, and what it costs to start."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Reply, fail
from tests.unit.terminals import LIMIT, start_weft, weft


@pytest.fixture
def env(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    return os.environ | {"WEFT_HOME": str(tmp_path)}


class Endless:
    """A stream that says one thing and then nothing, until it is let go or its reader is gone."""

    def __init__(self, first: bytes, then: bytes = b"") -> None:
        self.first, self.then = first, then
        self.let_go = threading.Event()

    def __call__(self, _request: Any) -> Reply:
        return Reply(self._pieces())

    def _pieces(self) -> Iterator[bytes]:
        yield self.first
        while not self.let_go.wait(0.02):
            if self.then:
                yield self.then


# Signals and pipes


def test_ctrl_c_is_quiet(fake: FakeDaemon, env: dict[str, str]) -> None:
    stream = Endless(b"hello\n")
    fake.on("GET", "/v1/machines/web/logs", stream)
    with start_weft(env, "logs", "-f", "web") as process:
        assert process.stdout
        assert process.stdout.read(6) == b"hello\n"
        process.send_signal(signal.SIGINT)
        _, err = process.communicate(timeout=LIMIT)
    stream.let_go.set()
    assert (process.returncode, err) == (130, b"")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_machine_in_the_foreground_is_stopped_with_us(
    fake: FakeDaemon, env: dict[str, str], number: signal.Signals
) -> None:
    stream = Endless(b"booting\n")
    fake.on("POST", "/v1/machines", MACHINE)
    fake.on("POST", "/v1/machines/web/stop", MACHINE | {"state": "stopped"})
    fake.on("DELETE", "/v1/machines/web", Reply(b"", 204))
    fake.on("GET", "/v1/machines/web/logs", stream)
    with start_weft(env, "run", "--rm", "base") as process:
        assert process.stdout
        assert process.stdout.read(8) == b"booting\n"
        process.send_signal(number)
        _, err = process.communicate(timeout=LIMIT)
    stream.let_go.set()
    assert (process.returncode, err) == (130, b"weft: stopping web\n")
    assert [request.path for request in fake.requests[-2:]] == ["/v1/machines/web/stop", "/v1/machines/web"]
    assert fake.last().method == "DELETE"


@pytest.mark.parametrize(("args", "route", "status"), [(["logs", "-f"], "logs", 141), (["sniff"], "sniff", 0)])
def test_a_reader_that_leaves_ends_it_quietly(
    fake: FakeDaemon, env: dict[str, str], args: list[str], route: str, status: int
) -> None:
    stream = Endless(b"first\n", b"more\n")
    fake.on("GET", f"/v1/machines/web/{route}", stream)
    with start_weft(env, *args, "web") as process:
        assert process.stdout
        assert process.stdout.read(6) == b"first\n"
        process.stdout.close()
        assert process.wait(LIMIT) == status
        assert process.stderr
        assert process.stderr.read() == b""
    stream.let_go.set()


def test_a_table_into_a_pipe_that_nobody_reads(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on("GET", "/v1/machines", [MACHINE] * 5000)
    with start_weft(env, "ps") as process:
        assert process.stdout
        process.stdout.close()
        assert process.wait(LIMIT) == 141
        assert process.stderr
        assert process.stderr.read() == b""


def test_sniff_passes_packets_on_as_they_come(fake: FakeDaemon, env: dict[str, str]) -> None:
    stream = Endless(b"\x0a\x0d\x0d\x0a")
    fake.on("GET", "/v1/machines/web/sniff", stream)
    with start_weft(env, "sniff", "web:1", "-w", "-", "--count", "3", "--for", "30s", "tcp", "port", "80") as process:
        assert process.stdout
        assert process.stdout.read(4) == b"\x0a\x0d\x0d\x0a"
        stream.let_go.set()
        assert process.wait(LIMIT) == 0
    assert fake.last().query == {
        "nic": "1",
        "filter": "tcp port 80",
        "count": "3",
        "seconds": "30.0",
        "format": "pcapng",
        "mode": "inline",
    }


def test_sniff_into_a_file(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    target = tmp_path / "packets"
    target.write_bytes(b"old and longer")
    fake.on("GET", "/v1/machines/web/sniff", fail(422, "invalid", "filter 'prot 80': syntax error"))
    assert weft(env, "sniff", "web", "-w", str(target), "prot 80").returncode == 1
    assert target.read_bytes() == b"old and longer"
    fake.on("GET", "/v1/machines/web/sniff", Reply([b"new", b"!"]))
    assert weft(env, "sniff", "web", "-w", str(target)).returncode == 0
    assert target.read_bytes() == b"new!"
    done = weft(env, "sniff", "web", "-w", str(tmp_path / "none" / "x"))
    assert done.returncode == 2
    assert done.stderr.startswith(b"weft: invalid: Could not open file")


def test_shutdown_returns_when_the_daemon_has_ended(fake: FakeDaemon, env: dict[str, str]) -> None:
    with subprocess.Popen(["sleep", "60"]) as daemon:
        fake.on("GET", "/v1/version", {"pid": daemon.pid})

        def end(_request: Any) -> Reply:
            daemon.kill()
            return Reply(b"", 202)

        fake.on("POST", "/v1/shutdown", end)
        assert weft(env, "shutdown").returncode == 0
        assert Path(f"/proc/{daemon.pid}/stat").read_text().split()[2] == "Z"
    assert fake.last().body == {"machines": False}


def put_apt_get(folder: Path, status: int) -> dict[str, str]:
    """A program named apt-get that writes down what it is asked, and the PATH that finds it first."""
    (folder / "apt-get").write_text(
        f'#!/bin/sh\necho "$@" >"{folder}/asked"\necho "E: no such package"\nexit {status}\n'
    )
    (folder / "apt-get").chmod(0o755)
    return {"PATH": f"{folder}:{os.environ['PATH']}"}


@pytest.mark.skipif(os.geteuid() != 0, reason="packages are installed as root")
def test_doctor_installs_what_is_missing(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    def check(_request: Any) -> Any:
        return [
            {"name": "pasta", "ok": (tmp_path / "asked").exists(), "detail": None, "hint": None, "package": "passt"}
        ]

    fake.on("GET", "/v1/doctor", check)
    done = weft(env | put_apt_get(tmp_path, 0), "doctor", "--fix")
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"installing passt\n")
    assert (tmp_path / "asked").read_text() == "install -y --no-install-recommends passt\n"


@pytest.mark.skipif(os.geteuid() != 0, reason="packages are installed as root")
def test_doctor_tells_why_nothing_could_be_installed(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    check = {"name": "pasta", "ok": False, "detail": None, "hint": None, "package": "passt"}
    fake.on("GET", "/v1/doctor", [check])
    done = weft(env | put_apt_get(tmp_path, 100), "doctor", "--fix")
    assert done.returncode == 1
    message = b"weft: unavailable: apt-get could not install passt (apt-get update may help)\n    E: no such package\n"
    assert done.stderr == message


def test_links_where_lines_cannot_be_drawn(fake: FakeDaemon, env: dict[str, str]) -> None:
    insert = {"name": "fw", "mode": "inline", "state": "blocked"}
    port = {"machine": "web", "nic": 0, "network": "lan", "state": "running", "chain": [insert]}
    fake.on("GET", "/v1/ports", [port])
    done = weft(env | {"PYTHONIOENCODING": "ascii"}, "links")
    assert done.stdout == b"net lan -x- fw[blocked] -x- web\n"


# The shell, and starting


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("weft sto", {"stop"}),
        ("weft stop w", {"web", "worker"}),
        ("weft scale --cpus 2 ", {"db"}),
        ("weft insert --before ", {"web:0"}),
        ("weft network inspect ", {"lan"}),
        ("weft run --profile ", {"microvm", "q35", "pc"}),
        ("weft run -v da", {"data:"}),
        ("weft volume rm ", {"data", "logs"}),
        ("weft run -o no", {"nobootprompt=", "nora6="}),
        ("weft update -o us", {"user="}),
    ],
)
def test_the_shell_completes(fake: FakeDaemon, env: dict[str, str], line: str, expected: set[str]) -> None:
    fixed = [{"name": name, "elastic": None} for name in ("web", "worker")]
    fake.on("GET", "/v1/machines", [*fixed, {"name": "db", "elastic": {"name": "db"}}])
    fake.on("GET", "/v1/ports", [{"port": "web:0"}])
    fake.on("GET", "/v1/networks", [{"name": "lan"}])
    fake.on("GET", "/v1/volumes", [{"name": "data"}, {"name": "logs"}])
    asked = {"_WEFT_COMPLETE": "bash_complete", "COMP_WORDS": line, "COMP_CWORD": str(line.count(" "))}
    done = weft(env | asked)
    assert {answer.partition(",")[2] for answer in done.stdout.decode().splitlines()} == expected


def test_completion_starts_no_daemon(env: dict[str, str], tmp_path: Path) -> None:
    asked = {"_WEFT_COMPLETE": "bash_complete", "COMP_WORDS": "weft stop ", "COMP_CWORD": "2"}
    done = weft(env | asked)
    assert (done.stdout.strip(), done.stderr) == (b"", b"")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("command", [["ps"], ["run", "--help"]])
def test_a_command_imports_nothing_that_it_does_not_need(
    fake: FakeDaemon, env: dict[str, str], command: list[str]
) -> None:
    fake.on("GET", "/v1/machines", [MACHINE])
    program = (
        f"import sys; from weft.cli.main import run_command as r; r({command}); print(*sys.modules, file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, timeout=LIMIT, check=True)
    heavy = {
        "asyncio",
        "http.client",
        "httpx",
        "importlib.metadata",
        "pydantic",
        "rich",
        "ssl",
        "subprocess",
        "websockets",
    }
    assert heavy & set(done.stderr.decode().split()) == set()
    assert done.stdout
