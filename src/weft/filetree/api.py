"""The daemon's API for the tree: the client's routes, asked without blocking.

Every error becomes the text of a 9P error: the code, a colon, and the message, as `not-found: no machine 'web'`.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol

import httpx
from websockets.asyncio.client import ClientConnection, unix_connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake, InvalidStatus

from weft.client.home import socket_address
from weft.client.telling import Call, tell_path, tell_request
from weft.client.transport import Request, read_error
from weft.model.errors import Internal, Unavailable, WeftError, error_from_dict
from weft.model.expose import VISIT_HEADER, Visit
from weft.model.names import DEFAULT_ROOM
from weft.ninep.words import NinepError

_HOST = "http://weft"
_STEPS = "application/x-ndjson"
"""The type of an answer in which progress comes before the result, a line each."""
_OPEN_TIMEOUT = 60.0
MOST_OF_VISIT = 64
"""Requests of one machine's connection that can wait for something; one more is told so after a while."""
_LARGEST_MESSAGE = 1 << 24


class Session(Protocol):
    """A WebSocket of the API: a console, or a program that runs in a machine."""

    async def send(self, message: str | bytes) -> None: ...

    async def recv(self) -> str | bytes | None:
        """The next message, or None at the end."""


class Api(Protocol):
    """What the tree asks, of one room. All raise NinepError."""

    @property
    def room(self) -> str:
        """The room that is asked about."""

    def in_room(self, room: str) -> "Api":
        """The same of another room."""

    async def ask(self, call: Call) -> Any:
        """The JSON that is answered; of work that tells its progress, the result."""

    def open(self, call: Call) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """An answer that goes on, as it comes."""

    def open_session(self, path: str) -> AbstractAsyncContextManager[Session]:
        """A session at this route."""


class SocketApi:
    """The API on a daemon's socket at `address`; `open_api` makes one. `headers` go with every request."""

    def __init__(self, client: httpx.AsyncClient, address: str, room: str, headers: Mapping[str, str]) -> None:
        self._client = client
        self._address = address
        self._room = room
        self._headers = headers

    @property
    def room(self) -> str:
        return self._room

    def in_room(self, room: str) -> "SocketApi":
        return SocketApi(self._client, self._address, room, self._headers)

    async def ask(self, call: Call) -> Any:
        with translated():
            async with self._send(tell_request(call, self._room)) as answer:
                body = await answer.aread()
                return _read_result(body) if answer.headers.get("content-type") == _STEPS else _read_json(answer, body)

    @asynccontextmanager
    async def open(self, call: Call) -> AsyncIterator[AsyncIterator[bytes]]:
        with translated():
            async with self._send(tell_request(call, self._room), endless=True) as answer:
                yield answer.aiter_raw()

    @asynccontextmanager
    async def open_session(self, path: str) -> AsyncIterator[Session]:
        with translated():
            try:
                connection = await unix_connect(
                    self._address,
                    f"ws://weft{tell_path(path, self._room)}",
                    additional_headers=self._headers,
                    compression=None,
                    open_timeout=_OPEN_TIMEOUT,
                    ping_interval=None,
                    close_timeout=1,
                    max_size=_LARGEST_MESSAGE,
                )
            except (InvalidHandshake, TimeoutError, OSError) as err:
                raise _translate_handshake(err, path) from err
        async with connection:
            yield SocketSession(connection)

    @asynccontextmanager
    async def _send(self, request: Request, *, endless: bool = False) -> AsyncIterator[httpx.Response]:
        await asyncio.sleep(0)  # a server of files begins what it is asked outside of any task, and httpx needs one
        timeout = httpx.Timeout(request.timeout, read=None) if endless else httpx.Timeout(request.timeout)
        content = _send_pieces(request.pieces) if request.pieces is not None else _dump_body(request.body)
        headers = {**self._headers, **({"Content-Type": "application/json"} if isinstance(content, str) else {})}
        url = _HOST + request.target
        async with self._client.stream(
            request.method, url, content=content, headers=headers, timeout=timeout
        ) as answer:
            if answer.status_code >= 400:
                raise read_error(answer.status_code, await answer.aread(), f"{request.method} {request.target}")
            yield answer


@asynccontextmanager
async def open_api(home: Path, room: str = DEFAULT_ROOM, *, visit: Visit | None = None) -> AsyncIterator[SocketApi]:
    """The API of the daemon of this home. Nothing is asked yet; connections end with the context. `visit`: a machine's,
    which is held to what it was given.

    Connections may be many, since each that waits for something takes one, but a machine's are bounded; no proxy is
    between us.
    """
    limits = httpx.Limits(max_connections=MOST_OF_VISIT if visit else None, max_keepalive_connections=8)
    with socket_address(home) as address:
        transport = httpx.AsyncHTTPTransport(verify=False, trust_env=False, limits=limits, uds=address)
        async with httpx.AsyncClient(transport=transport, trust_env=False) as client:
            yield SocketApi(client, address, room, {VISIT_HEADER: str(visit)} if visit else {})


class SocketSession:
    """A WebSocket."""

    def __init__(self, connection: ClientConnection) -> None:
        self._connection = connection

    async def send(self, message: str | bytes) -> None:
        try:
            await self._connection.send(message)
        except ConnectionClosed as err:
            raise NinepError("unavailable: the session has ended") from err

    async def recv(self) -> str | bytes | None:
        try:
            return await self._connection.recv()
        except ConnectionClosed:
            return None


def describe_error(err: WeftError) -> str:
    """An error as a 9P error has it."""
    return f"{err.code}: {err}"


@contextmanager
def translated() -> Iterator[None]:
    """Errors of ours and of connections leave it as NinepError."""
    try:
        yield
    except WeftError as err:
        raise NinepError(describe_error(err)) from err
    except httpx.HTTPError as err:
        raise NinepError(f"unavailable: the daemon does not answer: {err or type(err).__name__}") from err


def _dump_body(body: object) -> str | None:
    return None if body is None else json.dumps(body)


async def _send_pieces(pieces: Iterable[bytes]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield piece


def _read_json(answer: httpx.Response, body: bytes) -> Any:
    """The answer's JSON; what is of another type is text."""
    if not answer.headers.get("content-type", "application/json").startswith("application/json"):
        return body
    try:
        return json.loads(body) if body else None
    except ValueError as err:
        raise Internal(f"the daemon's answer is not JSON: {body[:80]!r}") from err


def _read_result(body: bytes) -> Any:
    """What came of work that told its progress. Raises WeftError if it failed."""
    for line in body.splitlines():
        message: Mapping[str, Any] = json.loads(line) if line.strip() else {}
        if "error" in message:
            raise error_from_dict(message["error"])
        if "result" in message:
            return message["result"]
    raise Unavailable("the daemon went away before the work was done")


def _translate_handshake(err: Exception, path: str) -> WeftError:
    if isinstance(err, InvalidStatus):
        return read_error(err.response.status_code, bytes(err.response.body or b""), path)
    return Unavailable(f"the daemon does not open a session: {err}")
