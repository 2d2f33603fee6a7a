"""Writes the reference of the command line from the commands themselves: `python -m weft.cli.reference [FILE]`.

With `--check FILE`, says whether FILE is what would be written.
"""

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path

import click

from weft.cli.lazy import LazyGroup
from weft.cli.main import weft

_INTRODUCTION = """\
# The command line

Written by `python -m weft.cli.reference`; do not edit. How to use it is in [the guide](../guide/command-line.md).

Exit status: 0 done; 1 failed; 2 the command line itself is wrong; 130 ended by Ctrl-C; 141 nobody reads the output.
`exec` and `run` in the foreground end with the status of what they ran, 128 + signal if it was killed.
"""


def dump_reference() -> str:
    """The whole page."""
    context = click.Context(weft, info_name="weft")
    parts = [_INTRODUCTION, "## weft\n", *_dump_command(context)]
    for title, section in weft.sections.items() if isinstance(weft, LazyGroup) else ():
        parts.append(f"## {title}\n")
        for name in section:
            parts += _dump_tree(_descend(context, name))
    return "\n".join(parts)


def _descend(context: click.Context, name: str) -> click.Context:
    command = context.command.get_command(context, name) if isinstance(context.command, click.Group) else None
    if command is None:
        raise LookupError(f"no command {name}")
    return click.Context(command, info_name=name, parent=context)


def _dump_tree(context: click.Context) -> Iterator[str]:
    yield f"### {context.command_path}\n"
    yield from _dump_command(context)
    if isinstance(context.command, click.Group):
        for name in context.command.list_commands(context):
            yield from _dump_tree(_descend(context, name))


def _dump_command(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"    {context.command_path} {' '.join(command.collect_usage_pieces(context))}\n"
    yield f"{inspect.cleandoc(command.help or '')}\n"
    options = [param for param in command.params if isinstance(param, click.Option)]
    if options:
        yield "| option | meaning |\n|---|---|"
        yield "".join(map(_dump_option, options))


def _dump_option(option: click.Option) -> str:
    names = " / ".join(", ".join(sorted(names, key=len)) for names in (option.opts, option.secondary_opts) if names)
    value = "" if option.is_flag else f" {_find_metavar(option)}"
    default = f" Default: `{option.default}`." if option.show_default else ""
    return f"| `{_escape(names + value)}` | {_escape((option.help or '') + default)} |\n"


def _find_metavar(option: click.Option) -> str:
    if isinstance(option.type, click.Choice):
        return "|".join(map(str, option.type.choices))
    return option.metavar or option.type.name.upper().replace("INTEGER RANGE", "N")


def _escape(text: str) -> str:
    return " ".join(text.split()).replace("|", "\\|")


def main(args: list[str]) -> int:
    """Prints, writes or checks the page; the exit status."""
    page = dump_reference()
    match args:
        case []:
            sys.stdout.write(page)
        case ["--check", name]:
            if Path(name).read_text() != page:
                print(f"{name} is not what the commands say; run: make docs", file=sys.stderr)
                return 1
        case [name]:
            Path(name).write_text(page)
        case _:
            print("usage: python -m weft.cli.reference [[--check] FILE]", file=sys.stderr)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
