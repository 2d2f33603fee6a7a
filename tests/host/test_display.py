"""A real QEMU shows its screen to whom it is handed a socket to, and listens nowhere."""

import asyncio
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests import rfb

from weft.host.pids import stop_processes
from weft.host.process import start_latched
from weft.host.qemu import Qmp, open_qmp
from weft.host.sockets import listen_unix

pytestmark = pytest.mark.host


@pytest.fixture
async def qmp(tmp_path: Path) -> AsyncIterator[Qmp]:
    path = tmp_path / "qmp"
    with listen_unix(path) as sock:
        argv = ["qemu-system-x86_64", "-M", "q35", "-nodefaults", "-no-user-config", "-display", "none", "-S"]
        argv += ["-device", "VGA", "-vnc", "none,share=ignore"]
        argv += ["-chardev", f"socket,id=qmp,fd={sock.fileno()},server=on,wait=off", "-mon", "chardev=qmp,mode=control"]
        argv += ["-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"]
        latched = start_latched(argv, fds=[sock.fileno()])
    latched.release()
    opened = await open_qmp(path)
    yield opened
    await opened.close()
    await stop_processes([latched.process], term_for=0.1)


async def test_viewers_see_a_screen_side_by_side(qmp: Qmp) -> None:
    viewers = []
    for _ in range(2):
        ours, theirs = socket.socketpair()
        with theirs:
            await qmp.add_viewer(theirs.fileno())
        ours.settimeout(60)
        viewers.append(ours)
    assert [await asyncio.to_thread(rfb.begin, viewer) for viewer in viewers] == [(640, 480)] * 2, "nothing runs yet"
    pictures = [await asyncio.to_thread(rfb.ask_for, viewer, 16, 8) for viewer in viewers]
    assert all(len(picture) >= 16 * 8 * 4 for picture in pictures), "nobody has it to himself"
    for viewer in viewers:
        viewer.close()
    assert (await qmp.execute("query-vnc"))["enabled"] is False, "it listens nowhere"
