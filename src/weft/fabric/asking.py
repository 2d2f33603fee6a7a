"""Programs in a machine, run to their end, or for as long as somebody reads. The guest is not trusted."""

import codecs
from collections.abc import AsyncIterator, Sequence

from weft.guest.agent import Agent
from weft.guest.streams import ExecStream
from weft.model.errors import Unavailable

MOST_BYTES = 8 << 20
"""What a program may say: a table of many thousand connections."""
_MOST_ERRORS = 4096
_MOST_LINE = 64 << 10


async def ask(agent: Agent, argv: Sequence[str]) -> str:
    """What a program prints. Raises Unavailable when it fails, or says too much."""
    outputs = {"stdout": bytearray(), "stderr": bytearray()}
    async with await agent.exec(argv) as process:
        async for name, data in process:
            outputs[name] += data
            if len(outputs["stdout"]) > MOST_BYTES:
                raise Unavailable(f"{argv[0]} in the machine does not come to an end")
            del outputs["stderr"][_MOST_ERRORS:]
        status = await process.wait()
    if status.shell_code:
        reason = outputs["stderr"].decode(errors="replace").strip() or f"status {status.shell_code}"
        raise Unavailable(f"{argv[0]} in the machine: {reason.splitlines()[-1]}")
    return outputs["stdout"].decode(errors="replace")


async def read_lines(process: ExecStream) -> AsyncIterator[str]:
    """The lines of a program's output, as they come; of one that is far too long, pieces."""
    decoder, rest = codecs.getincrementaldecoder("utf-8")(errors="replace"), ""
    async for name, data in process:
        if name == "stdout":
            *lines, rest = (rest + decoder.decode(data)).split("\n")
            for line in lines:
                yield line
            if len(rest) > _MOST_LINE:
                yield rest
                rest = ""
