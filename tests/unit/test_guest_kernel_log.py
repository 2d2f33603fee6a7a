"""What a guest's kernel has said, as far as its init and its words can be trusted."""

from collections.abc import AsyncIterator, Sequence
from typing import Any, cast

from weft.guest.agent import Agent
from weft.guest.kernel_log import MOST_BYTES, MOST_CHARACTERS, read_kernel_log
from weft.model.errors import NotFound


class PaperAgent:
    """Has one program, whose output is known."""

    def __init__(self, *pieces: bytes, has_tool: bool = True) -> None:
        self._pieces = pieces
        self._has_tool = has_tool
        self.argv: Sequence[str] = ()

    async def exec(self, argv: Sequence[str], *, builtin: bool) -> "PaperAgent":
        assert builtin
        if not self._has_tool:
            raise NotFound("no such program")
        self.argv = argv
        return self

    async def __aenter__(self) -> "PaperAgent":
        return self

    async def __aexit__(self, *_: object) -> None:
        """It is left to itself."""

    async def __aiter__(self) -> AsyncIterator[tuple[str, bytes]]:
        for piece in self._pieces:
            yield "stdout", piece
        yield "stderr", b"kernel-log: complains\n"


async def read(agent: PaperAgent) -> list[str]:
    return await read_kernel_log(cast(Agent, cast(Any, agent)), 2.5, ["virtio_mem"])


async def test_lines_come_whole_and_the_oldest_first() -> None:
    agent = PaperAgent(b"virtio_mem a", b": one\nvirtio_mem b: two\n")
    assert await read(agent) == ["virtio_mem a: one", "virtio_mem b: two"]
    assert agent.argv == ["kernel-log", "3.5", "virtio_mem"]


async def test_an_init_of_an_earlier_version_says_nothing() -> None:
    assert await read(PaperAgent(has_tool=False)) == []


async def test_a_hostile_guest_says_little_and_nothing_that_moves_a_cursor() -> None:
    assert await read(PaperAgent(b"virtio_mem \x1b[2J\xff\n")) == ["virtio_mem ?[2J\ufffd"]
    flood = PaperAgent(*[b"x" * 4096] * 1000)
    (line,) = await read(flood)
    assert len(line) == MOST_CHARACTERS < MOST_BYTES
