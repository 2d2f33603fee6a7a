"""What the tests of the host adapters share: a namespace of their own, and links in it."""

import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from weft.host.kernel_links import KernelLinks, open_links
from weft.host.namespace import Namespace, open_namespace
from weft.host.sandbox import Identity

pytestmark = pytest.mark.host

AS_ROOT = os.geteuid() == 0
needs_tun = pytest.mark.skipif(not os.access("/dev/net/tun", os.R_OK | os.W_OK), reason="/dev/net/tun is closed")


@pytest.fixture
async def namespace(tmp_path: Path) -> AsyncIterator[Namespace]:
    opened = await open_namespace(tmp_path)
    yield opened
    await opened.stop()


@pytest.fixture
async def links(namespace: Namespace) -> AsyncIterator[KernelLinks]:
    opened = await open_links(namespace)
    yield opened
    await opened.close()


@pytest.fixture
def identity() -> Identity | None:
    """Whom guests' programs run as: somebody else where we are root."""
    return Identity(70123, 70123) if AS_ROOT else None
