"""The options of `weft run` for machines that bring their own system."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click

from weft.cli.params import ParsedFile
from weft.cli.plan9_options import BootOption, parse_option, read_ini
from weft.model.names import BARE, PLAN9

Command = TypeVar("Command", bound=Callable[..., Any])
_FILE = click.Path(dir_okay=False, readable=False)  # it is the daemon that opens it
_KEYS = (
    "cdroms", "floppy_drive", "disks", "firmware", "nic_model", "display", "boot_files", "end", "ini", "options",
    "root", "root_read_only", "changes",
)  # fmt: skip


def _parse_boot_file(text: str) -> str:
    """A path is of where we are."""
    from weft.model.boot_files import place_boot_file

    return place_boot_file(text, str(Path.cwd()))


BOOT_FILE = ParsedFile("file", _parse_boot_file)
_OPTIONS = (
    click.option("--cdrom", "cdroms", type=_FILE, multiple=True, metavar="FILE",
                 help="Of a machine with its own system: a CD, the first of which it boots from. At most two."),
    click.option("--floppy-drive", type=_FILE, metavar="FILE", help="A floppy in a drive, which it may write to."),
    click.option("--disk", "disks", type=_FILE, multiple=True, metavar="FILE", help="A disk, which it may write to."),
    click.option("--firmware", type=click.Choice(["bios", "uefi"]),
                 help="By what it boots. Default: bios."),
    click.option("--nic", "nic_model", type=click.Choice(["virtio", "e1000e"]),
                 help="Which device its NICs are. Default: virtio."),
    click.option("--display", type=click.Choice(["vnc"]), help="Give it a screen. Default: none."),
    click.option("--boot-file", "boot_files", type=BOOT_FILE, multiple=True, metavar="[NAME=]FILE",
                 help="With --pxe: a boot loader or a script for iPXE; further ones are what that loads. FOLDER/: all "
                      "that is in it."),
    click.option("--end", metavar="TEXT",
                 help="What is typed on its console to end it. Default: `fshalt` for Plan 9, else its power button."),
    click.option("--ini", type=_FILE, metavar="FILE", help="Of a Plan 9 machine: its plan9.ini."),
    click.option("-o", "options", type=BootOption("option", parse_option), multiple=True, metavar="NAME=VALUE",
                 help="Of a Plan 9 machine: a boot parameter, over that file's."),
    click.option("--root", type=click.Path(file_okay=False), metavar="DIR",
                 help="Of a Plan 9 machine: a folder to serve it as its root."),
    click.option("--root-ro", "root_read_only", is_flag=True, help="Its root cannot be written to."),
    click.option("--changes", type=click.Choice(["keep", "discard"]),
                 help="Whether its changes to an image's root outlast a run. Default: keep."),
)  # fmt: skip


def foreign_options(command: Command) -> Command:
    """All of them, in this order; their values are what `take_foreign` takes."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def take_foreign(wanted: dict[str, Any]) -> dict[str, Any] | None:
    """What they say of a machine, taken out of `wanted`, whose image may be left out then; None: nothing."""
    said = {key: value for key in _KEYS if (value := wanted.pop(key))}
    plan9 = _take_plan9(said)
    if said or plan9 or wanted["pxe"]:
        wanted["image"] = wanted["image"] or (PLAN9 if plan9 else BARE)
    if not (said or plan9):
        return None
    for key in ("cdroms", "disks"):
        if key in said:
            said[key] = [_absolute(file) for file in said[key]]
    if "floppy_drive" in said:
        said["floppy_drive"] = _absolute(said["floppy_drive"])
    return said | ({"plan9": plan9} if plan9 else {})


def _take_plan9(said: dict[str, Any]) -> dict[str, Any]:
    plan9: dict[str, Any] = {}
    if file := said.pop("ini", None):
        plan9["ini"] = read_ini(file)
    if options := said.pop("options", None):
        plan9["options"] = dict(options)
    if root := said.pop("root", None):
        plan9["root"] = _absolute(root)
    return plan9 | {key: said.pop(key) for key in ("root_read_only", "changes") if key in said}


def _absolute(file: str) -> str:
    return str(Path.cwd() / file)
