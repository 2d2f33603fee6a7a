"""The options that put other media into a machine's drives, or have it boot them otherwise."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from weft.cli.foreign_options import BOOT_FILE
from weft.cli.params import ParsedFile

Command = TypeVar("Command", bound=Callable[..., Any])
NONE = "none"
"""What takes a medium out."""


def _parse_file(text: str) -> str:
    """A path is of where we are; empty: no file. One that is called so is `./none`."""
    return "" if text == NONE else str(Path.cwd() / text)


_FILE = ParsedFile("file", _parse_file)
_OPTIONS = (
    click.option("--cdrom", "cdroms", type=_FILE, multiple=True, metavar="FILE",
                 help="Of a machine with its own system: its CDs, in place of those it has; `none`."),
    click.option("--floppy-drive", type=_FILE, metavar="FILE", help="The floppy in its drive; `none`."),
    click.option("--disk", "disks", type=_FILE, multiple=True, metavar="FILE",
                 help="Its disks, in place of those it has; `none`."),
    click.option("--boot-file", "boot_files", type=BOOT_FILE, multiple=True, metavar="[NAME=]FILE",
                 help="What it boots from its network, in place of what it has."),
    click.option("--firmware", type=click.Choice(["bios", "uefi"]), help="By what it boots."),
)  # fmt: skip


def media_options(command: Command) -> Command:
    """All of them, in this order; their values are for `take_media`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_media(wanted: dict[str, Any]) -> dict[str, Any]:
    """What they change of a machine's system, taken out of `wanted`."""
    media: dict[str, Any] = {}
    for name in ("cdroms", "disks"):
        if files := wanted.pop(name):
            media[name] = list(filter(None, files))
    if files := wanted.pop("boot_files"):
        media["boot_files"] = list(files)
    if (floppy := wanted.pop("floppy_drive")) is not None:
        media["floppy_drive"] = floppy or None
    if firmware := wanted.pop("firmware"):
        media["firmware"] = firmware
    return media
