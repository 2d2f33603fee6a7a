"""The program with which machines send frames as they are, made and put into them."""

import subprocess
from collections.abc import Iterable
from pathlib import Path

SOURCE = Path(__file__).with_name("inject.c")
INSIDE = "/tmp/inject"
"""Where it is put in a machine."""


def make_injector(folder: Path) -> Path:
    """The program, static, in a folder."""
    tool = folder / "inject"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", tool, SOURCE], check=True)
    return tool


def dump_frames(frames: Iterable[bytes]) -> str:
    """What it reads."""
    return "".join(f"{frame.hex()}\n" for frame in frames)
