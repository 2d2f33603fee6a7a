"""The API for those who are to look at the tree, and to change nothing."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

from weft.client.telling import Call, tell_request
from weft.filetree.api import Api, Session, translated
from weft.ninep.words import PERMISSION, NinepError


class LookingApi:
    """Asks what changes nothing, and refuses all else. A sniff slips something in; a session may do anything."""

    def __init__(self, api: Api) -> None:
        self._api = api

    @property
    def room(self) -> str:
        return self._api.room

    def in_room(self, room: str) -> "LookingApi":
        return LookingApi(self._api.in_room(room))

    async def ask(self, call: Call) -> Any:
        self._check(call)
        return await self._api.ask(call)

    def open(self, call: Call) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        self._check(call)
        return self._api.open(call)

    def open_session(self, path: str) -> AbstractAsyncContextManager[Session]:
        raise NinepError(PERMISSION)

    def _check(self, call: Call) -> None:
        with translated():
            request = tell_request(call, self.room)
        if request.method != "GET" or request.target.partition("?")[0].endswith("/sniff"):
            raise NinepError(PERMISSION)
