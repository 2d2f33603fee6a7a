"""Settings and floppies through the API: every route on real floppies, with machines that do not run."""

from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from benchmarks.harness.appliance import SCHEMA
from tests.unit.paper_fabric import open_paper_fabric

from weft.api.app import make_app

GATE = "/machines/gate/config"


class Api:
    """Requests, and what they have to be answered with."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def ask(self, method: str, path: str, status: int = 200, **request: Any) -> Any:
        answer = await self._http.request(method, f"/v1{path}", **request)
        assert answer.status_code == status, answer.text
        is_json = answer.content and answer.headers.get("content-type") == "application/json"
        return answer.json() if is_json else answer.content


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[Api]:
    async with open_paper_fabric(tmp_path / "home") as fabric:
        base = fabric.default.site.images.get("base")
        (fabric.default.site.images.folder / "gate").mkdir()
        gate = base.model_copy(update={"name": "gate", "settings": SCHEMA})
        (fabric.default.site.images.folder / "gate" / "image.json").write_text(gate.model_dump_json())
        transport = httpx.ASGITransport(make_app(fabric, lambda _machines: None))
        async with httpx.AsyncClient(transport=transport, base_url="http://weft") as http:
            api = Api(http)
            body = {"spec": {"name": "gate", "image": "gate", "nics": []}, "start": False}
            await api.ask("POST", "/machines", 201, json=body)
            yield api


async def test_settings(api: Api) -> None:
    view = await api.ask("PATCH", GATE, json={"set": {"lan.mtu": 1400, "lan.dns": ["a"], "key": "x"}})
    values = {setting["name"]: setting["value"] for setting in view["settings"]}
    assert (view["revision"], values["lan.mtu"], values["lan.dns"], values["key"]) == (1, 1400, ["a"], "********")
    assert (await api.ask("GET", f"{GATE}/schema"))["settings"]["lan.mtu"]["maximum"] == 9000
    assert "lan.mtu" in (await api.ask("GET", f"{GATE}/json-schema"))["properties"]
    text = (await api.ask("GET", f"{GATE}/export")).decode()
    assert 'key = "x"' in text
    assert (await api.ask("POST", f"{GATE}/import", json={"text": "lan.mtu = 1300\n"}))["revision"] == 2
    assert [one["revision"] for one in await api.ask("GET", f"{GATE}/history")] == [2, 1]
    changes = await api.ask("GET", f"{GATE}/diff", params={"before": 1})
    assert [change["name"] for change in changes] == ["key", "lan.dns", "lan.mtu"]
    assert (await api.ask("POST", f"{GATE}/revert", json={"revision": 1}))["revision"] == 3
    assert (await api.ask("GET", GATE, params={"secrets": True}))["settings"][-1]["value"] == "x"
    inspected = await api.ask("GET", "/machines/gate")
    assert inspected["floppy"].endswith("/machines/gate/floppy.img")
    await api.ask("POST", "/machines/gate/reset", json={})
    assert (await api.ask("GET", GATE))["revision"] == 0


async def test_settings_that_are_refused(api: Api) -> None:
    for method, path, status, request in (
        ("PATCH", GATE, 422, {"json": {"set": {"lan.mtu": 1}}}),
        ("PATCH", GATE, 422, {"json": {"set": {"lan.mtu": None}}}),
        ("PATCH", GATE, 422, {"json": {"set": {"lan.dns": [["x"]]}}}),
        ("PATCH", GATE, 409, {"json": {"set": {"lan.mtu": 1400}, "revision": 7}}),
        ("POST", f"{GATE}/import", 422, {"json": {"text": "="}}),
        ("POST", f"{GATE}/revert", 404, {"json": {"revision": 1}}),
        ("POST", f"{GATE}/revert", 409, {"json": {}}),
        ("POST", f"{GATE}/commit", 409, {}),
        ("GET", f"{GATE}/diff", 409, {}),
        ("GET", GATE, 409, {"params": {"running": True}}),
        ("GET", "/machines/none/config", 404, {}),
    ):
        answer = await api.ask(method, path, status, **request)
        assert answer["error"]["message"] and "\n" not in answer["error"]["message"]
    assert (await api.ask("GET", GATE))["revision"] == 0


async def test_floppies(api: Api, tmp_path: Path) -> None:
    floppy, copy = str(tmp_path / "a.img"), str(tmp_path / "b.img")
    await api.ask("POST", "/floppies", 201, json={"floppy": floppy, "label": "ACME"})
    content = {"floppy": floppy, "path": "x/y.bin", "content": b64encode(b"\0\xff").decode()}
    view = await api.ask("POST", "/floppies/content", json=content)
    assert [file["path"] for file in view["files"]] == ["x", "x/y.bin"]
    assert (await api.ask("POST", "/floppies/copy", 201, json={"floppy": floppy, "target": copy}))["label"] == "ACME"
    params = {"floppy": copy, "path": "X/Y.BIN"}
    assert await api.ask("GET", "/floppies/content", params=params) == b"\0\xff"
    await api.ask("DELETE", "/floppies/content", 204, params=params)
    assert [file["path"] for file in (await api.ask("GET", "/floppies", params={"floppy": copy}))["files"]] == ["x"]
    await api.ask("GET", "/floppies/content", 422, params={"floppy": copy, "path": "x"})
    await api.ask("GET", "/floppies", 422, params={"floppy": "a.img"})
    await api.ask("POST", "/floppies", 409, json={"floppy": floppy})
    await api.ask("POST", "/floppies", 422, json={"floppy": "rel.img"})
