"""Whatever the command line can do to a fabric can be done with its files."""

import pytest
from tests.unit.fake_api import FakeApi
from tests.unit.test_cli_reference import COMMANDS
from tests.unit.tree_walks import BOTH, Walks

from weft.filetree.grammar import Grammar
from weft.filetree.nodes import Entry, Folder
from weft.filetree.reach import COLUMNS, CONTROLS, ELSEWHERE, FILES, list_reach
from weft.filetree.root import FabricTree

NAMES = [context.command_path.removeprefix("weft ") for context in COMMANDS]
VIEWS = {
    "machines": {"name": "NAME", "state": "running"},
    "networks": {"name": "NAME"},
    "volumes": {"name": "NAME"},
    "snapshots": {"name": "NAME"},
    "pools": {"image": "NAME"},
    "templates": {"key": "NAME"},
    "images": {"name": "NAME"},
    "kernels": {"name": "NAME"},
    "rooms": {"name": "NAME"},
}
"""One of each, called as in the tables."""


def named_files() -> set[str]:
    """Paths in the table of files; what stands behind a comma may be a remark."""
    return {file for files in FILES.values() for file in files.split(", ") if not file.startswith("with ")}


@pytest.fixture
async def tree() -> Walks:
    api = FakeApi()
    for kind, view in VIEWS.items():
        api.on("GET", f"/v1/{kind}", [view])
        api.on("GET", f"/v1/rooms/NAME/{kind}", [view])
    api.on("GET", "/v1/ports", [{"nic": "N", "port": "NAME:N"}])
    tree = Walks(await FabricTree(api).attach("glenda", ""))
    await tree.open("file/clone", BOTH)
    await tree.open("machine/NAME/exec/clone", BOTH)
    return tree


@pytest.mark.parametrize("name", NAMES)
def test_every_command_has_a_file_or_a_reason(name: str) -> None:
    if ELSEWHERE.keys() & {name, name.split()[0]}:
        assert name not in dict(list_reach())
    else:
        assert dict(list_reach())[name]


def test_there_are_no_files_for_commands_that_there_are_not() -> None:
    assert {name for name, _ in list_reach()} <= set(NAMES)
    assert all(any(name == one or one.startswith(f"{name} ") for one in NAMES) for name in ELSEWHERE)


@pytest.mark.parametrize("path", sorted({*CONTROLS, *COLUMNS, *named_files()}))
async def test_every_file_is_there(tree: Walks, path: str) -> None:
    node = await tree.walk(path.replace("file/N", "file/0"))
    assert isinstance(node, Entry) and not isinstance(node, Folder)


@pytest.mark.parametrize("file", CONTROLS)
def test_every_command_says_what_it_takes_and_does(file: str) -> None:
    for word, command in CONTROLS[file].items():
        assert command.word == word and command.text.endswith(".") and command.cli
        assert len({slot.name for slot in Grammar(word, command.usage).slots}) == len(command.usage.split())


@pytest.mark.parametrize("file", COLUMNS)
def test_every_line_is_described(file: str) -> None:
    assert (COLUMNS[file].__doc__ or "").strip().endswith(".")
