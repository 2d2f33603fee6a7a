"""The routes of snapshots and suspended machines as methods."""

from collections.abc import Iterable, Mapping

from weft.client.http import Answer
from weft.client.transport import WORK_TIMEOUT, Json, Progress, Transport, quote_name


class SnapshotRoutes(Transport):
    """What machines were at an instant, kept, and gone on from."""

    def snapshots(self) -> list[Json]:
        """Every snapshot, the oldest first."""
        return self._ask_list("GET", "/v1/snapshots")

    def snapshot(self, name: str) -> Json:
        """One snapshot's view."""
        return self._ask_object("GET", _snapshot(name))

    def create_snapshot(
        self, machine: str, progress: Progress, *, name: str | None = None, labels: Mapping[str, str] | None = None
    ) -> Json:
        """Takes a snapshot of a machine that runs, and goes on."""
        body = {"machine": machine, "name": name, "labels": dict(labels or {})}
        return self._build("/v1/snapshots", body, progress)

    def remove_snapshot(self, name: str) -> None:
        """Removes a snapshot."""
        self._ask("DELETE", _snapshot(name), timeout=WORK_TIMEOUT)

    def open_snapshot(self, name: str) -> Answer:
        """A tar with a snapshot, as a stream to be closed."""
        return self._open_stream(f"{_snapshot(name)}/archive", {})

    def import_snapshot(self, pieces: Iterable[bytes], progress: Progress, *, name: str | None = None) -> Json:
        """Takes in a snapshot from a tar that comes in pieces, under its own name or another."""
        return self._import("/v1/snapshots/import", {"name": name}, pieces, progress)

    def restore(self, snapshot: str, progress: Progress, *, name: str | None = None, replace: bool = False) -> Json:
        """Makes a machine that goes on from a snapshot, and waits until its agent is ready; the machine.

        Under the original's name it is the same machine again, under another one a copy with an identity of its own.
        `replace`: the machine that has the name goes back to what it was.
        """
        return self._build(f"{_snapshot(snapshot)}/restore", {"name": name, "replace": replace}, progress)

    def suspend_machine(self, name: str, progress: Progress) -> Json:
        """Puts a machine that runs on disk, and ends it; the machine."""
        return self._build(f"/v1/machines/{quote_name(name)}/suspend", {}, progress)

    def resume_machine(self, name: str, *, wait: bool = True) -> Json:
        """Lets a suspended machine go on; `wait`: until its agent is ready."""
        path = f"/v1/machines/{quote_name(name)}/resume"
        return self._ask_object("POST", path, body={"wait": wait}, timeout=WORK_TIMEOUT)


def _snapshot(name: str) -> str:
    return f"/v1/snapshots/{quote_name(name)}"
