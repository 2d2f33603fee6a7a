"""Commands that files called `ctl` take: tables, which the reference is written from."""

from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from weft.client.client import Client
from weft.filetree.api import Api, translated
from weft.filetree.files import Run
from weft.filetree.grammar import Given, Grammar
from weft.ninep.words import NinepError


@dataclass(frozen=True, slots=True)
class Command:
    """One command. `ask` is the client's route that it stands for, told of what the file is about and what was given.

    `usage` is what it takes (see grammar.py), `cli` the commands of the command line that it stands for.
    """

    word: str
    usage: str
    text: str
    cli: tuple[str, ...]
    ask: Callable[[Client, str, Given], object]


def table(*commands: Command) -> Mapping[str, Command]:
    """Commands by their words."""
    return {command.word: command for command in commands}


def runs(
    api: Api, commands: Mapping[str, Command], subject: str = "", then: Callable[[Command], None] | None = None
) -> Run:
    """Carries commands of a table out, on what is called `subject`; `then` is told of those that were."""

    async def run(words: list[str]) -> None:
        command = find(commands, words[0])
        given = Grammar(command.word, command.usage).read(words[1:])
        await ask(api, lambda client: command.ask(client, subject, given))
        if then is not None:
            then(command)

    return run


async def ask(api: Api, call: Callable[[Client], object]) -> Any:
    """What the API answers; what a call objects to before it asks is an error like any other."""
    with translated():
        return await api.ask(call)


def find(commands: Mapping[str, Any], word: str) -> Any:
    """The command of this word. Raises NinepError, which says what there is."""
    if (command := commands.get(word)) is None:
        raise NinepError(f"invalid: no command {word!r}; there is {', '.join(commands)}")
    return command


def either(first: Run, words: Iterable[str], second: Run) -> Run:
    """Commands that begin with one of `words` are for `first`, all others for `second`."""
    own = frozenset(words)

    def run(line: list[str]) -> Awaitable[object]:
        return first(line) if line[0] in own else second(line)

    return run
