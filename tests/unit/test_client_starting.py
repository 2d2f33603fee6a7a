"""Finding the daemon, and starting one: a real program that listens, is late, loses the race, or fails."""

import fcntl
import os
import signal
import socket
import stat
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.fake_daemon import open_fake_daemon

from weft.client import Client
from weft.client.home import connect_socket, default_home
from weft.client.starting import is_answering, start_daemon
from weft.model.errors import Unavailable

LISTEN = """
import os, socket, sys, fcntl, signal
home = sys.argv[1]
lock = open(home + "/lock", "a")
try:
    fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
except BlockingIOError:
    sys.exit(0)
open(home + "/pids", "a").write(f"{os.getpid()} {os.getsid(0)}\\n")
s = socket.socket(socket.AF_UNIX)
s.bind(home + "/weft.sock")
s.listen()
signal.pause()
"""


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Path]:
    """A folder whose listeners are ended afterwards."""
    yield tmp_path / "home"
    for pid, _session in read_pids(tmp_path / "home"):
        os.kill(pid, signal.SIGKILL)


def read_pids(home: Path) -> list[tuple[int, int]]:
    if not (home / "pids").exists():
        return []
    lines = (home / "pids").read_text().splitlines()
    return [(int(pid), int(session)) for pid, session in map(str.split, lines)]


def listen(home: Path) -> list[str]:
    return [sys.executable, "-c", LISTEN, str(home)]


def test_a_daemon_is_started_in_a_session_of_its_own(home: Path) -> None:
    start_daemon(home, argv=listen(home), timeout=10)
    assert is_answering(home)
    ((pid, session),) = read_pids(home)
    assert pid == session != os.getsid(0)
    assert stat.S_IMODE(home.stat().st_mode) == 0o700


def test_many_at_once_make_one(home: Path) -> None:
    threads = [threading.Thread(target=start_daemon, args=(home,), kwargs={"argv": listen(home)}) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert len(read_pids(home)) == 1


def test_a_daemon_that_fails_says_why(home: Path) -> None:
    program = "import sys; print('address in use', file=sys.stderr); sys.exit(3)"
    with pytest.raises(Unavailable, match="ended with status 3") as caught:
        start_daemon(home, argv=[sys.executable, "-c", program], timeout=10)
    assert caught.value.detail == "address in use"
    assert str(home / "daemon.log") in str(caught.value.hint)


def test_a_daemon_that_never_listens_is_given_up(home: Path) -> None:
    program = f"import os, signal; open({str(home / 'pids')!r}, 'w').write(f'{{os.getpid()}} 0'); signal.pause()"
    with pytest.raises(Unavailable, match="does not answer in time"):
        start_daemon(home, argv=[sys.executable, "-c", program], timeout=1)


def test_a_daemon_on_its_way_out_is_replaced(home: Path) -> None:
    home.mkdir()
    with (home / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        threading.Timer(1, fcntl.flock, (lock, fcntl.LOCK_UN)).start()
        start_daemon(home, argv=listen(home), timeout=20)
    assert is_answering(home)


def test_a_home_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot start") as caught:
        start_daemon(tmp_path / "file" / "home", argv=["true"])
    assert "WEFT_HOME" in str(caught.value.hint)


def test_without_start_nothing_is_started(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="no daemon runs"):
        Client(tmp_path / "none", start=False).version()
    assert not (tmp_path / "none").exists()


def test_a_stale_socket_is_no_daemon(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(str(tmp_path / "weft.sock"))
    assert not is_answering(tmp_path)
    with pytest.raises(Unavailable, match="no daemon runs"):
        Client(tmp_path, start=False).version()


def test_paths_longer_than_an_address(tmp_path: Path) -> None:
    home = tmp_path / ("d" * 60) / ("e" * 60)
    with open_fake_daemon(home):
        assert Client(home, start=False).version()["version"] == "9"
        before = count_descriptors(home)
        connect_socket(home, 1).close()
        assert count_descriptors(home) == before


def count_descriptors(home: Path) -> int:
    """How many of this process's descriptors are of this folder."""
    return sum(os.path.realpath(f"/proc/self/fd/{fd.name}") == str(home) for fd in Path("/proc/self/fd").iterdir())


def test_default_homes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("WEFT_HOME", str(tmp_path))
    assert default_home() == tmp_path
    monkeypatch.delenv("WEFT_HOME")
    monkeypatch.setenv("HOME", "/home/a")
    expected = "/var/lib/weft" if os.geteuid() == 0 else "/home/a/.local/share/weft"
    assert default_home() == Path(expected)


def test_a_relative_home_is_made_absolute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert Client(Path("here")).home == tmp_path / "here"
