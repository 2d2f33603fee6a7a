"""Directories of things that have a name: networks, volumes, images. All are alike, and a `Kind` says what differs.

    ctl       commands about all of them: making one, removing what nobody needs
    clone     opening it gives the `ctl` of one that is made by the first command that is written
    status    a line of fixed columns for each
    NAME/     a directory for each: ctl, status, view (all that is known, as JSON), and what its kind has beside them

A slash in a name is `%2f` in a directory, and a percent sign `%25`.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from weft.client.client import Client
from weft.filetree.api import Api
from weft.filetree.commands import Command, ask, find, runs
from weft.filetree.files import commands, opened, says, text, write_commands
from weft.filetree.nodes import CHANGE, READ_WRITE, Entry, Fixed, Listed, Make
from weft.filetree.views import View, dump_json
from weft.ninep.tree import OpenFile
from weft.ninep.words import NOT_FOUND, NinepError

MAKING = ("create", "set")
"""Commands whose NAME is what is made."""


def _nothing(_api: Api, _name: str) -> Mapping[str, Make]:
    return {}


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of things. `views` asks for all of them, `key` is where a view has its name, `row` dumps one's line.

    `whole` are commands about all, `each` about one, whose `remove` is what removing its directory does. `more` are the
    other files of one.
    """

    views: Callable[[Client], object]
    row: Callable[[View], str]
    whole: Mapping[str, Command]
    each: Mapping[str, Command]
    key: str = "name"
    more: Callable[[Api, str], Mapping[str, Make]] = field(default=_nothing)

    async def names(self, api: Api) -> Sequence[str]:
        """Of all there are."""
        return [str(view[self.key]) for view in await ask(api, self.views)]

    async def find(self, api: Api, name: str) -> Mapping[str, Any]:
        """One's view. Raises NinepError."""
        for view in await ask(api, self.views):
            if view[self.key] == name:
                found: Mapping[str, Any] = view
                return found
        raise NinepError(NOT_FOUND)


def kind_folder(api: Api, kind: Kind) -> Make:
    """The directory of a kind."""

    async def names() -> Sequence[str]:
        return [dump_name(name) for name in await kind.names(api)]

    async def show() -> str:
        return "".join(map(kind.row, await ask(api, kind.views)))

    def make(parent: Entry, name: str) -> Entry:
        return Fixed(parent, name, _files(api, kind, parse_name(name)), CHANGE, remover(api, kind, parse_name(name)))

    fixed: dict[str, Make] = {"ctl": commands(runs(api, kind.whole)), "status": text(show)}
    if any(word in kind.whole for word in MAKING):
        fixed["clone"] = opened(READ_WRITE, lambda node, _mode: _open_clone(node, api, kind))
    return lambda parent, name: Listed(parent, name, names, make, fixed, CHANGE)


def remover(api: Api, kind: Kind, name: str) -> Callable[[], Any]:
    """What removing a directory does."""
    return lambda: runs(api, kind.each, name)(["remove"])


def _files(api: Api, kind: Kind, name: str) -> Mapping[str, Make]:
    async def show_row() -> str:
        return kind.row(await kind.find(api, name))

    async def show_all() -> str:
        return dump_json(await kind.find(api, name))

    own = {"ctl": commands(runs(api, kind.each, name), says(name)), "status": text(show_row), "view": text(show_all)}
    return {**own, **kind.more(api, name)}


async def _open_clone(node: Entry, api: Api, kind: Kind) -> OpenFile:
    return OpenClone(node, api, kind)


class OpenClone(OpenFile):
    """The `ctl` of a thing that is made by the first command. Reading gives its name, once it has one."""

    def __init__(self, node: Entry, api: Api, kind: Kind) -> None:
        super().__init__(node)
        self._api = api
        self._kind = kind
        self._name: str | None = None

    async def read(self, offset: int, count: int) -> bytes:
        return f"{self._name}\n".encode()[offset : offset + count] if self._name else b""

    async def write(self, offset: int, data: bytes) -> int:
        return await write_commands(data, self._run)

    async def _run(self, words: list[str]) -> None:
        if self._name is not None:
            await runs(self._api, self._kind.each, self._name)(words)
            return
        making = {word: command for word, command in self._kind.whole.items() if word in MAKING}
        command = find(making, words[0])
        name = command.grammar.read(words[1:])["name"]
        await runs(self._api, making)(words)
        self._name = name


def dump_name(name: str) -> str:
    """A name as a directory has it."""
    return name.replace("%", "%25").replace("/", "%2f")


def parse_name(name: str) -> str:
    """What `dump_name` made of it."""
    return name.replace("%2f", "/").replace("%25", "%")
