"""Machines are asked before they get smaller."""

import asyncio
from typing import Any, cast

import pytest

from weft.fabric.elastic.vetoing import PROGRAM, Vetoing
from weft.fabric.records.machine import MachineRecord
from weft.fabric.runs import Runs
from weft.guest.protocol import ExitStatus
from weft.model.elastic import Resource
from weft.model.errors import Invalid, NotFound, WeftError
from weft.model.machine import MachineSpec

MACHINE = MachineRecord(
    spec=MachineSpec(name="db", image="base"), slot=1, uuid="", created=1.0, kernel="6.1", memory=64 << 20, nics=()
)


class PaperProgram:
    """What the program says, and how it ends."""

    def __init__(self, said: bytes, code: int, seconds: float) -> None:
        self._said, self._code, self._seconds = said, code, seconds

    async def __aenter__(self) -> "PaperProgram":
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    async def __aiter__(self) -> Any:
        yield "stderr", b"noise"
        yield "stdout", self._said

    async def wait(self) -> ExitStatus:
        await asyncio.sleep(self._seconds)
        return ExitStatus(code=self._code)


class PaperAgent:
    def __init__(self, said: bytes = b"", code: int = 0, seconds: float = 0.0, error: WeftError | None = None) -> None:
        self._program, self._error = PaperProgram(said, code, seconds), error
        self.argv: list[str] = []

    async def exec(self, argv: list[str]) -> PaperProgram:
        self.argv = argv
        if self._error:
            raise self._error
        return self._program


class PaperRuns:
    def __init__(self, agent: PaperAgent | None) -> None:
        self._agent = agent

    def find_agent(self, name: str) -> PaperAgent | None:
        return self._agent


async def ask(agent: PaperAgent | None) -> str:
    return await Vetoing(cast(Runs, PaperRuns(agent)), patience=0.05).may_shrink(MACHINE, Resource.MEMORY, 1 << 20)


@pytest.mark.parametrize(
    ("agent", "answer"),
    [
        (None, ""),
        (PaperAgent(), ""),
        (PaperAgent(error=NotFound("in the machine: no such program")), ""),
        (PaperAgent(b"a job runs\x1b[2J\nmore\n", 1), "it does not want to: a job runs [2J"),
        (PaperAgent(b"", 3), f"it does not want to: {PROGRAM} ended with status 3"),
        (PaperAgent(seconds=60), f"{PROGRAM} did not answer within 0.05 s"),
        (PaperAgent(error=Invalid("in the machine: not executable")), f"{PROGRAM}: in the machine: not executable"),
    ],
)
async def test_a_machine_may_say_no_and_why(agent: PaperAgent | None, answer: str) -> None:
    assert await ask(agent) == answer


async def test_it_is_told_from_where_to_where() -> None:
    agent = PaperAgent()
    await ask(agent)
    assert agent.argv == [PROGRAM, "memory", str(64 << 20), str(1 << 20)]
