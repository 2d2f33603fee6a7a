"""The routes for those who send requests themselves: what a method of the client would ask, told instead of asked."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, NoReturn

from weft.client.client import Client
from weft.client.transport import WORK_TIMEOUT, Progress, Request, dump_query
from weft.model.errors import Internal

Call = Callable[[Client], object]
"""Calls one method of a client."""


class _Told(Exception):
    def __init__(self, request: Request) -> None:
        super().__init__(request)
        self.request = request


class _Teller(Client):
    """A client that sends nothing."""

    def _send(self, request: Request) -> NoReturn:
        raise _Told(request)

    def _import(self, path: str, query: Mapping[str, Any], pieces: Iterable[bytes], progress: Progress) -> NoReturn:
        raise _Told(Request("POST", self._locate(path) + dump_query(query), None, WORK_TIMEOUT, pieces))


def tell_request(call: Call, room: str) -> Request:
    """The request that `call` begins with, in a room. Raises what the method raises before it asks anything."""
    try:
        found = call(_Teller(Path("/"), room=room, start=False))
        if isinstance(found, Iterator):
            next(found, None)  # such a method asks when what it gives is asked for
    except _Told as told:
        return told.request
    raise Internal("a route asked nothing")


def tell_path(path: str, room: str) -> str:
    """A route of `/v1/` as it is for this room: of what is no request, but a session."""
    return _Teller(Path("/"), room=room, start=False)._locate(path)
