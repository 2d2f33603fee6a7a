"""`trace`: what is written to it is traced, and reading it says what came of the last one."""

from typing import Any

from weft.filetree.api import Api
from weft.filetree.commands import Command, ask, table
from weft.filetree.files import commands
from weft.filetree.nodes import Make
from weft.filetree.views import View
from weft.filetree.words import dump_row, join_words

TRACE = table(
    Command(
        "trace", "SOURCE DESTINATION [noprobe] [ipv6] [timeout=SECONDS]",
        "Says what lies between; an end is as of `weft trace`.", ("trace",),
        lambda client, _subject, given: client.trace(
            given["source"],
            given["destination"],
            probe=not given["noprobe"],
            ipv6=given["ipv6"],
            timeout=given["timeout"] or 2.0,
        ),
    ),
)  # fmt: skip


class Traces:
    """Of one room: the last one."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._last = ""

    @property
    def file(self) -> Make:
        """The file `trace`."""
        return commands(self._run, self._show)

    async def _run(self, words: list[str]) -> None:
        command = TRACE["trace"]
        given = command.grammar.read(words[1:] if words[0] == command.word else words)
        self._last = dump_trace(await ask(self._api, lambda client: command.ask(client, "", given)))

    async def _show(self) -> str:
        return self._last


def dump_trace(view: View) -> str:
    """verdict, packet, why; then for each hop: way, place, verdict, rule, why; what came of a real packet, in
    milliseconds; and where the two disagree."""
    lines = [dump_row([view["verdict"], view["packet"], view["why"]])]
    lines += [dump_row([hop[key] for key in ("way", "at", "verdict", "rule", "why")]) for hop in view["hops"]]
    probe: dict[str, Any] | None = view.get("probe")
    if probe is not None:
        lines.append(dump_row(["probe", probe["outcome"], int(probe["milliseconds"]), probe["detail"]]))
    lines += [join_words(["disagreement", text]) + "\n" for text in view.get("disagreements", [])]
    return "".join(lines)
