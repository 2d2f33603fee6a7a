"""The hand-out's ear for who looks for a router, on a real link."""

import asyncio
import socket
import threading

import pytest
from tests.host.waiting import PATIENCE
from tests.unit.test_handout_routers import ASKER, everybody, solicit

from weft.host.handout.routers import answer_for_ever
from weft.host.namespace import Namespace
from weft.host.process import run

pytestmark = pytest.mark.host
IPV6 = 0x86DD


async def test_a_link_that_was_down_is_heard_again(namespace: Namespace) -> None:
    async def ip(words: str) -> None:
        await run(namespace.argv(["ip", *words.split()]))

    for words in ("link add v0 type veth peer name v1", "link set v0 up", "link set v1 up"):
        await ip(words)
    ours, theirs = [await namespace.socket(socket.AF_PACKET, socket.SOCK_RAW, 0) for _ in range(2)]
    ours.bind(("v0", IPV6))
    theirs.bind(("v1", IPV6))
    theirs.settimeout(PATIENCE)
    # Nobody ends it, as nobody does in its process: it ends with the link.
    threading.Thread(target=answer_for_ever, args=(ours, everybody), daemon=True).start()
    for words in ("link set v0 down", "link set v0 up"):
        await ip(words)
    theirs.send(solicit())
    with theirs:
        while (await asyncio.to_thread(theirs.recv, 2048))[:6] != ASKER:
            pass
