"""Guests switch their processors on and off when they are told to. They are not trusted."""

from contextlib import suppress
from dataclasses import dataclass

from weft.fabric.elastic.levers import APPLIED, Outcome
from weft.guest.agent import Agent
from weft.guest.cpus import Processors, cpus_argv, parse_processors
from weft.guest.streams import ExecStream
from weft.model.elastic import ScaleState
from weft.model.errors import NotFound, WeftError

DONE, INCOMPLETE = 0, 1
"""How the guest's tool ends when it could do all or some of it."""
MOST_BYTES = 4096


@dataclass(frozen=True, slots=True)
class Switched:
    """What a guest has then, None when it can switch nothing; and the last of its complaints."""

    processors: Processors | None
    complaint: str = ""

    def judge(self, wanted: int) -> Outcome:
        """What became of the wish for so many."""
        if self.processors is None:
            return Outcome(ScaleState.FAILED, f"the guest cannot switch processors: {self.complaint}", lost=True)
        online, present, complaint = self.processors.online, self.processors.present, self.complaint
        if online == wanted:
            return APPLIED
        if wanted > present:
            complaint = f"its kernel knows of {present} only"
        return Outcome(ScaleState.REFUSED, f"the guest uses {online} processors: {complaint}")


class Switching:
    """Has guests switch, one wish at a time each."""

    def __init__(self) -> None:
        self._tools: dict[str, ExecStream] = {}

    async def switch(self, name: str, agent: Agent, wanted: int | None = None) -> Switched:
        """Have so many online; None: look only. A guest that is at work on the last wish comes to this after that.

        A tool that is cancelled is left to itself: the kernel may be at it. Raises Unavailable.
        """
        if earlier := self._tools.get(name):
            with suppress(WeftError):
                await earlier.wait()
        try:
            tool = await agent.exec(cpus_argv(wanted), builtin=True)
        except NotFound:
            return Switched(None, "its init is of an earlier version")
        self._tools[name] = tool
        try:
            return await _read(tool)
        finally:
            tool.abandon()


async def _read(tool: ExecStream) -> Switched:
    said = {"stdout": bytearray(), "stderr": bytearray()}
    async for stream, data in tool:
        said[stream] += data
        del said[stream][:-MOST_BYTES]
    status = await tool.wait()
    complaint = said["stderr"].decode(errors="replace").strip().splitlines()[-1:] or ["it does not say why"]
    could = status.shell_code in (DONE, INCOMPLETE)
    return Switched(parse_processors(bytes(said["stdout"])) if could else None, complaint[0].removeprefix("cpus: "))
