"""The documents: everything is in the reference, links lead somewhere, and commands that are shown can be typed."""

import ast
import itertools
import re
import shlex
from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from scripts.reference.__main__ import PAGES, main, write_page
from scripts.reference.api import find_routes
from scripts.reference.page import anchor, fill_parts
from tests.unit.test_cli_reference import COMMANDS

from weft.cli.main import weft
from weft.fabric.events import KINDS
from weft.model.errors import ERRORS
from weft.settings import Settings

ROOT = Path(__file__).parents[2]
REFERENCE = ROOT / "docs" / "reference"
PAGES_WITH_COMMANDS = [ROOT / "README.md", *sorted((ROOT / "docs" / "guide").glob("*.md"))]


def find_documents() -> list[Path]:
    folders = ("*.md", "docs/**/*.md", "appliances/*/*.md", "benchmarks/**/*.md", "guest/**/*.md", "kernel/*.md")
    return sorted(path for folder in folders for path in ROOT.glob(folder))


def read(name: str) -> str:
    return (REFERENCE / name).read_text()


@pytest.mark.parametrize("name", PAGES)
def test_generated_parts_are_current(name: str) -> None:
    assert read(name) == write_page(REFERENCE / name), "run: make docs"


def test_check_tells_a_stale_page_and_writing_mends_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    page = tmp_path / "errors.md"
    page.write_text(read("errors.md").replace("| `exists` |", "| `exits` |"))
    assert main(["--check", str(page)]) == 1
    assert "make docs" in capsys.readouterr().err
    assert main([str(page)]) == 0
    assert main(["--check", str(page)]) == 0
    assert page.read_text() == read("errors.md")


def test_a_page_without_its_markers_is_refused() -> None:
    with pytest.raises(LookupError, match="routes"):
        fill_parts("# A page\n", {"routes": "text"})


@pytest.mark.parametrize("context", COMMANDS, ids=lambda context: context.command_path)
def test_every_command_is_in_the_reference(context: click.Context) -> None:
    assert f"### {context.command_path}\n" in read("cli.md")


@pytest.mark.parametrize(("method", "path"), find_routes())
def test_every_route_is_in_the_reference(method: str, path: str) -> None:
    assert f"### {method} {path}\n" in read("api.md")


def test_there_are_web_sockets_in_the_reference() -> None:
    assert {path for method, path in find_routes() if method == "WS"} == {
        "/v1/machines/{name}/exec",
        "/v1/machines/{name}/console",
        "/v1/machines/{name}/display",
    }


@pytest.mark.parametrize("key", Settings.model_fields)
def test_every_setting_is_in_the_reference(key: str) -> None:
    assert f"| `{key}` | `WEFT_{key.upper()}` |" in read("settings.md")
    assert Settings.model_fields[key].description


@pytest.mark.parametrize("code", ERRORS)
def test_every_error_code_is_in_the_reference(code: str) -> None:
    assert f"| `{code}` | {ERRORS[code].http_status} |" in read("errors.md")


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_of_event_is_in_the_reference(kind: str) -> None:
    assert f"| `{kind}` |" in read("events.md")


def find_published() -> Iterator[str]:
    """The first argument of every `publish` in the code, as a pattern: what is filled in later may be anything."""
    for path in sorted((ROOT / "src" / "weft").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and getattr(node.func, "attr", "") == "publish":
                yield _dump_pattern(node.args[0])


def _dump_pattern(kind: ast.expr) -> str:
    parts = kind.values if isinstance(kind, ast.JoinedStr) else [kind]
    return "".join(re.escape(str(part.value)) if isinstance(part, ast.Constant) else r"[a-z]+" for part in parts)


def test_kinds_of_events_are_those_that_are_published() -> None:
    published = list(find_published())
    assert [pattern for pattern in published if not any(re.fullmatch(pattern, kind) for kind in KINDS)] == []
    assert [kind for kind in KINDS if not any(re.fullmatch(pattern, kind) for pattern in published)] == []


def find_links(page: str) -> Iterator[str]:
    """Targets of links within the repository; what is code is no link."""
    text = re.sub(r"`[^`]*`", "", re.sub(r"^ {4}.*$", "", page, flags=re.MULTILINE))
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not re.match(r"[a-z]+:", target):
            yield target


def find_anchors(path: Path) -> set[str]:
    return {anchor(heading) for heading in re.findall(r"^#+ (.*)$", path.read_text(), re.MULTILINE)}


@pytest.mark.parametrize("path", find_documents(), ids=lambda path: str(path.relative_to(ROOT)))
def test_links_lead_somewhere(path: Path) -> None:
    for link in find_links(path.read_text()):
        name, _, fragment = link.partition("#")
        target = (path.parent / name).resolve() if name else path
        assert target.exists(), f"{path.name}: {link}"
        assert not fragment or fragment in find_anchors(target), f"{path.name}: no heading for {link}"


def test_every_decision_is_in_the_index() -> None:
    pages = {path.name for path in (ROOT / "docs" / "decisions").glob("0*.md")}
    assert set(find_links((ROOT / "docs" / "decisions" / "README.md").read_text())) == pages


def test_comments_name_documents_that_exist() -> None:
    for path in [*ROOT.glob("src/**/*.py"), *ROOT.glob("guest/src/*.[ch]"), *ROOT.glob("appliances/**/README.md")]:
        for name in re.findall(r"docs/[\w/.-]+\.md", path.read_text()):
            assert (ROOT / name).exists(), f"{path.relative_to(ROOT)} names {name}"


def find_command_lines() -> list[tuple[str, str]]:
    """Every `weft …` in a block of code of README and guides: page and command line."""
    found = []
    for path in PAGES_WITH_COMMANDS:
        for line in re.findall(r"^ {4,}(.*)$", path.read_text(), re.MULTILINE):
            found += [(path.name, command) for command in _split_line(line)]
    return found


def _split_line(line: str) -> Iterator[str]:
    """The commands of a shell line that begin with `weft`, without redirections and comments."""
    if "weft " not in line:
        return
    words = shlex.shlex(line, posix=True, punctuation_chars=True)
    words.whitespace_split = True
    for is_operator, group in itertools.groupby(words, key=lambda word: not word.strip("|&;<>()")):
        command = list(group)
        if not is_operator and command[0] == "weft":
            yield shlex.join(command)


def test_command_lines_are_found() -> None:
    found = find_command_lines()
    assert ("README.md", "weft insert sniffer --before web") in found
    assert ("command-line.md", "weft exec -i web -- tar -x -C /srv") in found
    assert ("command-line.md", "weft run --rm base -- sh -c 'uname -r; exit 3'") in found
    assert len(found) > 80


@pytest.mark.parametrize(("page", "line"), find_command_lines())
def test_command_lines_can_be_typed(page: str, line: str) -> None:
    try:
        parse_line(line)
    except click.BadParameter as err:
        # Whether a file is there is not the line's fault.
        assert err.param and isinstance(err.param.type, click.Path), err.format_message()


def parse_line(line: str) -> None:
    """What click makes of a command line, down to the last option, running nothing. Raises click's errors."""
    arguments = shlex.split(line)[1:]
    context = weft.make_context("weft", arguments)
    while isinstance(context.command, click.Group):
        name, command, rest = context.command.resolve_command(context, [*context._protected_args, *context.args])
        assert command is not None
        context = command.make_context(name, rest, parent=context)


def test_a_line_that_cannot_be_typed_is_noticed() -> None:
    with pytest.raises(click.UsageError):
        parse_line("weft insert sniffer --behind web")
    with pytest.raises(click.UsageError):
        parse_line("weft network make lan")
