"""What is kept of a room between two openings of its files."""

from collections.abc import Sequence
from functools import cached_property
from typing import Any

from weft.filetree.api import Api
from weft.filetree.commands import ask
from weft.filetree.consoles import Consoles
from weft.filetree.conversations import Conversations
from weft.filetree.drafts import Drafts
from weft.filetree.events import Events
from weft.filetree.programs import Program
from weft.filetree.traces import Traces


class Room:
    """A room as its files see it: its API, machines that are being described, consoles and programs."""

    def __init__(self, api: Api) -> None:
        self.api = api
        self._events: dict[tuple[str, ...], Events] = {}
        self._programs: dict[str, Conversations] = {}

    @cached_property
    def drafts(self) -> Drafts:
        return Drafts(self.api)

    @cached_property
    def consoles(self) -> Consoles:
        return Consoles(self.api)

    @cached_property
    def traces(self) -> Traces:
        return Traces(self.api)

    def events(self, *subjects: str) -> Events:
        """Of all that is in it, or of these."""
        return self._events.setdefault(subjects, Events(self.api, subjects))

    def programs(self, machine: str) -> Conversations:
        """Those of a machine."""
        return self._programs.setdefault(machine, Conversations(lambda: Program(self.api, machine)))

    async def views(self) -> Sequence[dict[str, Any]]:
        """All machines but those that pools keep, which are nobody yet."""
        views = await ask(self.api, lambda client: client.machines(all=True))
        return [view for view in views if view["state"] != "pooled"]

    async def machines(self) -> Sequence[str]:
        """Their names."""
        return [str(view["name"]) for view in await self.views()]

    async def close(self) -> None:
        """Programs end that were begun by its files."""
        for programs in self._programs.values():
            await programs.close()
