"""The routes of settings and floppies as methods."""

from base64 import b64encode
from collections.abc import Mapping, Sequence
from typing import Any

from weft.client.transport import WORK_TIMEOUT, Json, Transport, quote_name


class ConfigRoutes(Transport):
    """An appliance's settings, and floppies by hand. Paths are absolute, on the daemon's host."""

    def config(self, name: str, *, running: bool | None = None, secrets: bool = False) -> Json:
        """A machine's settings: those that run or are saved; None: those that run, if the machine says so."""
        query = {"running": running, "secrets": secrets or None}
        return self._ask_object("GET", _config(name), query=query, timeout=WORK_TIMEOUT)

    def config_schema(self, name: str) -> Json:
        """What can be set on a machine."""
        return self._ask_object("GET", f"{_config(name)}/schema")

    def config_json_schema(self, name: str) -> Json:
        """The same as a JSON Schema."""
        return self._ask_object("GET", f"{_config(name)}/json-schema")

    def change_config(
        self,
        name: str,
        values: Mapping[str, Any],
        unset: Sequence[str] = (),
        *,
        revision: int | None = None,
        confirm: float | None = None,
    ) -> Json:
        """Sets and unsets: checked, applied if the machine runs, and saved; or an error, and nothing of it.

        `confirm`: goes back after so many seconds, unless it is confirmed.
        """
        body = {"set": dict(values), "unset": list(unset), "revision": revision}
        limit = {} if confirm is None else {"confirm": confirm}
        return self._ask_object("PATCH", _config(name), body=body | limit, timeout=WORK_TIMEOUT)

    def export_config(self, name: str, *, running: bool = False) -> str:
        """The settings as a TOML file, secrets included."""
        query = {"running": running}
        with self._open("GET", f"{_config(name)}/export", query=query, timeout=WORK_TIMEOUT) as answer:
            return answer.read().decode()

    def import_config(
        self, name: str, text: str, *, revision: int | None = None, by: str = "", confirm: float | None = None
    ) -> Json:
        """Takes a TOML file as the settings. `by`: what made it, for the history; `confirm` as in `change_config`."""
        body = {"text": text, "revision": revision, "by": by} | ({} if confirm is None else {"confirm": confirm})
        return self._ask_object("POST", f"{_config(name)}/import", body=body, timeout=WORK_TIMEOUT)

    def confirm_config(self, name: str) -> Json:
        """What is on trial stays."""
        return self._ask_object("POST", f"{_config(name)}/confirm", timeout=WORK_TIMEOUT)

    def config_history(self, name: str) -> list[Json]:
        """The last revisions, the newest first."""
        return self._ask_list("GET", f"{_config(name)}/history")

    def config_diff(self, name: str, before: int | None = None, after: int | None = None) -> list[Json]:
        """What differs: from one revision to another or to what is saved; without both, from that to what runs."""
        return self._ask_list("GET", f"{_config(name)}/diff", query={"before": before, "after": after})

    def revert_config(self, name: str, revision: int | None = None) -> Json:
        """Goes back to a revision; None: the machine runs with what is saved again."""
        body = {"revision": revision}
        return self._ask_object("POST", f"{_config(name)}/revert", body=body, timeout=WORK_TIMEOUT)

    def commit_config(self, name: str) -> Json:
        """Saves what the machine says it runs with."""
        return self._ask_object("POST", f"{_config(name)}/commit", timeout=WORK_TIMEOUT)

    def reset_machine(
        self, name: str, *, failsafe: bool = False, wait: bool = True, timeout: float | None = None
    ) -> Json:
        """Empties a machine's floppy and starts it again if it runs; `failsafe`: starts it without its floppy."""
        body = {"failsafe": failsafe, "wait": wait} | ({} if timeout is None else {"timeout": timeout})
        limit = WORK_TIMEOUT + (timeout or 0)
        return self._ask_object("POST", f"/v1/machines/{quote_name(name)}/reset", body=body, timeout=limit)

    # Floppies

    def floppy(self, floppy: str) -> Json:
        """A floppy's label, free bytes and files."""
        return self._ask_object("GET", "/v1/floppies", query={"floppy": floppy})

    def create_floppy(self, floppy: str, *, label: str | None = None, force: bool = False) -> Json:
        """Makes an empty floppy."""
        body = {"floppy": floppy, "force": force} | ({} if label is None else {"label": label})
        return self._ask_object("POST", "/v1/floppies", body=body)

    def copy_floppy(self, floppy: str, target: str, *, force: bool = False) -> Json:
        """Makes a floppy like another one."""
        body = {"floppy": floppy, "target": target, "force": force}
        return self._ask_object("POST", "/v1/floppies/copy", body=body)

    def read_floppy(self, floppy: str, path: str) -> bytes:
        """A file of a floppy."""
        with self._open("GET", "/v1/floppies/content", query={"floppy": floppy, "path": path}) as answer:
            return answer.read()

    def write_floppy(self, floppy: str, path: str, content: bytes) -> Json:
        """Puts a file on a floppy."""
        body = {"floppy": floppy, "path": path, "content": b64encode(content).decode()}
        return self._ask_object("POST", "/v1/floppies/content", body=body)

    def remove_from_floppy(self, floppy: str, path: str) -> None:
        """Takes a file or folder off a floppy."""
        self._ask("DELETE", "/v1/floppies/content", query={"floppy": floppy, "path": path})


def _config(name: str) -> str:
    return f"/v1/machines/{quote_name(name)}/config"
