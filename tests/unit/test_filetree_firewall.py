"""firewall/: what is asked of it, and what it tells."""

import json

import pytest
from tests.unit.fake_api import FakeApi
from tests.unit.tree_walks import BOTH, READS, Walks

from weft.filetree.root import FabricTree
from weft.ninep.words import NinepError


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


@pytest.fixture
async def tree(api: FakeApi) -> Walks:
    return Walks(await FabricTree(api).attach("glenda", ""))


async def test_a_client_of_a_firewall_is_answered_to_who_asked_alone(api: FakeApi, tree: Walks) -> None:
    api.on("GET", "/v1/machines", [{"name": "gate", "state": "running"}])
    api.on("POST", "/v1/machines/gate/firewall/clients", {"file": "[Interface]\nPrivateKey = x\n"})
    asking, other = await tree.open("machine/gate/firewall/clone", BOTH), await tree.open("machine/gate/firewall/clone")
    await asking.write(0, b"phone address=10.9.0.2\n")
    assert api.orders()[-1][2] == {"peer": "phone", "address": "10.9.0.2", "endpoint": None}
    assert await other.read(0, 100) == b""
    assert await asking.read(23, 11) + await asking.read(34, 100) == b"[Interface]\nPrivateKey = x\n"
    assert await asking.read(0, 100) == b""
    with pytest.raises(NinepError, match="usage: PEER"):
        await asking.write(0, b"address=10.9.0.2")


async def test_the_log_of_a_firewall(api: FakeApi, tree: Walks) -> None:
    api.on("GET", "/v1/machines", [{"name": "gate", "state": "running"}])
    line = json.dumps({"time": 1.5, "rule": "drop all", "count": 2}).encode() + b"\n"
    api.stream("/v1/machines/gate/firewall/log", line[:5], line[5:])
    opened = await tree.open("machine/gate/firewall/log", READS)
    assert await opened.read(0, 1000) == b"time=1.5 'rule=drop all' count=2\n"
    await opened.close()
