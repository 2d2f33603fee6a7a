"""What files ask of the API: commands that files called `ctl` take, in tables which the reference is written from, and
texts that are answers.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from weft.client.client import Client
from weft.client.telling import Call
from weft.filetree.api import Api, translated
from weft.filetree.files import Run, Save, text
from weft.filetree.grammar import Given, Grammar
from weft.filetree.nodes import Make
from weft.filetree.views import dump_json
from weft.ninep.words import NinepError

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `ask` is the client's route that it stands for, told of what the file is about and what was given.

    `usage` is what it takes (see grammar.py), `cli` the commands of the command line that it stands for. `first` is
    what has to be known before: what it answers is told as `before`.
    """

    word: str
    usage: str
    text: str
    cli: tuple[str, ...]
    ask: Callable[[Client, Any, Given], object]
    first: Callable[[Client, str], object] | None = None

    @property
    def grammar(self) -> Grammar:
        return Grammar(self.word, self.usage, self.text)


def table(*commands: Command) -> Mapping[str, Command]:
    """Commands by their words."""
    return {command.word: command for command in commands}


def runs(api: Api, commands: Mapping[str, Command], subject: str = "") -> Run:
    """Carries commands of a table out, on what is called `subject`."""

    async def run(words: list[str]) -> None:
        command = find(commands, words[0])
        given = command.grammar.read(words[1:])
        if (first := command.first) is not None:
            given = {**given, "before": await ask(api, lambda client: first(client, subject))}
        await ask(api, lambda client: command.ask(client, subject, given))

    return run


def shows(api: Api, call: Call, dump: Callable[[Any], str] = dump_json, save: Save | None = None) -> Make:
    """A text of what the API answers."""

    async def show() -> str:
        return dump(await ask(api, call))

    return text(show, save)


async def ask(api: Api, call: Callable[[Client], object]) -> Any:
    """What the API answers; what a call objects to before it asks is an error like any other."""
    with translated():
        return await api.ask(call)


def find(commands: Mapping[str, T], word: str) -> T:
    """The command of this word. Raises NinepError, which says what there is."""
    if (command := commands.get(word)) is None:
        raise NinepError(f"invalid: no command {word!r}; there is {', '.join(commands)}")
    return command
