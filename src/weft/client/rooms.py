"""The routes of rooms as methods."""

from collections.abc import Mapping
from typing import Any

from weft.client.http import Answer
from weft.client.transport import WORK_TIMEOUT, Json, Transport, quote_name


class RoomRoutes(Transport):
    """Rooms themselves; what is in one is asked of a client of that room."""

    def rooms(self) -> list[Json]:
        """Every room."""
        return self._ask_list("GET", "/v1/rooms")

    def room_view(self, name: str) -> Json:
        """One room's view."""
        return self._ask_object("GET", f"/v1/rooms/{quote_name(name)}")

    def create_room(
        self,
        name: str,
        *,
        description: str = "",
        isolation: str | None = None,
        resources: Mapping[str, Any] | None = None,
    ) -> Json:
        """Makes a room. `isolation`: `normal`, or `strict`, which has templates of its own. `resources`: what it is
        guaranteed of the host, and the most that it gets."""
        more = {"isolation": isolation, "resources": dict(resources) if resources else None}
        body = {"name": name, "description": description}
        return self._ask_object("POST", "/v1/rooms", body=body | {key: value for key, value in more.items() if value})

    def change_room(
        self,
        name: str,
        *,
        description: str | None = None,
        isolation: str | None = None,
        resources: Mapping[str, Any] | None = None,
    ) -> Json:
        """Changes a room; what is left out stays. Of `resources` None takes away."""
        more = {"description": description, "isolation": isolation, "resources": dict(resources or {})}
        body = {key: value for key, value in more.items() if value is not None}
        return self._ask_object("PATCH", f"/v1/rooms/{quote_name(name)}", body=body)

    def remove_room(self, name: str, *, force: bool = False, volumes: bool = False) -> None:
        """Removes a room with its networks; `force`: its machines and inserts too, `volumes`: volumes and snapshots."""
        query = {"force": force, "volumes": volumes}
        self._ask("DELETE", f"/v1/rooms/{quote_name(name)}", query=query, timeout=WORK_TIMEOUT)

    def open_room_logs(
        self,
        *,
        follow: bool = False,
        tail: int | None = None,
        since: float | None = None,
        until: float | None = None,
        timestamps: bool = False,
    ) -> Answer:
        """The logs of all machines of our room, as a stream to be closed: lines of a name, a tab, and what was written.

        `since` and `until` are seconds since the epoch; `tail` is of each machine.
        """
        query = {"follow": follow, "tail": tail, "since": since, "until": until, "timestamps": timestamps or None}
        return self._open_stream("/v1/logs", query)
