"""The command line in this process, on its real file descriptors."""

from pathlib import Path
from typing import NamedTuple

import pytest

from weft.cli.main import run_command


class Ran(NamedTuple):
    """How a command line ended."""

    status: int
    out: str
    err: str


class Weft:
    """The command line, run in this process on its real file descriptors."""

    def __init__(self, home: Path, capture: pytest.CaptureFixture[str]) -> None:
        self._home = home
        self._capture = capture

    def __call__(self, *args: str) -> Ran:
        self._capture.readouterr()
        status = run_command(["--home", str(self._home), *args])
        out, err = self._capture.readouterr()
        return Ran(status, out, err)
