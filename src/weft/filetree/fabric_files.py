"""`file/`: fabric files, written and then carried out.

clone       opening it makes an empty one, and gives its `ctl`
schema      what a fabric file may say, as JSON Schema
N/ctl       up, down, and what paths in it are relative to
N/text      what it says
N/problem   what is wrong with it
N/plan      what `up` would do
N/diff      what is otherwise than it says
N/render    it, written out in full
N/report    what came of the last `up` or `down`
"""

from collections.abc import Mapping, Sequence
from typing import Any

from weft.client.client import Client
from weft.filetree.api import Api
from weft.filetree.commands import Command, ask, find, shows, table
from weft.filetree.conversations import Conversations
from weft.filetree.files import text
from weft.filetree.grammar import Given, Grammar
from weft.filetree.nodes import Make
from weft.filetree.views import View
from weft.filetree.words import dump_row
from weft.ninep.words import NinepError

UP, DOWN = "[agree] [build] [pull] [rooms=ROOMS]", "[agree] [volumes] [rooms=ROOMS]"
"""ROOMS have commas between them. `agree`: to restarts, and to what is lost."""
PATH = Grammar("path", "PATH", "Where it would be on the daemon's host, for the paths in it.")


class FabricFile:
    """One that somebody writes. `path`: where it would lie on the daemon's host, for the paths in it."""

    def __init__(self, api: Api) -> None:
        self.path = "/weft.yaml"
        self.text = ""
        self._api = api
        self._report: Sequence[View] = ()

    def files(self) -> Mapping[str, Make]:
        """Those beside `ctl`."""

        async def show_report() -> str:
            return "".join(map(dump_step_report, self._report))

        return {
            "text": text(self._show_text, self._save_text),
            "problem": shows(self._api, lambda client: client.check_file(self.path, self.text), dump_problems),
            "plan": shows(self._api, lambda client: client.plan_file(self.path, self.text), dump_plan),
            "diff": shows(self._api, lambda client: client.diff_file(self.path, self.text), _take_text),
            "render": shows(self._api, lambda client: client.render_file(self.path, self.text), _take_text),
            "report": text(show_report),
        }

    async def run(self, words: list[str]) -> None:
        """A command of `ctl`. Raises NinepError, also like the first step that failed."""
        if words[0] == PATH.word:
            self.path = PATH.read(words[1:])["path"]
            return
        command: Command = find(FILE, words[0])
        given = command.grammar.read(words[1:])
        self._report = (await ask(self._api, lambda client: command.ask(client, self, given)))["steps"]
        _refuse_failure(self._report)

    async def end(self) -> None:
        """Nothing goes on."""

    async def _show_text(self) -> str:
        return self.text

    async def _save_text(self, content: str) -> None:
        self.text = content


def fabric_files(api: Api) -> Conversations:
    """All that are being written."""
    return Conversations(lambda: FabricFile(api), {"schema": shows(api, lambda client: client.file_schema())})


def _apply(client: Client, file: FabricFile, given: Given, **more: Any) -> object:
    flags = {key: given[key] for key in ("build", "pull", "volumes") if given.get(key)}
    wish = {**flags, **more, "rooms": given["rooms"].split(",") if given["rooms"] else []}
    return client.apply_file(file.path, file.text, **wish, agreed=None if given["agree"] else [])


FILE: Mapping[str, Command] = table(
    Command(
        "up", UP, "Makes rooms what it says.", ("up",),
        lambda client, file, given: _apply(client, file, given),
    ),
    Command(
        "down", DOWN, "Takes away what it has made.", ("down",),
        lambda client, file, given: _apply(client, file, given, down=True),
    ),
)  # fmt: skip


def _take_text(view: View) -> str:
    return str(view["text"])


def _refuse_failure(steps: Sequence[View]) -> None:
    """Raises NinepError like the first step that failed, if one did."""
    if failed := [step for step in steps if step["progress"] == "failed"]:
        first = failed[0]
        where = " ".join(first["step"][key] for key in ("room", "kind", "name") if first["step"][key])
        raise NinepError(f"{first['error']['code']}: {len(failed)} failed: {where}: {first['error']['message']}")


def dump_problems(view: View) -> str:
    """A line each: line, column, severity, where, what."""
    return "".join(
        dump_row([one["line"], one["column"], one["severity"], one["where"], one["what"]]) for one in view["problems"]
    )


def dump_plan(view: View) -> str:
    """A step each: room, verb, kind, name, machines that it restarts, what is lost, why."""
    return "".join(dump_row([*_dump_step(step), "; ".join(step["why"])]) for step in view["plan"]["steps"])


def _dump_step(step: View) -> list[str]:
    names = [step[key] for key in ("room", "verb", "kind", "name")]
    return [*names, ",".join(step["restarts"]), ",".join(step["loses"])]


def dump_step_report(report: View) -> str:
    """room, verb, kind, name, machines that it restarted, what was lost, what came of it, milliseconds, error."""
    error = report.get("error") or {}
    numbers = int((report.get("seconds") or 0) * 1000)
    return dump_row([*_dump_step(report["step"]), report["progress"], numbers, error.get("message")])
