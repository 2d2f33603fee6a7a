"""What the init's `cpus` says. No input or output; see docs/agent-protocol.md, Builtins."""

import re
from dataclasses import dataclass

from weft.model.errors import Unavailable

_LINE = re.compile(rb"(\d{1,4}) (\d{1,4}) (\d{1,4})\n")


@dataclass(frozen=True, slots=True)
class Processors:
    """How many a guest uses, has, and could ever have."""

    online: int
    present: int
    possible: int


def cpus_argv(wanted: int | None) -> tuple[str, ...]:
    """The tool and its arguments: have so many online; None: count them only."""
    return ("cpus",) if wanted is None else ("cpus", str(wanted))


def parse_processors(text: bytes) -> Processors:
    """Raises Unavailable for what the tool cannot have said."""
    found = _LINE.fullmatch(text)
    if found is None:
        hint = "its agent is broken or hostile"
        raise Unavailable("what the machine says of its processors makes no sense", hint=hint)
    return Processors(*(int(number) for number in found.groups()))


def count_cpus(text: str) -> int | None:
    """Of a list like `0-2,5`; None for what is none."""
    count = 0
    for part in text.split(","):
        found = re.fullmatch(r"(\d{1,6})(?:-(\d{1,6}))?", part)
        if found is None:
            return None
        first, last = int(found[1]), int(found[2] or found[1])
        if last < first:
            return None
        count += last - first + 1
    return count
