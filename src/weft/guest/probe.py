"""What the init's `probe` says. No input or output; see docs/agent-protocol.md, Builtins."""

import re
from collections.abc import Sequence

from weft.model.errors import Unavailable
from weft.model.trace import Outcome, ProbeView

_LINE = re.compile(r"([a-z]{1,20}) (\d{1,9}\.\d{3})(?: ([ -~]{1,100}))?\n")


def probe_argv(protocol: str, address: str, port: int | None, seconds: float, sport: int) -> Sequence[str]:
    """The tool and its arguments."""
    return ["probe", protocol, address, str(port or 0), str(round(seconds * 1000)), str(sport)]


def parse_probe(text: bytes) -> ProbeView:
    """Raises Unavailable for what the tool cannot have said."""
    found = _LINE.fullmatch(text.decode(errors="replace"))
    if found is None or found[1] not in list(Outcome):
        raise Unavailable("what the machine says of its probe makes no sense", hint="its agent is broken or hostile")
    return ProbeView(outcome=Outcome(found[1]), milliseconds=float(found[2]), detail=found[3] or "")
