"""The fabric as files: commands, columns, and what does for which command of the command line."""

import inspect

from scripts.reference.page import dump_table

from weft.filetree import reach
from weft.filetree.consoles import CONTROLS as CONSOLE
from weft.filetree.fabric_files import PATH
from weft.filetree.floppies import CLIENT
from weft.filetree.grammar import Grammar
from weft.filetree.programs import COMMANDS as PROGRAM


def dump_commands() -> str:
    """A row per command, by the files that take it."""
    rows = [
        (f"`{file}`", f"`{Grammar(word, command.usage)}`", command.text)
        for file, commands in reach.CONTROLS.items()
        for word, command in commands.items()
    ]
    rows += [("`file/N/ctl`", f"`{PATH}`", "Where it would be on the daemon's host, for the paths in it.")]
    rows += [("`machine/NAME/firewall/clone`", f"`{CLIENT.usage}`", "Adds a client; the answer is its file.")]
    rows += [("`machine/NAME/consctl`", f"`{grammar}`", "") for grammar in CONSOLE.values()]
    rows += [("`machine/NAME/exec/N/ctl`", f"`{grammar}`", "") for grammar in PROGRAM.values()]
    return dump_table(("file", "command", "meaning"), rows)


def dump_columns() -> str:
    """A row per file of lines: what its function says of a line."""
    rows = [(f"`{file}`", " ".join((inspect.getdoc(dump) or "").split())) for file, dump in reach.COLUMNS.items()]
    return dump_table(("file", "a line"), rows)


def dump_reach() -> str:
    """A row per command of the command line."""
    rows = [(f"`weft {name}`", files) for name, files in reach.list_reach()]
    rows += [(f"`weft {name}`", f"none: {why}") for name, why in reach.ELSEWHERE.items()]
    return dump_table(("command", "files"), rows)
