"""A machine's own word on getting smaller: a program of its image is asked first."""

import asyncio

from weft.fabric.asking import read_lines
from weft.fabric.elastic.granting import granted
from weft.fabric.records.machine import MachineRecord
from weft.fabric.runs import Runs
from weft.guest.agent import Agent
from weft.model.elastic import Resource
from weft.model.errors import NotFound, WeftError

PROGRAM = "/etc/weft/on-shrink"
PATIENCE = 10.0
"""Seconds that it has; without an answer the machine stays as it is."""
LONGEST = 200
"""Characters of what it says that are passed on."""


class Vetoing:
    """Asks machines of one room."""

    def __init__(self, runs: Runs, *, patience: float = PATIENCE) -> None:
        self._runs = runs
        self._patience = patience

    async def may_shrink(self, machine: MachineRecord, resource: Resource, size: int) -> str:
        """Why a machine does not want to have so much less; empty: it does not mind, or has nobody to ask."""
        agent = self._runs.find_agent(machine.name)
        if agent is None:
            return ""
        argv = [PROGRAM, resource.value, str(granted(machine, resource)), str(size)]
        try:
            async with asyncio.timeout(self._patience):
                return await _ask(agent, argv)
        except TimeoutError:
            return f"{PROGRAM} did not answer within {self._patience:g} s"
        except NotFound:
            return ""
        except WeftError as err:
            return f"{PROGRAM}: {err.message}"


async def _ask(agent: Agent, argv: list[str]) -> str:
    said = ""
    async with await agent.exec(argv) as process:
        async for line in read_lines(process):
            said = said or line.strip()
        status = await process.wait()
    if not status.shell_code:
        return ""
    words = "".join(char if char.isprintable() else " " for char in said)[:LONGEST]
    return f"it does not want to: {words or f'{PROGRAM} ended with status {status.shell_code}'}"
