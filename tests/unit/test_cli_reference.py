"""The reference page is what the commands say, and every command says something."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from weft.cli.main import SECTIONS, weft
from weft.cli.reference import dump_reference, main

PAGE = Path(__file__).parents[2] / "docs" / "reference" / "cli.md"
GUIDE = Path(__file__).parents[2] / "docs" / "guide" / "command-line.md"


def find_commands(context: click.Context) -> Iterator[click.Context]:
    """Every command that is not a group."""
    if not isinstance(context.command, click.Group):
        yield context
        return
    for name in context.command.list_commands(context):
        command = context.command.get_command(context, name)
        assert command
        yield from find_commands(click.Context(command, info_name=name, parent=context))


COMMANDS = list(find_commands(click.Context(weft, info_name="weft")))
RAW = {"logs", "room logs", "exec", "attach", "console", "display", "cp", "sniff", "serve", "shutdown", "completion"}
RAW |= {"image schema", "image sbom", "image export", "config export", "floppy read", "render", "export"}
RAW |= {"snapshot export", "9p serve", "9p fabric", "9p read", "9p write", "9p rdwr"}


def test_the_page_is_current() -> None:
    assert PAGE.read_text() == dump_reference(), "run: make docs"


def test_check_tells_a_stale_page(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path / "cli.md")]) == 0
    assert main(["--check", str(tmp_path / "cli.md")]) == 0
    (tmp_path / "cli.md").write_text("old")
    assert main(["--check", str(tmp_path / "cli.md")]) == 1
    assert "make docs" in capsys.readouterr().err


@pytest.mark.parametrize("context", COMMANDS, ids=lambda context: context.command_path)
def test_every_command_and_option_says_what_it_is_for(context: click.Context) -> None:
    command = context.command
    assert command.help
    assert command.short_help
    assert all(option.help for option in command.params if isinstance(option, click.Option))


@pytest.mark.parametrize("context", COMMANDS, ids=lambda context: context.command_path)
def test_every_command_that_prints_something_prints_json(context: click.Context) -> None:
    takes_format = any(param.name == "output" for param in context.command.params)
    assert takes_format == (context.command_path.removeprefix("weft ") not in RAW)


@pytest.mark.parametrize("name", [name for section in SECTIONS.values() for name in section])
def test_the_guide_has_every_command(name: str) -> None:
    assert f"weft {name}" in GUIDE.read_text()
