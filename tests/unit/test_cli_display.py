"""`weft display` leads viewers to a machine's screen, until there is none."""

import json
import os
import socket
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from tests.unit.fake_daemon import MACHINE, FakeDaemon
from tests.unit.terminals import LIMIT, start_weft, weft
from websockets.sync.server import ServerConnection

from weft.cli.display import parse_listen
from weft.model.errors import Invalid


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"WEFT_HOME": str(tmp_path)}


def shout(connection: ServerConnection) -> None:
    """A screen that says hello and then everything twice."""
    connection.send(b"RFB ")
    while True:
        data = connection.recv(LIMIT)
        assert isinstance(data, bytes)
        connection.send(data + data)


@pytest.mark.parametrize("listen", ["127.0.0.1:0", "[::1]:0", "{folder}/screen"])
def test_viewers_come_and_go_until_the_machine_ends(
    listen: str, fake: FakeDaemon, env: dict[str, str], tmp_path: Path
) -> None:
    ended = Event()

    def wait(_request: object) -> dict[str, Any]:
        assert ended.wait(LIMIT)
        return MACHINE | {"state": "stopped"}

    fake.on_session("/v1/machines/web/display", shout)
    fake.on("GET", "/v1/machines/web/wait", wait)
    if "{folder}" in listen:
        with socket.socket(socket.AF_UNIX) as killed:
            killed.bind(str(tmp_path / "screen"))  # as one leaves it that was killed
    with start_weft(env, "display", "--listen", listen.format(folder=tmp_path), "web") as shown:
        assert shown.stdout is not None
        address = shown.stdout.readline().decode().strip()
        for _ in range(2):
            with connect(address) as viewer:
                assert viewer.recv(4) == b"RFB "
                viewer.sendall(b"ab")
                assert viewer.recv(4, socket.MSG_WAITALL) == b"abab"
        ended.set()
        assert shown.wait(LIMIT) == 0
    assert not (tmp_path / "screen").exists()


def connect(address: str) -> socket.socket:
    where = parse_listen(address)
    if isinstance(where, Path):
        assert where.stat().st_mode & 0o777 == 0o600
        viewer = socket.socket(socket.AF_UNIX)
        viewer.connect(str(where))
    else:
        viewer = socket.create_connection(where)
    viewer.settimeout(LIMIT)
    return viewer


def test_a_machine_without_a_screen_is_refused_at_once(fake: FakeDaemon, env: dict[str, str]) -> None:
    error = {"code": "wrong-state", "message": "machine 'web' has no screen", "hint": None, "detail": None}
    fake.on_session("/v1/machines/web/display", lambda connection: connection.send(json.dumps({"error": error})))
    done = weft(env, "display", "web")
    assert (done.returncode, done.stdout) == (1, b"")
    assert done.stderr == b"weft: wrong-state: machine 'web' has no screen\n"


def test_a_place_that_is_taken_is_named(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    fake.on_session("/v1/machines/web/display", shout)
    (tmp_path / "taken").touch()
    done = weft(env, "display", "--listen", f"{tmp_path}/taken", "web")
    assert done.returncode == 1
    assert done.stderr.startswith(f"weft: unavailable: cannot listen at {tmp_path}/taken: ".encode())
    assert (tmp_path / "taken").exists()


@pytest.mark.parametrize("text", ["5900", ":5900", "host", "host:", "host:http", "host:65536", ""])
def test_what_is_no_address_is_told(text: str) -> None:
    with pytest.raises(Invalid):
        parse_listen(text)
