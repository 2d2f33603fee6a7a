"""The fabric as files: commands, columns, and what does for which command of the command line."""

import inspect

from scripts.reference.page import dump_table

from weft.filetree import reach
from weft.filetree.consoles import CONTROLS as CONSOLE
from weft.filetree.fabric_files import PATH
from weft.filetree.floppies import CLIENT
from weft.filetree.programs import COMMANDS as PROGRAM


def dump_commands() -> str:
    """A row per command, by the files that take it."""
    commands = [(file, command.grammar) for file, table in reach.CONTROLS.items() for command in table.values()]
    commands += [("file/N/ctl", PATH), ("machine/NAME/firewall/clone", CLIENT)]
    commands += [("machine/NAME/consctl", grammar) for grammar in CONSOLE.values()]
    commands += [("machine/NAME/exec/N/ctl", grammar) for grammar in PROGRAM.values()]
    rows = [(f"`{file}`", f"`{grammar}`", grammar.text) for file, grammar in commands]
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
