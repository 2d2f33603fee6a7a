"""What a machine's kernel has said lately; see docs/agent-protocol.md, Builtins."""

from collections.abc import Sequence

from weft.guest.agent import Agent
from weft.model.errors import NotFound

CLOCKS = 1.0
"""Seconds by which a guest's clock may be off ours over such a time."""
MOST_BYTES, MOST_CHARACTERS = 16384, 200


async def read_kernel_log(agent: Agent, seconds: float, words: Sequence[str]) -> list[str]:
    """Lines of the last seconds with one of these words in them, the oldest first; none from an init that has no such
    tool. Raises Unavailable when the agent does not answer.
    """
    said = b""
    try:
        async with await agent.exec(["kernel-log", f"{seconds + CLOCKS:.1f}", *words], builtin=True) as process:
            async for name, data in process:
                said += data if name == "stdout" else b""
                if len(said) > MOST_BYTES:
                    break
    except NotFound:
        return []
    return [_clean(line) for line in said[:MOST_BYTES].decode(errors="replace").splitlines()]


def _clean(line: str) -> str:
    return "".join(character if character.isprintable() else "?" for character in line[:MOST_CHARACTERS])
