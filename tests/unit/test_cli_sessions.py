"""Sessions as a process sees them: pipes, terminals, signals, and how they end."""

import json
import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Reply
from tests.unit.terminals import LIMIT, Terminal, start_weft, weft
from websockets.sync.server import ServerConnection


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"WEFT_HOME": str(tmp_path)}


# exec


def exit_with(**status: Any) -> Callable[[ServerConnection], None]:
    def talk(connection: ServerConnection) -> None:
        connection.recv(5)
        connection.send(json.dumps({"started": 7}))
        connection.send(b"\x01out\n")
        connection.send(b"\x02err\n")
        connection.send(json.dumps({"exit": {"code": None, "signal": None} | status}))

    return talk


@pytest.mark.parametrize(("end", "status"), [({"code": 0}, 0), ({"code": 3}, 3), ({"signal": 15}, 143)])
def test_exec_is_the_program(fake: FakeDaemon, env: dict[str, str], end: dict[str, int], status: int) -> None:
    fake.on_session("/v1/machines/web/exec", exit_with(**end))
    done = weft(env, "exec", "web", "--", "ls", "-l")
    assert (done.returncode, done.stdout, done.stderr) == (status, b"out\n", b"err\n")


def test_exec_passes_the_request(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    seen: list[Any] = []

    def talk(connection: ServerConnection) -> None:
        seen.append(json.loads(connection.recv(5)))
        connection.send(json.dumps({"exit": {"code": 0, "signal": None}}))

    fake.on_session("/v1/machines/web/exec", talk)
    (tmp_path / "vars").write_text("# a comment\n\nA=0\nB=two words\nHERE\nNOT_HERE\n")
    options = ["--env-file", str(tmp_path / "vars"), "-e", "A=1", "-e", "ALSO", "-w", "/srv", "-u", "5:6"]
    weft(env | {"HERE": "x=y", "ALSO": ""}, "exec", *options, "web", "ls", "-l", "--")
    variables = {"A": "1", "B": "two words", "HERE": "x=y", "ALSO": ""}
    program = {"argv": ["ls", "-l", "--"], "env": variables, "cwd": "/srv", "user": "5:6"}
    assert seen == [program | {"tty": None, "stdin": False}]


def test_exec_in_the_background_returns_when_it_runs(fake: FakeDaemon, env: dict[str, str]) -> None:
    seen: list[Any] = []

    def talk(connection: ServerConnection) -> None:
        seen.append(json.loads(connection.recv(5)))
        connection.send(json.dumps({"started": 7}))

    fake.on_session("/v1/machines/web/exec", talk)
    done = weft(env, "exec", "-dit", "web", "sleep", "9")
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert (seen[0]["argv"], seen[0]["detach"]) == (["sleep", "9"], True)
    fake.on_session("/v1/machines/web/exec", lambda c: talk_error(c, "not-found", "web has no program nope"))
    assert weft(env, "exec", "-d", "web", "nope").returncode == 1
    fake.on_session("/v1/machines/web/exec", lambda c: c.close())
    assert b"before the program was started" in weft(env, "exec", "-d", "web", "nope").stderr


def test_ctrl_c_is_passed_on_once(fake: FakeDaemon, env: dict[str, str]) -> None:
    def talk(connection: ServerConnection) -> None:
        connection.recv(5)
        connection.send(b"\x01ready\n")
        assert json.loads(connection.recv(LIMIT)) == {"signal": 2}
        connection.send(b"\x01last words\n")
        connection.send(json.dumps({"exit": {"code": None, "signal": 2}}))

    fake.on_session("/v1/machines/web/exec", talk)
    with start_weft(env, "exec", "web", "sleep", "60") as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out, err) == (130, b"last words\n", b"")


def echo(connection: ServerConnection) -> None:
    """A program like cat, but that it reads all before it writes: two ends that read nothing while they write could
    wait for each other for ever. The daemon goes on reading.
    """
    assert json.loads(connection.recv(5))["stdin"] is True
    pieces = []
    while isinstance(message := connection.recv(5), bytes):
        pieces.append(message[1:])
    assert json.loads(message) == {"eof": True}
    for piece in pieces:
        connection.send(b"\x01" + piece)
    connection.send(json.dumps({"exit": {"code": 0, "signal": None}}))


def test_exec_streams_input_until_its_end(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on_session("/v1/machines/web/exec", echo)
    data = os.urandom(1 << 20)
    done = weft(env, "exec", "-i", "web", "--", "cat", stdin=data)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == data


def test_exec_of_what_cannot_run(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on_session("/v1/machines/web/exec", lambda c: talk_error(c, "not-found", "web has no program nope"))
    done = weft(env, "exec", "web", "nope")
    assert (done.returncode, done.stderr) == (1, b"weft: not-found: web has no program nope\n")


def talk_error(connection: ServerConnection, code: str, message: str) -> None:
    connection.recv(5)
    connection.send(json.dumps({"error": {"code": code, "message": message, "hint": None, "detail": None}}))


def test_exec_refused_before_it_opens(fake: FakeDaemon, env: dict[str, str]) -> None:
    done = weft(env, "exec", "nobody", "ls")
    assert done.returncode == 1
    assert done.stderr == b"weft: not-found: nothing at /v1/machines/nobody/exec\n"


def test_exec_in_a_machine_that_dies(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on_session("/v1/machines/web/exec", lambda connection: connection.close())
    done = weft(env, "exec", "web", "ls")
    assert done.returncode == 1
    assert done.stderr.startswith(b"weft: unavailable: the machine or the daemon ended before")


# Terminals


def test_exec_at_a_terminal_is_a_terminal(fake: FakeDaemon, env: dict[str, str]) -> None:
    seen: list[Any] = []

    def talk(connection: ServerConnection) -> None:
        seen.append(json.loads(connection.recv(5)))
        connection.send(b"\x01$ ")
        while len(seen) < 3:
            seen.append(connection.recv(5))
            connection.send(b"\x01#")
        connection.send(json.dumps({"exit": {"code": 5, "signal": None}}))

    fake.on_session("/v1/machines/web/exec", talk)
    terminal = Terminal(env, "exec", "web", "sh")
    terminal.read_until(b"$ ")
    terminal.type(b"\x03")  # raw mode: Ctrl-C is the program's, not ours
    terminal.read_until(b"#")
    terminal.resize(50, 120)
    terminal.tell_resize()
    assert terminal.finish() == 5
    assert (seen[0]["tty"], seen[0]["stdin"]) == ([40, 100], True)
    assert seen[1:] == [b"\x00\x03", '{"resize": [50, 120]}']


def test_console_detaches(fake: FakeDaemon, env: dict[str, str]) -> None:
    typed: list[bytes] = []

    def talk(connection: ServerConnection) -> None:
        connection.send(b"login: ")
        while True:
            message = connection.recv(5)
            assert isinstance(message, bytes)
            typed.append(message)

    fake.on_session("/v1/machines/web/console", talk)
    terminal = Terminal(env, "console", "web")
    terminal.read_until(b"login: ")
    terminal.type(b"root\x1dnot sent")
    assert terminal.finish() == 0
    assert b"".join(typed) == b"root"


def test_console_ends_with_the_machine(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on_session("/v1/machines/web/console", lambda connection: connection.send(b"Power down\r\n"))
    done = weft(env, "console", "web")
    assert (done.returncode, done.stdout) == (0, b"Power down\r\n")


def test_console_prints_what_was_said_before(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on_session("/v1/machines/web/console", lambda connection: connection.send(b"now\r\n"))
    fake.on("GET", "/v1/machines/web/logs", lambda request: Reply(f"last {request.query['tail']}\n".encode()))
    done = weft(env, "console", "-n", "5", "web")
    assert (done.returncode, done.stdout) == (0, b"last 5\nnow\r\n")


def wait_for_typing(connection: ServerConnection) -> None:
    connection.recv(5)
    connection.send(b"\x01$ ")
    connection.recv(LIMIT)
    connection.send(b"\x01#")
    connection.recv(LIMIT)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT])
def test_a_signal_leaves_the_terminal_as_it_was(fake: FakeDaemon, env: dict[str, str], number: signal.Signals) -> None:
    fake.on_session("/v1/machines/web/exec", wait_for_typing)
    terminal = Terminal(env, "exec", "web", "sh")
    terminal.type(b"x")
    terminal.read_until(b"#")
    assert terminal.is_raw()
    terminal.child.send_signal(number)
    assert terminal.finish() == 128 + number


def test_stopping_gives_the_terminal_back_meanwhile(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on_session("/v1/machines/web/exec", wait_for_typing)
    terminal = Terminal(env, "exec", "web", "sh")
    terminal.type(b"x")
    terminal.read_until(b"#")
    terminal.child.send_signal(signal.SIGTSTP)
    _, status = os.waitpid(terminal.child.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    assert not terminal.is_raw()
    terminal.child.send_signal(signal.SIGCONT)
    terminal.type(b"y")
    assert terminal.finish() == 1


# attach


def serve_console(fake: FakeDaemon, talk: Callable[[ServerConnection], None], **end: Any) -> None:
    fake.on("GET", "/v1/machines/web", MACHINE)
    fake.on("GET", "/v1/machines/web/wait", MACHINE | {"state": "stopped", "exit": end})
    fake.on_session("/v1/machines/web/console", talk)


def test_attach_feeds_the_terminal_and_detaches(fake: FakeDaemon, env: dict[str, str]) -> None:
    seen: list[Any] = []

    def talk(connection: ServerConnection) -> None:
        seen.append(connection.recv(LIMIT))
        connection.send(b"$ ")
        while b"\x03" not in seen:
            seen.append(connection.recv(LIMIT))
        connection.send(b"one\n")
        seen.append(connection.recv(LIMIT))
        connection.send(b"#")
        connection.recv(LIMIT)

    serve_console(fake, talk)
    terminal = Terminal(env, "attach", "web")
    terminal.read_until(b"$ ")
    terminal.type(b"\x03")
    terminal.read_until(b"one\r\n")
    terminal.resize(50, 120)
    terminal.tell_resize()
    terminal.read_until(b"#")
    terminal.type(b"\x10\x11")
    terminal.read_until(b"detached from web")
    assert terminal.finish() == 0
    assert seen == ['{"resize": [40, 100]}', b"\x03", '{"resize": [50, 120]}']


def test_attach_feeds_a_pipe_and_ends_with_the_entry_point(fake: FakeDaemon, env: dict[str, str]) -> None:
    seen: list[Any] = []

    def talk(connection: ServerConnection) -> None:
        while len(seen) < 3:
            seen.append(connection.recv(LIMIT))
        connection.send(b"\x00\xffout\n")

    serve_console(fake, talk, code=4)
    done = weft(env, "attach", "web", stdin=b"a\x03b")
    assert (done.returncode, done.stdout, done.stderr) == (4, b"\x00\xffout\n", b"")
    assert seen == ['{"echo": false}', b"a\x16\x03b\x04", b"\x04"]


def test_signals_go_to_the_entry_point(fake: FakeDaemon, env: dict[str, str]) -> None:
    def talk(connection: ServerConnection) -> None:
        connection.send(b"ready\n")
        assert json.loads(connection.recv(LIMIT)) == {"signal": 15}
        connection.send(b"bye\n")

    serve_console(fake, talk, signal=15)
    with start_weft(env, "attach", "--no-stdin", "web") as process:
        assert process.stdout and process.stdout.readline() == b"ready\n"
        process.send_signal(signal.SIGTERM)
        out, err = process.communicate(timeout=LIMIT)
    assert (process.returncode, out, err) == (143, b"bye\n", b"")


def test_run_with_input_attaches(fake: FakeDaemon, env: dict[str, str]) -> None:
    def talk(connection: ServerConnection) -> None:
        assert connection.recv(LIMIT) == '{"echo": false}'
        assert connection.recv(LIMIT) == b"hi\n"
        connection.send(b"got hi\n")

    fake.on("POST", "/v1/machines", MACHINE)
    serve_console(fake, talk, code=3)
    done = weft(env, "run", "-i", "base", "cat", stdin=b"hi\n")
    assert (done.returncode, done.stdout, done.stderr) == (3, b"got hi\n", b"")


def test_run_at_a_terminal_can_be_left(fake: FakeDaemon, env: dict[str, str]) -> None:
    def talk(connection: ServerConnection) -> None:
        connection.recv(LIMIT)
        connection.send(b"$ ")
        connection.recv(LIMIT)

    fake.on("POST", "/v1/machines", MACHINE)
    serve_console(fake, talk)
    terminal = Terminal(env, "run", "-it", "--rm", "base", "sh")
    terminal.read_until(b"$ ")
    terminal.type(b"\x10\x11")
    terminal.read_until(b"detached from web")
    assert terminal.finish() == 0
    assert not [request for request in fake.requests if request.method == "DELETE"]


def test_run_of_what_has_ended_before_we_came_prints_its_log(fake: FakeDaemon, env: dict[str, str]) -> None:
    fake.on("POST", "/v1/machines", MACHINE)
    serve_console(fake, lambda c: c.send(json.dumps({"error": {"code": "wrong-state", "message": "x"}})), code=9)
    fake.on("GET", "/v1/machines/web/logs", Reply([b"short\n"]))
    done = weft(env, "run", "-i", "base")
    assert (done.returncode, done.stdout) == (9, b"short\n")
