"""The tree at a socket: loaded when somebody comes, and gone when the daemon ends."""

import asyncio
import socket
import subprocess
import sys
from pathlib import Path

import pytest
from tests.unit.fake_daemon import FakeDaemon

from weft.filetree.serving import serve_late
from weft.ninep.client import open_client
from weft.ninep.words import NinepError


@pytest.fixture
def listening(tmp_path: Path) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(tmp_path / "9p.sock"))
    sock.listen()
    return sock


async def test_who_comes_is_served_until_the_end(tmp_path: Path, fake: FakeDaemon, listening: socket.socket) -> None:
    fake.on("GET", "/v1/machines", [])
    ending = asyncio.Event()
    with listening:
        address = f"unix!{tmp_path / '9p.sock'}"
        async with serve_late(tmp_path, listening, ending), open_client(address) as client:
            assert await client.read("status") == b""
            ending.set()
            with pytest.raises(NinepError):
                while True:
                    await client.read("status")


async def test_nobody_comes(tmp_path: Path, listening: socket.socket) -> None:
    with listening:
        async with serve_late(tmp_path, listening, asyncio.Event()):
            pass


def test_nothing_of_it_is_loaded_before_somebody_comes() -> None:
    code = "import sys, weft.filetree.serving; print(*(name for name in sys.modules if name.startswith('weft.')))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["weft.filetree", "weft.filetree.serving"]
