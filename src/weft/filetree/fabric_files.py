"""`file/`: fabric files, written and then carried out.

clone       opening it makes an empty one, and gives its `ctl`
schema      what a fabric file may say, as JSON Schema
N/ctl       up, down, check, and what paths in it are relative to
N/text      what it says
N/problem   what is wrong with it
N/plan      what `up` would do
N/diff      what is otherwise than it says
N/render    it, written out in full
N/report    what came of the last `up` or `down`
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from weft.client.client import Client
from weft.filetree.api import Api
from weft.filetree.commands import Command, ask, find, table
from weft.filetree.files import OpenCommands, Run, commands, opened, text
from weft.filetree.grammar import Given, Grammar
from weft.filetree.nodes import CHANGE, READ_WRITE, Entry, Fixed, Listed, Make
from weft.filetree.views import View, dump_json
from weft.filetree.words import dump_row
from weft.ninep.tree import OpenFile
from weft.ninep.words import NOT_FOUND, NinepError, OpenMode

KEPT = 32
"""So many are remembered; a new one drives out the oldest."""
UP, DOWN = "[agree] [build] [pull] [rooms=ROOMS]", "[agree] [volumes] [rooms=ROOMS]"
"""ROOMS have commas between them. `agree`: to restarts, and to what is lost."""


class FabricFile:
    """One that somebody has written. `path`: where it would lie on the daemon's host, for the paths in it."""

    def __init__(self) -> None:
        self.path = "/weft.yaml"
        self.text = ""
        self.report: list[View] = []


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
PATH = Grammar("path", "PATH")


class FabricFiles:
    """All that were written, by number."""

    def __init__(self, api: Api) -> None:
        self._api = api
        self._files: dict[str, FabricFile] = {}
        self._last = 0

    def folder(self, parent: Entry, name: str) -> Entry:
        """The directory `file`."""
        fixed = {
            "clone": opened(READ_WRITE, self._clone),
            "schema": self._shows(lambda client, _: client.file_schema()),
        }
        return Listed(parent, name, self._names, self._make, fixed, CHANGE)

    async def _names(self) -> Sequence[str]:
        return list(self._files)

    def _make(self, parent: Entry, number: str) -> Entry:
        return Fixed(parent, number, self._parts(number), CHANGE, lambda: self._forget(number))

    async def _forget(self, number: str) -> None:
        self._files.pop(number, None)

    async def _clone(self, node: Entry, _mode: OpenMode) -> OpenFile:
        self._last += 1
        number = str(self._last)
        self._files[number] = FabricFile()
        while len(self._files) > KEPT:
            del self._files[next(iter(self._files))]
        return OpenCommands(node, f"{number}\n".encode(), self._runs(number))

    def _find(self, number: str) -> FabricFile:
        if (file := self._files.get(number)) is None:
            raise NinepError(NOT_FOUND)
        return file

    def _parts(self, number: str) -> Mapping[str, Make]:
        async def show_number() -> str:
            return f"{number}\n"

        async def show_text() -> str:
            return self._find(number).text

        async def save_text(content: str) -> None:
            self._find(number).text = content

        async def show_report() -> str:
            return "".join(map(dump_step_report, self._find(number).report))

        return {
            "ctl": commands(self._runs(number), show_number),
            "text": text(show_text, save_text),
            "problem": self._shows(_check, number, dump_problems),
            "plan": self._shows(_plan, number, dump_plan),
            "diff": self._shows(_diff, number, _take_text),
            "render": self._shows(_render, number, _take_text),
            "report": text(show_report),
        }

    def _shows(
        self, call: Callable[[Client, FabricFile], object], number: str = "", dump: Callable[[Any], str] = dump_json
    ) -> Make:
        async def show() -> str:
            file = self._find(number) if number else FabricFile()
            return dump(await ask(self._api, lambda client: call(client, file)))

        return text(show)

    def _runs(self, number: str) -> Run:
        async def run(words: list[str]) -> None:
            file = self._find(number)
            if words[0] == PATH.word:
                file.path = PATH.read(words[1:])["path"]
                return
            command: Command = find(FILE, words[0])
            given = Grammar(command.word, command.usage).read(words[1:])
            report = await ask(self._api, lambda client: command.ask(client, file, given))
            file.report = report["steps"]
            _refuse_failure(file.report)

        return run


def _check(client: Client, file: FabricFile) -> object:
    return client.check_file(file.path, file.text)


def _plan(client: Client, file: FabricFile) -> object:
    return client.plan_file(file.path, file.text)


def _diff(client: Client, file: FabricFile) -> object:
    return client.diff_file(file.path, file.text)


def _render(client: Client, file: FabricFile) -> object:
    return client.render_file(file.path, file.text)


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
