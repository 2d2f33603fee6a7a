"""How requests reach the daemon of a home: connecting, starting one if none runs, and errors back into exceptions."""

import json
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weft.client.home import connect_socket, default_home, default_room
from weft.client.http import Answer, Disconnected, send_request, send_stream
from weft.model.errors import Internal, Invalid, NotFound, Unavailable, WeftError, error_from_dict
from weft.model.names import DEFAULT_ROOM

if TYPE_CHECKING:
    import socket

Json = dict[str, Any]
Progress = Callable[[str, float | None], None]
"""What is being done, and the part of it that is done (0 to 1) if that is known."""

ANSWER_TIMEOUT = 30.0
"""Seconds for an answer that needs no waiting."""
WORK_TIMEOUT = 300.0
"""Seconds for an answer that comes when a machine is ready or gone; the daemon's own limits are shorter."""
SILENCE = 15.0
"""Seconds without a byte on a stream after which we ask whether the daemon is still there."""

_SHARED = ("version", "doctor", "shutdown", "rooms", "files", "images", "kernels", "floppies")
"""Routes of what all rooms have in common; every other one is a room's."""


@dataclass(frozen=True, slots=True)
class Request:
    """What the daemon is asked: `target` is path and query, `body` JSON or None, `timeout` seconds for an answer.
    `pieces`: what is sent in place of a body.
    """

    method: str
    target: str
    body: object
    timeout: float
    pieces: Iterable[bytes] | None = None


class Transport:
    """What all routes have in common."""

    def __init__(
        self,
        home: Path | None = None,
        *,
        room: str | None = None,
        start: bool = True,
        timeout: float = ANSWER_TIMEOUT,
    ) -> None:
        self.home = home.absolute() if home else default_home()
        self.room = room or default_room()
        self._start = start
        self._timeout = timeout

    def _locate(self, path: str) -> str:
        """A route of `/v1/` as it is for our room; every other one belongs to all."""
        if self.room == DEFAULT_ROOM or not path.startswith("/v1/") or path.split("/", 3)[2] in _SHARED:
            return path
        return f"/v1/rooms/{quote_name(self.room)}{path.removeprefix('/v1')}"

    def _build(self, path: str, body: Json, progress: Progress) -> Json:
        with self._open("POST", path, body=body, timeout=WORK_TIMEOUT) as answer:
            answer.watch_silence(SILENCE, self._check_alive)
            return _follow_progress(answer.lines(), progress)

    def _import(self, path: str, query: Mapping[str, Any], pieces: Iterable[bytes], progress: Progress) -> Json:
        target = self._locate(path) + dump_query(query)
        with self._accept(send_stream(self._connect(WORK_TIMEOUT), "POST", target, pieces), f"POST {path}") as answer:
            answer.watch_silence(SILENCE, self._check_alive)
            return _follow_progress(answer.lines(), progress)

    def _put(self, path: str, query: Mapping[str, Any], pieces: Iterable[bytes]) -> None:
        target = self._locate(path) + dump_query(query)
        with self._accept(send_stream(self._connect(WORK_TIMEOUT), "PUT", target, pieces), f"PUT {path}") as answer:
            answer.read()

    def _ask_object(self, method: str, path: str, **request: Any) -> Json:
        value = self._ask(method, path, **request)
        if not isinstance(value, dict):
            raise Internal(f"the daemon answered {method} {path} with something else than an object")
        return value

    def _ask_list(self, method: str, path: str, **request: Any) -> list[Json]:
        value = self._ask(method, path, **request)
        if not isinstance(value, list):
            raise Internal(f"the daemon answered {method} {path} with something else than a list")
        return value

    def _ask(self, method: str, path: str, **request: Any) -> Any:
        with self._open(method, path, **request) as answer:
            return answer.json()

    def _open_stream(self, path: str, query: Mapping[str, Any], timeout: float | None = None) -> Answer:
        answer = self._open("GET", path, query=query, timeout=timeout)
        answer.watch_silence(SILENCE, self._check_alive)
        return answer

    def _open(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        body: object = None,
        timeout: float | None = None,
    ) -> Answer:
        request = Request(method, self._locate(path) + dump_query(query), body, timeout or self._timeout)
        return self._accept(self._send(request), f"{method} {path}")

    def _accept(self, answer: Answer, request: str) -> Answer:
        if answer.status < 400:
            return answer
        with answer:
            raise read_error(answer.status, answer.read(), request)

    def _send(self, request: Request) -> Answer:
        """A question that a dying daemon took and never read is asked again; an order is not: it may have been read."""
        try:
            return send_request(self._connect(request.timeout), request.method, request.target, request.body)
        except Disconnected as err:
            if request.method != "GET" or not isinstance(err.__cause__, ConnectionError):
                raise
        return send_request(self._connect(request.timeout), request.method, request.target, request.body)

    def _connect(self, timeout: float) -> "socket.socket":
        try:
            return connect_socket(self.home, timeout)
        except (FileNotFoundError, ConnectionRefusedError, NotADirectoryError) as err:
            if not self._start:
                raise Unavailable(f"no daemon runs in {self.home}", hint="start it with: weft serve") from err
        except OSError as err:
            raise self._unreachable(err) from err
        from weft.client.starting import start_daemon

        start_daemon(self.home)
        try:
            return connect_socket(self.home, timeout)
        except OSError as err:
            raise self._unreachable(err) from err

    def _unreachable(self, err: OSError) -> Unavailable:
        hint = "it belongs to another user" if isinstance(err, PermissionError) else None
        return Unavailable(f"the daemon in {self.home} cannot be reached: {err.strerror or err}", hint=hint)

    def _check_alive(self) -> None:
        Transport(self.home, start=False, timeout=SILENCE)._ask("GET", "/v1/version")


def quote_name(name: str) -> str:
    """A name as part of a path. Raises Invalid for what would lead to another path."""
    if not name or "/" in name:
        raise Invalid(f"{name!r} is not a valid name")
    return _quote(name)


def quote_image(name: str) -> str:
    """An image's name, which may have slashes, as part of a path. Raises Invalid for an empty one."""
    if not name:
        raise Invalid(f"{name!r} is not a valid name")
    return _quote(name)


def _quote(text: str) -> str:
    """Percent-encoded for a path or query. Names need nothing, and the import takes 3 ms."""
    if text.isascii() and text.replace("-", "").isalnum():
        return text
    from urllib.parse import quote

    return quote(text, safe="")


def dump_query(query: Mapping[str, Any] | None) -> str:
    """A query as it stands behind a path; what is None is left out."""

    def dump(value: object) -> str:
        return str(value).lower() if isinstance(value, bool) else _quote(str(value))

    pairs = []
    for key, value in (query or {}).items():
        values = value if isinstance(value, list | tuple) else [value]
        pairs += [f"{key}={dump(one)}" for one in values if one is not None]
    return f"?{'&'.join(pairs)}" if pairs else ""


def read_error(status: int, body: bytes, request: str) -> WeftError:
    """The error that the daemon answered a request with."""
    try:
        return error_from_dict(json.loads(body)["error"])
    except (ValueError, KeyError, TypeError, AttributeError):
        pass
    if status in (404, 405):
        return NotFound(f"the daemon does not know {request}", hint="is it of another version? weft version")
    return Internal(f"the daemon answered {request} with status {status}", detail=body[:2000].decode("latin-1"))


def _follow_progress(lines: Iterator[str], progress: Progress) -> Json:
    for line in lines:
        message = json.loads(line) if line.strip() else {}
        if "error" in message:
            raise error_from_dict(message["error"])
        if "result" in message:
            result: Json = message["result"]
            return result
        if "progress" in message:
            progress(message["progress"], message.get("fraction"))
    raise Disconnected("the daemon went away before the work was done", hint="the same command goes on from its cache")
