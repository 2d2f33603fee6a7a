"""The tree at a socket, at no cost until somebody comes: a fabric whose files nobody reads has not loaded them."""

import asyncio
import logging
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

log = logging.getLogger(__name__)


@asynccontextmanager
async def serve_late(home: Path, listening: socket.socket, ending: asyncio.Event) -> AsyncIterator[None]:
    """Serves the fabric of `home` to all who connect to a socket, while the context is open or until `ending`: what
    waits in a file asks the API, which would wait for it.
    """
    listening.setblocking(False)
    serving = asyncio.create_task(_serve(home, listening), name="filetree")
    serving.add_done_callback(_tell_defect)
    until = asyncio.create_task(ending.wait(), name="filetree-ending")
    until.add_done_callback(lambda _: serving.cancel())
    try:
        yield
    finally:
        until.cancel()
        await asyncio.wait([serving, until])


async def _serve(home: Path, listening: socket.socket) -> None:
    await _wait_first(listening)
    from weft.filetree.api import open_api
    from weft.filetree.root import FabricTree
    from weft.ninep.server import NinepServer

    async with open_api(home) as api:
        tree = FabricTree(api)
        try:
            await NinepServer(tree).serve(listening)
        finally:
            await tree.close()


def _tell_defect(serving: "asyncio.Task[None]") -> None:
    """The fabric goes on without its files."""
    if not serving.cancelled() and (err := serving.exception()) is not None:
        log.error("the fabric is not served as files any more", exc_info=err)


async def _wait_first(listening: socket.socket) -> None:
    """Until somebody wants to be let in."""
    loop = asyncio.get_running_loop()
    came = asyncio.Event()
    loop.add_reader(listening, came.set)
    try:
        await came.wait()
    finally:
        loop.remove_reader(listening)
