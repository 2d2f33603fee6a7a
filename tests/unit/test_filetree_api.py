"""What the file tree asks with, against a server that speaks HTTP: answers, work, streams, sessions, and errors."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.fake_daemon import FakeDaemon, Reply, Request, fail
from websockets.sync.server import ServerConnection

from weft.filetree.api import SocketApi, open_api
from weft.ninep.words import NinepError


@pytest.fixture
async def api(tmp_path: Path, fake: FakeDaemon) -> AsyncIterator[SocketApi]:
    async with open_api(tmp_path) as api:
        yield api


def steps(*lines: Any) -> Reply:
    return Reply([json.dumps(line).encode() + b"\n" for line in lines], type="application/x-ndjson")


def ignore(_what: str, _part: float | None) -> None: ...


async def test_answers(fake: FakeDaemon, api: SocketApi) -> None:
    fake.on("GET", "/v1/machines/web", {"name": "web"})
    fake.on("PATCH", "/v1/rooms/other/volumes/data", {"name": "data"})
    fake.on("GET", "/v1/machines/web/config/export", Reply(b"a = 1\n", type="application/toml"))
    assert await api.ask(lambda client: client.machine("web")) == {"name": "web"}
    assert await api.ask(lambda client: client.export_config("web")) == b"a = 1\n"
    await api.in_room("other").ask(lambda client: client.resize_volume("data", 5))
    assert fake.last() == Request("PATCH", "/v1/rooms/other/volumes/data", {}, {"size": 5})


async def test_work_that_tells_its_progress(fake: FakeDaemon, api: SocketApi) -> None:
    path = "/v1/images/pull"
    fake.on("POST", path, steps({"progress": "layer 1", "fraction": 0.5}, {"result": {"name": "a"}}))
    assert await api.ask(lambda client: client.pull_image("a", ignore)) == {"name": "a"}
    error = {"code": "not-found", "message": "no image 'a'", "hint": None, "detail": None}
    fake.on("POST", path, steps({"progress": "layer 1"}, {"error": error}))
    with pytest.raises(NinepError, match="not-found: no image 'a'"):
        await api.ask(lambda client: client.pull_image("a", ignore))
    fake.on("POST", path, steps({"progress": "layer 1"}))
    with pytest.raises(NinepError, match="unavailable: the daemon went away before the work was done"):
        await api.ask(lambda client: client.pull_image("a", ignore))


async def test_errors(fake: FakeDaemon, api: SocketApi) -> None:
    fake.on("POST", "/v1/machines/web/start", fail(409, "wrong-state", "it runs", "weft restart web"))
    fake.on("GET", "/v1/machines/web", Reply(b"{", 200))
    with pytest.raises(NinepError) as caught:
        await api.ask(lambda client: client.start_machine("web"))
    assert caught.value.text == "wrong-state: it runs (weft restart web)"
    with pytest.raises(NinepError, match="internal: the daemon's answer is not JSON"):
        await api.ask(lambda client: client.machine("web"))
    with pytest.raises(NinepError, match="invalid: '' is not a valid name"):
        await api.ask(lambda client: client.machine(""))


async def test_streams(fake: FakeDaemon, api: SocketApi) -> None:
    fake.on("GET", "/v1/machines/web/logs", Reply([b"one\n", b"two\n"], type="text/plain"))
    async with api.open(lambda client: client.open_logs("web", follow=True)) as pieces:
        assert b"".join([piece async for piece in pieces]) == b"one\ntwo\n"
    with pytest.raises(NinepError, match="not-found: "):
        async with api.open(lambda client: client.open_logs("db")):
            pass


async def test_sessions(fake: FakeDaemon, api: SocketApi) -> None:
    def echo(connection: ServerConnection) -> None:
        connection.send(connection.recv())

    fake.on_session("/v1/rooms/other/machines/web/console", echo)
    async with api.in_room("other").open_session("/v1/machines/web/console") as session:
        await session.send(b"hello")
        assert await session.recv() == b"hello"
        assert await session.recv() is None
        with pytest.raises(NinepError, match="unavailable: the session has ended"):
            await session.send(b"more")
    with pytest.raises(NinepError, match="not-found: nothing at /v1/machines/db/console"):
        async with api.open_session("/v1/machines/db/console"):
            pass


async def test_nobody_answers(tmp_path: Path) -> None:
    async with open_api(tmp_path) as api:
        with pytest.raises(NinepError, match="unavailable: the daemon does not answer"):
            await api.ask(lambda client: client.version())
        with pytest.raises(NinepError, match="unavailable: the daemon does not open a session"):
            async with api.open_session("/v1/machines/web/console"):
                pass
