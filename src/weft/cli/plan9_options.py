"""The options that tell a Plan 9 machine how to boot, and change that of one that is there."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import click
from click.shell_completion import CompletionItem

from weft.cli.params import Parsed, ParsedFile
from weft.model.errors import Invalid, NotFound

Command = TypeVar("Command", bound=Callable[..., Any])
NONE = "none"
"""What takes away what there is."""
_NAMES = (
    "*acpi", "*ncpu", "*nomp", "*nomsi", "auth", "bootargs", "console", "debugfactotum", "fs", "init", "kbmap",
    "monitor", "mouseport", "nobootprompt", "nora6", "nvram", "secstore", "service", "sysname", "user", "vgasize",
)  # fmt: skip
"""Those of plan9.ini(8) and boot(8) that mean something to a machine here."""


class BootOption(Parsed):
    """NAME=VALUE of a plan9.ini."""

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(f"{name}=") for name in _NAMES if name.startswith(incomplete)]


def parse_option(text: str) -> tuple[str, str]:
    """A boot parameter. Raises Invalid."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise Invalid(f"{text!r} is not like name=value")
    return name, value


def read_ini(file: str) -> str:
    """The text of a plan9.ini. Raises NotFound, Invalid."""
    try:
        return Path(file).read_text()
    except OSError as err:
        raise NotFound(f"cannot read {file}: {err.strerror}") from err
    except UnicodeDecodeError as err:
        raise Invalid(f"{file} is not text") from err


def _parse_change(text: str) -> tuple[str, str] | None:
    return None if text == NONE else parse_option(text)


def _parse_place(text: str) -> str:
    """Empty: none. One that is called so is `./none`."""
    return "" if text == NONE else str(Path.cwd() / text)


_CHANGES = (
    click.option("-o", "options", type=BootOption("option", _parse_change), multiple=True, metavar="NAME=VALUE",
                 help="Of a Plan 9 machine: its boot parameters, in place of those it has; `none`."),
    click.option("--ini", type=ParsedFile("file", _parse_place), metavar="FILE", help="Its plan9.ini; `none`."),
    click.option("--root", type=ParsedFile("folder", _parse_place), metavar="DIR",
                 help="The folder that is served as its root; `none`."),
    click.option("--changes", type=click.Choice(["keep", "discard"]),
                 help="Whether its changes to an image's root outlast a run."),
)  # fmt: skip


def plan9_changes(command: Command) -> Command:
    """What changes how a Plan 9 machine boots; the values are for `take_plan9_changes`."""
    for option in reversed(_CHANGES):
        command = option(command)
    return command


def take_plan9_changes(wanted: dict[str, Any]) -> dict[str, Any]:
    """What they change of a machine's boot, taken out of `wanted`. Raises NotFound, Invalid."""
    changes: dict[str, Any] = {}
    if options := wanted.pop("options"):
        changes["options"] = dict(filter(None, options))
    if (root := wanted.pop("root")) is not None:
        changes["root"] = root or None
    if (file := wanted.pop("ini")) is not None:
        changes["ini"] = read_ini(file) if file else ""
    if (kept := wanted.pop("changes")) is not None:
        changes["changes"] = kept
    return changes
