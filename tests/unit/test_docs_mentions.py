"""Commands named in a sentence, and targets of make in examples: they exist, with the options written beside them."""

import re
from pathlib import Path

import click
import pytest

from weft.cli.main import weft

ROOT = Path(__file__).parents[2]
PAGES = sorted(path for folder in ("*.md", "docs/**/*.md", "appliances/*/*.md") for path in ROOT.glob(folder))
MENTION = re.compile(r"`(weft [^`]+)`")
ALIAS = re.compile(r"weft machine \S+ nic \d+$")
"""What a link in the fabric's namespace says of its owner: no command."""
EXAMPLE_OF_MAKE = re.compile(r"^ {4,}make ([a-z-]+)", re.MULTILINE)
OPTION = re.compile(r"--?[a-z][a-z-]*(=.*)?")


def check_mention(text: str) -> None:
    """`weft run [-d] IMAGE`: the command is one, and so is each of its options; what it runs is not looked at."""
    words = re.sub(r"[\[\]|,…]|\.\.\.", " ", text).split()[1:]
    command: click.Command = weft
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        found = command.get_command(click.Context(command), words[0])
        assert found is not None, f"{text}: no command {words[0]!r}"
        command, words = found, words[1:]
    words = words[: words.index("--")] if "--" in words else words
    known = {name for param in command.params for name in (*param.opts, *param.secondary_opts)} | {"--help", "-h"}
    unknown = {word.partition("=")[0] for word in words if OPTION.fullmatch(word)} - known
    assert not unknown, f"{text}: no option {', '.join(unknown)}"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_what_a_page_names_exists(page: Path) -> None:
    text = page.read_text()
    for mention in MENTION.findall(text):
        if not ALIAS.match(mention):
            check_mention(mention)
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(EXAMPLE_OF_MAKE.findall(text)) <= targets


@pytest.mark.parametrize("text", ["weft frobnicate", "weft network make lan", "weft run [-d] [--sideways] IMAGE"])
def test_what_does_not_exist_is_noticed(text: str) -> None:
    with pytest.raises(AssertionError):
        check_mention(text)
