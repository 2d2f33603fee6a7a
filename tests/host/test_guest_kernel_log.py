"""The init's `kernel-log` on this host: lines of its kernel's log."""

import subprocess
from pathlib import Path

import pytest

pytestmark = pytest.mark.host
GUEST = Path(__file__).parents[2] / "guest"


@pytest.fixture(scope="module")
def init() -> Path:
    subprocess.run(["make", "-s", "-C", GUEST], check=True)
    return GUEST / "build/weft-init"


def run(init: Path, *args: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([init, "kernel-log", *args], capture_output=True, text=True, timeout=60, check=False)


def test_lines_with_a_word_in_them(init: Path) -> None:
    done = run(init, "1e9", "Linux version", "no such words")
    if done.returncode:
        pytest.skip(f"this host's log cannot be read: {done.stderr}")
    assert all("Linux version" in line for line in done.stdout.splitlines())
    assert run(init, "0", "Linux version").stdout == ""


@pytest.mark.parametrize("args", [(), ("5",), ("x", "a"), ("-1", "a"), ("5x", "a"), ("", "a")])
def test_wrong_use(init: Path, args: tuple[str, ...]) -> None:
    done = run(init, *args)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr == "kernel-log: usage: kernel-log SECONDS WORD...\n"
