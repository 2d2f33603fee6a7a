"""weft 9p fabric: the tree of a fabric by a process of its own."""

import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.unit.fake_daemon import FakeDaemon
from tests.unit.terminals import start_weft
from tests.unit.terminals import weft as run_weft

NETWORK = {
    "name": "lan", "subnet": "10.1.0.0/24", "gateway": "10.1.0.1", "mtu": 1500, "uplink": False, "created": 1.0,
    "members": [],
}  # fmt: skip


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    return os.environ | {"WEFT_HOME": str(tmp_path)}


@contextmanager
def served(env: dict[str, str], where: Path, *words: str, before: tuple[str, ...] = ()) -> Iterator[str]:
    """Serve, and say at which address."""
    address = f"unix!{where / 'tree.9p'}"
    with start_weft(env, *before, "9p", "fabric", "--listen", address, *words) as process:
        assert process.stderr
        assert b"weft: serving " in process.stderr.readline()
        yield address
        process.send_signal(signal.SIGTERM)
        assert process.wait() == 0
    assert not (where / "tree.9p").exists()


def test_it_serves_what_the_api_says(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    fake.on("GET", "/v1/networks", [NETWORK])
    fake.on("DELETE", "/v1/networks/lan", None)
    with served(env, tmp_path) as address:
        assert b"host/" in run_weft(env, "9p", "ls", "-a", address).stdout
        assert run_weft(env, "9p", "read", "-a", address, "network/lan/ctl").stdout == b"lan\n"
        done = run_weft(env, "9p", "write", "-a", address, "network/lan/ctl", stdin=b"remove\n")
        assert (done.returncode, done.stderr) == (0, b"")
    assert fake.last().method == "DELETE"


def test_a_room_alone_to_look_at(fake: FakeDaemon, env: dict[str, str], tmp_path: Path) -> None:
    fake.on("GET", "/v1/rooms/acme/networks", [NETWORK])
    with served(env, tmp_path, "--ro", before=("--room", "acme")) as address:
        assert b"host" not in run_weft(env, "9p", "ls", "-a", address).stdout
        assert run_weft(env, "9p", "read", "-a", address, "network/status").stdout.startswith(b"lan ")
        done = run_weft(env, "9p", "write", "-a", address, "network/lan/ctl", stdin=b"remove\n")
        assert (done.returncode, done.stderr.count(b"permission denied")) == (1, 1)
    assert all(request.method == "GET" for request in fake.requests)
