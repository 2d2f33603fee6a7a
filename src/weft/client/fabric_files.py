"""The routes of fabric files as methods."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from weft.client.http import Disconnected
from weft.client.transport import SILENCE, WORK_TIMEOUT, Json, Transport, quote_name
from weft.model.errors import error_from_dict


class FabricFileRoutes(Transport):
    """Fabric files: `path` is absolute, on the daemon's host, and says what paths in the file are relative to.

    `wish` is what PlanRequest takes besides: rooms, build, pull, down, volumes. A file that is wrong is Invalid, with a
    line for each problem in its detail.
    """

    def check_file(self, path: str, text: str) -> list[Json]:
        """Everything that is wrong with a file: line, column, where, what, severity."""
        problems: list[Json] = self._ask_file("check", path, text)["problems"]
        return problems

    def plan_file(self, path: str, text: str, **wish: Any) -> Json:
        """What would be done, and warnings."""
        return self._ask_file("plan", path, text, **wish)

    def apply_file(self, path: str, text: str, **wish: Any) -> Iterator[Json]:
        """Does it. Messages as they come: `step`, a report of one; `progress` of the step `key`; `result` at the end.

        `agreed`: keys of steps that may restart or lose something; None: all may. Whoever stops reading stops it: what
        was begun is done, nothing more is begun.
        """
        body = {"path": path, "text": text, **wish}
        with self._open("POST", "/v1/files/apply", body=body, timeout=WORK_TIMEOUT) as answer:
            answer.watch_silence(SILENCE, self._check_alive)
            yield from _follow(answer.lines())

    def render_file(self, path: str, text: str) -> str:
        """The file with everything that it leaves to defaults."""
        return str(self._ask_file("render", path, text)["text"])

    def diff_file(self, path: str, text: str, **wish: Any) -> Json:
        """What differs between rooms and a file: part by part, and as a text."""
        return self._ask_file("diff", path, text, **wish)

    def file_schema(self) -> Json:
        """What a fabric file may say, as a JSON Schema."""
        return self._ask_object("GET", "/v1/files/schema")

    def export_room(self, room: str, *, exact: bool = False) -> str:
        """A fabric file that says what a room is."""
        return str(self._ask_object("GET", f"/v1/files/export/{quote_name(room)}", query={"exact": exact})["text"])

    def _ask_file(self, verb: str, path: str, text: str, **wish: Any) -> Json:
        body = {"path": path, "text": text, **wish}
        return self._ask_object("POST", f"/v1/files/{verb}", body=body, timeout=WORK_TIMEOUT)


def _follow(lines: Iterator[str]) -> Iterator[Json]:
    for line in lines:
        message: Mapping[str, Any] = json.loads(line) if line.strip() else {}
        if "error" in message:
            raise error_from_dict(message["error"])
        if message:
            yield dict(message)
        if "result" in message:
            return
    raise Disconnected("the daemon went away before the work was done", hint="the same command goes on from there")
