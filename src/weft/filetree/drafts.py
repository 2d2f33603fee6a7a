"""Machines that are being described and do not exist yet: what opening `clone` makes."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from weft.filetree import specs
from weft.filetree.api import Api, translated
from weft.filetree.commands import ask
from weft.filetree.grammar import Grammar
from weft.model.errors import NoRoom
from weft.model.names import parse_name

KEPT = 32
"""So many are remembered; a new one drives out the oldest."""
LONGEST = 1 << 16
"""Characters that may be said of one, all words together."""
START = Grammar("start", "[nowait] [healthy]")
CREATE = Grammar("create", "")
CLEAR = Grammar("clear", "KEY")


class Draft:
    """A machine that somebody describes. `made`: it has become one, and what is written is for that."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.said: specs.Draft = {}
        self.length = 0
        self.made = False

    def show(self) -> str:
        """What was said so far."""
        return "".join(f"{line}\n" for line in specs.dump_lines({"name": self.name, **self.said}))


class Drafts:
    """Those of one room."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._drafts: dict[str, Draft] = {}

    @property
    def names(self) -> Sequence[str]:
        return list(self._drafts)

    def find(self, name: str) -> Draft | None:
        return self._drafts.get(name)

    async def add(self, taken: Callable[[], Awaitable[Sequence[str]]]) -> Draft:
        """A new one, under the first free name of m1, m2 and so on."""
        there = {*await taken(), *self._drafts}
        number = next(number for number in range(1, len(there) + 2) if f"m{number}" not in there)
        draft = self._drafts[f"m{number}"] = Draft(f"m{number}")
        while len(self._drafts) > KEPT:
            del self._drafts[next(iter(self._drafts))]
        return draft

    async def remove(self, name: str) -> None:
        """Forget it."""
        self._drafts.pop(name, None)

    async def run(self, draft: Draft, words: list[str]) -> None:
        """`create` and `start` make the machine, `clear` takes back what was said, all else says something of it."""
        match words[0]:
            case "create":
                CREATE.read(words[1:])
                await self._make(draft, start=False)
            case "start":
                given = START.read(words[1:])
                await self._make(draft, start=True, wait=not given["nowait"], healthy=given["healthy"])
            case "clear":
                draft.said.pop(specs.ALIASES.get(words[-1], words[-1]), CLEAR.read(words[1:]))
            case _:
                self._say(draft, words)

    def _say(self, draft: Draft, words: list[str]) -> None:
        with translated():
            if words[0] != "name":
                if (length := draft.length + sum(map(len, words))) > LONGEST:
                    raise NoRoom(f"machine {draft.name!r}: no more than {LONGEST} characters can be said of it")
                specs.add_line(draft.said, words)
                draft.length = length
                return
            name = parse_name(words[-1], "machine")
        if name != draft.name:
            self._drafts.pop(draft.name, None)
            draft.name = name
            self._drafts[name] = draft

    async def _make(self, draft: Draft, **how: Any) -> None:
        with translated():
            spec, settings = specs.make_request(draft.name, draft.said)
        await ask(self._api, lambda client: client.create_machine(spec, settings=settings, **how))
        draft.made = True
        self._drafts.pop(draft.name, None)
