"""What tests of the command line and the client share."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import FakeDaemon, open_fake_daemon


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeDaemon]:
    """A daemon that is not real, serving the test's own folder."""
    with open_fake_daemon(tmp_path) as daemon:
        yield daemon


@pytest.fixture
def weft(tmp_path: Path, fake: FakeDaemon, capfd: pytest.CaptureFixture[str]) -> Weft:
    """The command line with that daemon."""
    return Weft(tmp_path, capfd)
