"""The daemon: the one place where a fabric, its API and its process are wired together."""

import argparse
import asyncio
import fcntl
import json
import logging
import os
import resource
import signal
import socket
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import uvicorn

from weft.api.app import make_app
from weft.fabric.layout import Layout
from weft.fabric.opening import open_fabric
from weft.filetree.serving import serve_late
from weft.guest.binary import read_init
from weft.host.doctor import diagnose
from weft.host.sockets import listen_unix
from weft.model.errors import WeftError
from weft.model.expose import Visit
from weft.settings import load_settings

log = logging.getLogger("weft")
BACKLOG = 128
"""Connections that may wait while the server comes up."""
DESCRIPTORS = 65536
GRACE = 2
"""Seconds that open connections get when the daemon ends."""


class Server(uvicorn.Server):
    """uvicorn without its own signal handling: the daemon has reasons of its own to end."""

    def install_signal_handlers(self) -> None:
        """Nothing: see `serve`."""


async def serve(home: Path) -> None:
    """Adopt the fabric in `home` and serve it until a signal or a request ends the daemon."""
    layout = Layout(home)
    async with open_fabric(home, load_settings(home), read_init(), partial(_receive, home)) as fabric:
        take_down = False
        ending = asyncio.Event()

        def shut_down(machines: bool = False) -> None:
            nonlocal take_down
            take_down = machines
            fabric.shared.events.close()
            ending.set()
            server.should_exit = True

        app = make_app(fabric, shut_down)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            ws_ping_interval=None,
            timeout_graceful_shutdown=GRACE,
            lifespan="off",
        )
        server = Server(config)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, shut_down)
        with listen_unix(layout.socket, backlog=BACKLOG) as sock, listen_unix(layout.files, backlog=BACKLOG) as files:
            log.info("serving %s", home)
            async with serve_late(home, files, ending):
                await _run(server, sock)
            layout.files.unlink(missing_ok=True)
            layout.socket.unlink(missing_ok=True)
        if take_down:
            await fabric.rooms.dismantle()


async def _receive(home: Path, connection: socket.socket, visits: Sequence[Visit]) -> None:
    """Serve the file tree to a machine; nothing of that is loaded before one calls."""
    from weft.filetree.visiting import receive

    await receive(home, connection, visits)


async def _run(server: Server, sock: socket.socket) -> None:
    await server._serve(sockets=[sock])  # serve() would take the signals over


def take_lock(layout: Layout) -> int | None:
    """Be the one daemon of this home; None when there is another."""
    layout.create()
    fd = os.open(layout.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(fd)
        return None
    return fd


def _raise_descriptors() -> None:
    """As many descriptors as we may have: each session of each machine takes one, and the usual limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    limit = DESCRIPTORS if most == resource.RLIM_INFINITY else min(DESCRIPTORS, most)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limit, most))


def print_examination() -> int:
    """What `weft doctor` shows, without a fabric: it must work where no daemon can start."""
    with tempfile.TemporaryDirectory(prefix="weft-examine-") as run_dir:
        checks = asyncio.run(diagnose(Path(run_dir)))
    json.dump([asdict(check) for check in checks], sys.stdout)
    return 0


def main(argv: Sequence[str] | None = None) -> int:
    """`python -m weft.daemon --home DIR`. A second daemon of the same home ends at once, with status 0."""
    parser = argparse.ArgumentParser(prog="weft-daemon", description="Serve a fabric.")
    parser.add_argument("--home", type=Path, required=True, help="folder with the fabric's state")
    parser.add_argument("--examine", action="store_true", help="print what the host has and lacks, as JSON, and end")
    options = parser.parse_args(argv)
    home = options.home.absolute()
    if options.examine:
        return print_examination()
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s %(name)s: %(message)s")
    for name in ("uvicorn", "httpx"):  # httpx logs addresses of blobs, which may have rights in them
        logging.getLogger(name).setLevel(logging.WARNING)
    os.umask(0o077)
    _raise_descriptors()
    try:
        lock = take_lock(Layout(home))
        if lock is None:
            log.info("another daemon serves %s", home)
            return 0
        asyncio.run(serve(home))
    except WeftError as err:
        log.error("%s: %s", err.code, err)
        return 1
    except OSError as err:
        log.error("unavailable: %s: %s", home, err)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
