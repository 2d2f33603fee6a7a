"""What the agent's `processes` says. No input or output; see docs/agent-protocol.md, Builtins."""

from urllib.parse import unquote_to_bytes

from weft.model.errors import Unavailable
from weft.model.stats import ProcessView

_FIELDS = 9


def parse_processes(text: bytes) -> list[ProcessView]:
    """Raises Unavailable for what the agent cannot have said."""
    try:
        return [_parse_line(line) for line in text.splitlines() if line]
    except ValueError as err:
        hint = "the machine's agent is broken or hostile"
        raise Unavailable("what the machine says of its processes makes no sense", hint=hint) from err


def _parse_line(line: bytes) -> ProcessView:
    fields = line.split(b" ", _FIELDS - 1)
    pid, parent, uid, state, threads, resident, cpu_ms, start_ms, command = fields
    return ProcessView(
        pid=int(pid),
        parent=int(parent),
        uid=int(uid),
        state=state.decode("ascii"),
        threads=int(threads),
        resident=int(resident),
        cpu_seconds=int(cpu_ms) / 1000,
        started=int(start_ms) / 1000,
        command=unquote_to_bytes(command).decode(errors="replace"),
    )
