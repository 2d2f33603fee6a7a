"""Fixtures: fabrics with real machines. One of them, with a client and a web server, is shared by a whole module."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.machine.fabrics import PREPARED, TestFabric, open_fabric

pytestmark = pytest.mark.machine


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    here = Path(__file__).parent
    for item in items:
        if here in item.path.parents:
            item.add_marker("machine")


@pytest.fixture(scope="session", autouse=True)
def prepared() -> None:
    """Kernel and images; building them is not a test's business."""
    for path in (PREPARED / "kernels" / "default", PREPARED / "images" / "sniffer"):
        assert path.is_dir(), f"{path} is missing: run `make prepare`"


@pytest.fixture
def fabric(tmp_path: Path) -> Iterator[TestFabric]:
    """An empty fabric of its own."""
    with open_fabric(tmp_path / "home") as fabric:
        yield fabric


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """A fabric with the machines `client` and `web` on one network, shared by the tests of a module."""
    with open_fabric(tmp_path_factory.mktemp("room") / "home") as fabric:
        fabric.run("run", "-d", "--name", "web", "web")
        fabric.run("run", "-d", "--name", "client", "base")
        yield fabric
