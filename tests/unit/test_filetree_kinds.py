"""Directories beside machine/: what their commands ask of the API, what they show of its answers, and who sees them."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.fake_api import FakeApi, FakeSession
from tests.unit.tree_walks import BOTH, WRITES, Walks

from weft.filetree import images, networks, readiness, rooms, storage
from weft.filetree.archives import send_archive
from weft.filetree.kinds import dump_name, parse_name
from weft.filetree.nodes import Entry
from weft.filetree.root import FabricTree
from weft.filetree.visiting import VisitorTree
from weft.filetree.words import split_words
from weft.model.errors import Invalid, NotFound, WrongState
from weft.model.expose import ExposeSpec, Visit
from weft.model.options import parse_expose
from weft.ninep.words import NinepError

LAN = {
    "name": "lan", "room": "default", "subnet": "10.1.0.0/24", "subnet6": None, "gateway": "10.1.0.1",
    "gateway_machine": None, "dns": [], "mtu": 1500, "uplink": True, "created": 1.5e9,
    "members": [{"machine": "web", "nic": 0, "address": "10.1.0.2", "address6": None, "mac": "52:57:00:00:00:01"}],
}  # fmt: skip
NGINX = {
    "name": "docker.io/library/nginx:1", "kind": "oci", "version": "1", "size": 5, "memory": 64 << 20,
    "created": "2026-01-01T00:00:00Z", "digest": "sha256:00", "description": "a server",
}  # fmt: skip
KERNEL = {
    "name": "default", "release": "6.1", "format": "linux", "size": 7, "created": "2026-01-01T00:00:00Z",
    "digest": "sha256:00", "origin": "built",
}  # fmt: skip
VOLUME = {
    "name": "data", "size": 1 << 30, "stored": 4096, "created": 1.5e9, "labels": {},
    "users": [{"machine": "db", "target": "/d"}, {"machine": "db", "target": "/e"}],
}  # fmt: skip
SNAPSHOT = {
    "name": "web-1", "machine": "web", "image": "web", "memory": 1, "cpus": 1, "stored": 9, "created": 1.5e9,
    "broken": None,
}  # fmt: skip
POOL = {"image": "web", "size": 2, "ready": 1, "memory": 1, "cpus": 1, "created": 1.5e9, "reason": "short of memory"}
TEMPLATE = {
    "key": "abc", "image": "web", "kernel": "default", "profile": "microvm", "memory": 1, "cpus": 1, "nics": 1,
    "machines": 0, "size": 3, "used": None, "stale": "",
}  # fmt: skip
ROOM = {
    "name": "acme", "isolation": "normal", "machines": 2, "running": 1, "networks": ["lan"], "inserts": 0, "volumes": 0,
    "memory": 5, "created": 1.5e9, "file": None, "broken": None, "description": "a tenant",
}  # fmt: skip
HOST = {
    "memory": 8, "capacity": 7, "promised": 6, "granted": 5, "free": 4, "used": 3, "cost": 2, "available": 1, "cpus": 2,
    "cpus_promised": 1.5, "cpus_granted": 1, "tight": False, "rooms": [], "machines": [],
    "loans": [{"lender": "acme", "borrower": "default", "memory": 9}],
}  # fmt: skip
PORT = {
    "port": "network:lan", "network": "lan", "state": "spliced",
    "chain": [{"name": "wall", "appliance": "firewall", "mode": "routed", "fail": "closed", "state": "active"}],
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "machines": [], "networks": [LAN], "networks/lan": LAN, "images": [NGINX], "kernels": [KERNEL], "volumes": [VOLUME],
    "snapshots": [SNAPSHOT], "pools": [POOL], "templates": [TEMPLATE], "rooms": [ROOM], "host": HOST, "ports": [PORT],
    "doctor": [{"name": "kvm", "ok": False, "detail": "no /dev/kvm", "hint": "load kvm"}],
    "files/export/default": {"text": "rooms: {default: {networks: {lan: {subnet: 10.1.0.0/24, uplink: true}}}}\n"},
    "version": {"version": "0.1", "api": "v1", "accel": "tcg", "home": "/h", "pid": 3, "started": 1.5e9},
}  # fmt: skip


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    for path, answer in ANSWERS.items():
        api.on("GET", f"/v1/{path}", answer)
    return api


@pytest.fixture
async def tree(api: FakeApi) -> Walks:
    return Walks(await FabricTree(api).attach("glenda", ""))


async def test_what_there_is(tree: Walks) -> None:
    assert {"clone", "ctl", "event", "log", "status", "link", "export", "trace"} < set(await tree.names(""))
    assert await tree.names("network") == ["ctl", "status", "clone", "lan"]
    assert await tree.names("network/lan") == ["ctl", "status", "view", "member", "event", "ns", "port"]
    assert await tree.names("network/lan/port") == ["ctl", "status", "chain", "pcap"]
    assert await tree.names("image") == ["ctl", "status", "docker.io%2flibrary%2fnginx:1"]
    assert {"machine", "network", "ctl", "export"} < set(await tree.names("room/acme"))
    assert {"status", "loan", "doctor", "metrics"} < set(await tree.names("host"))


ROWS = {
    "network/status": ["lan", "10.1.0.0/24", "-", "10.1.0.1", "-", "1500", "1", "1", "1500000000"],
    "network/lan/member": ["web", "0", "10.1.0.2", "-", "52:57:00:00:00:01"],
    "network/lan/port/chain": ["wall", "firewall", "routed", "closed", "active", "0", "-"],
    "link": ["network:lan", "lan", "spliced", "wall"],
    "volume/data/status": ["data", str(1 << 30), "4096", "1500000000", "db"],
    "snapshot/status": ["web-1", "web", "web", "1", "1", "9", "1500000000", "-"],
    "pool/status": ["web", "2", "1", "1", "1", "1500000000", "short of memory"],
    "template/status": ["abc", "web", "default", "microvm", "1", "1", "1", "0", "3", "0", "-"],
    "image/status": [NGINX["name"], "oci", "1", "5", str(64 << 20), "1767225600", "sha256:00", "a server"],
    "kernel/default/status": ["default", "6.1", "linux", "7", "1767225600", "sha256:00", "built"],
    "room/status": ["acme", "normal", "2", "1", "1", "0", "0", "5", "1500000000", "-", "a tenant"],
    "host/status": ["8", "7", "6", "5", "4", "3", "2", "1", "2", "1500", "1", "0"],
    "host/loan": ["acme", "default", "9"],
    "host/doctor": ["kvm", "0", "no /dev/kvm", "load kvm"],
    "host/version": ["0.1", "v1", "tcg", "/h", "3", "1500000000"],
}


@pytest.mark.parametrize("path", ROWS)
async def test_status_has_fixed_columns(tree: Walks, path: str) -> None:
    assert split_words(await tree.cat(path)) == ROWS[path]


ORDERS: list[tuple[str, str, str, str, Any]] = [
    ("network/ctl", "create dmz subnet=10.2.0.0/24 dns=10.2.0.9,ns uplink", "POST", "networks",
     {"name": "dmz", "subnet": "10.2.0.0/24", "uplink": True, "dns": ["10.2.0.9", "ns"]}),
    ("network/lan/ctl", "remove", "DELETE", "networks/lan", None),
    ("network/lan/port/ctl", "insert firewall mode=routed", "POST", "inserts",
     {"spec": {"appliance": "firewall", "before": "network:lan", "mode": "routed"}, "wait": True}),
    ("volume/ctl", "create logs size=2G tier=hot", "POST", "volumes",
     {"name": "logs", "labels": {"tier": "hot"}, "size": 2 << 30}),
    ("volume/ctl", "prune", "POST", "volumes/prune", None),
    ("volume/data/ctl", "resize 3G", "PATCH", "volumes/data", {"size": 3 << 30}),
    ("snapshot/web-1/ctl", "restore name=again", "POST", "snapshots/web-1/restore",
     {"name": "again", "replace": False}),
    ("pool/ctl", "set web 3 memory=64M nowait", "POST", "pools?wait=false",
     {"image": "web", "size": 3, "cpus": 1, "memory": 64 << 20}),
    ("pool/web/ctl", "remove", "DELETE", "pools/web", None),
    ("template/ctl", "make web nics=2 floppy", "POST", "templates", {"image": "web", "nics": 2, "floppy": True}),
    ("template/ctl", "prune all", "POST", "templates/prune", {"all": True}),
    ("image/ctl", "pull docker.io/library/nginx", "POST", "images/pull", {"reference": "docker.io/library/nginx"}),
    ("image/ctl", "build /r/web name=web2", "POST", "images/build", {"recipe": "/r/web", "name": "web2"}),
    ("image/docker.io%2flibrary%2fnginx:1/ctl", "tag web", "POST", "images/tag", {"name": NGINX["name"], "new": "web"}),
    ("kernel/ctl", "import /k name=mine", "POST", "kernels/import", {"file": "/k", "name": "mine"}),
    ("room/ctl", "create beta memory=1G cpus=1.5 description='for b'", "POST", "rooms",
     {"name": "beta", "description": "for b", "resources": {"memory": 1 << 30, "cpus": "1.5"}, "isolation": "normal"}),
    ("room/acme/ctl", "set max_memory=none isolation=strict", "PATCH", "rooms/acme",
     {"isolation": "strict", "resources": {"max_memory": None}}),
    ("room/acme/ctl", "remove force", "DELETE", "rooms/acme?force=true&volumes=false", None),
    ("room/acme/ctl", "fork copy shadow", "POST", "rooms/acme/fork",
     {"name": "copy", "description": None, "uplink": False, "shadow": True}),
    ("trace", "web 10.1.0.1 noprobe", "POST", "trace",
     {"source": "web", "destination": "10.1.0.1", "probe": False, "timeout": 2.0, "ipv6": False}),
    ("ctl", "shutdown machines", "POST", "shutdown", {"machines": True}),
]  # fmt: skip


@pytest.mark.parametrize(("path", "line", "method", "target", "body"), ORDERS)
async def test_commands_are_requests(
    api: FakeApi, tree: Walks, path: str, line: str, method: str, target: str, body: Any
) -> None:
    if path == "trace":
        hops: dict[str, Any] = {"verdict": "passes", "packet": "p", "why": "w", "hops": [], "probe": None}
        api.on("POST", "/v1/trace", hops)
    await tree.echo(line, path)
    assert api.orders() == [(method, f"/v1/{target}", body)]


async def test_a_room_has_all_of_its_own(api: FakeApi, tree: Walks) -> None:
    api.on("GET", "/v1/rooms/acme/networks", [{**LAN, "name": "inner"}])
    assert "inner" in await tree.names("room/acme/network")
    await tree.echo("remove", "room/acme/network/inner/ctl")
    assert api.orders() == [("DELETE", "/v1/rooms/acme/networks/inner", None)]


async def test_a_clone_is_what_its_first_command_makes(api: FakeApi, tree: Walks) -> None:
    clone = await (await tree.walk("network/clone")).open(BOTH)
    assert await clone.read(0, 99) == b""
    with pytest.raises(NinepError, match="invalid: no command 'remove'; there is create"):
        await clone.write(0, b"remove\n")
    await clone.write(0, b"create dmz\nremove\n")
    assert await clone.read(0, 99) == b"dmz\n"
    assert [order[:2] for order in api.orders()] == [("POST", "/v1/networks"), ("DELETE", "/v1/networks/dmz")]


async def test_what_is_against_a_command_is_the_writes_error(api: FakeApi, tree: Walks) -> None:
    api.on("DELETE", "/v1/networks/lan", WrongState("network 'lan' has machines: web"))
    with pytest.raises(NinepError, match="wrong-state: network 'lan' has machines: web"):
        await (await tree.walk("network/lan")).remove()
    with pytest.raises(NinepError, match="invalid: usage: resize SIZE"):
        await tree.echo("resize", "volume/data/ctl")
    with pytest.raises(NinepError, match="file does not exist"):
        await tree.walk("network/dmz")


async def test_a_network_can_be_made_again(tree: Walks) -> None:
    ns = await tree.cat("network/lan/ns")
    assert "create lan subnet=10.1.0.0/24 uplink\n" in ns
    assert "insert firewall name=wall mode=routed fail=closed\n" in ns


async def test_archives_are_sent_piece_by_piece(api: FakeApi, tree: Walks, tmp_path: Path) -> None:
    (tmp_path / "image.tar").write_bytes(b"archive")
    await tree.echo(f"import {tmp_path}/image.tar name=web", "image/ctl")
    await tree.echo(f"import {tmp_path}/none", "ctl")
    image, snapshot = (request for request in api.asked if request.method == "POST")
    assert (image.target, list(image.pieces or ())) == ("/v1/images/import?name=web", [b"archive"])
    assert snapshot.target == "/v1/snapshots/import"
    with pytest.raises(NotFound, match="none cannot be read: No such file"):
        list(snapshot.pieces or ())
    with pytest.raises(Invalid, match=r"'image\.tar' is not an absolute path"):
        list(send_archive("image.tar"))


STEP = {"room": "acme", "verb": "create", "kind": "machine", "name": "web", "restarts": [], "loses": [], "why": ["new"]}


async def test_a_fabric_file_is_written_and_carried_out(api: FakeApi, tree: Walks) -> None:
    api.on("POST", "/v1/files/apply", {"steps": [{"step": STEP, "progress": "done", "seconds": 1.5}]})
    api.on("POST", "/v1/files/plan", {"plan": {"steps": [STEP]}})
    clone = await (await tree.walk("file/clone")).open(BOTH)
    assert await clone.read(0, 99) == b"0\n"
    written = await tree.open("file/0/text", WRITES)
    for offset, piece in ((0, b"rooms: {} # \xc3"), (13, b"\xa4\n")):  # a character in two pieces
        await written.write(offset, piece)
    await written.close()
    assert await tree.cat("file/0/text") == "rooms: {} # ä\n"
    assert split_words(await tree.cat("file/0/plan")) == ["acme", "create", "machine", "web", "-", "-", "new"]
    await clone.write(0, b"path /srv/weft.yaml\nup agree rooms=acme,b\ndown volumes\n")
    body = {"path": "/srv/weft.yaml", "text": "rooms: {} # ä\n"}
    up, down = (body for method, target, body in api.orders() if target == "/v1/files/apply")
    assert up == {**body, "rooms": ["acme", "b"], "agreed": None}
    assert down == {**body, "volumes": True, "down": True, "rooms": [], "agreed": []}
    said = split_words(await tree.cat("file/0/report"))
    assert said == ["acme", "create", "machine", "web", "-", "-", "done", "1500", "-"]
    await (await tree.walk("file/0")).remove()
    assert await tree.names("file") == ["clone", "schema"]


async def test_a_step_that_fails_is_the_writes_error(api: FakeApi, tree: Walks) -> None:
    failed = {"step": STEP, "progress": "failed", "error": {"code": "no-room", "message": "no memory"}}
    api.on("POST", "/v1/files/apply", {"steps": [failed]})
    clone = await (await tree.walk("file/clone")).open(BOTH)
    with pytest.raises(NinepError, match="no-room: 1 failed: acme machine web: no memory"):
        await clone.write(0, b"up\n")


@given(st.text(min_size=1))
def test_any_name_is_one_of_a_directory(name: str) -> None:
    assert "/" not in dump_name(name) and parse_name(dump_name(name)) == name


def test_every_command_says_what_it_is_for() -> None:
    tables = [images.ALL_IMAGES, images.EACH_IMAGE, images.ALL_KERNELS, images.EACH_KERNEL, networks.WHOLE]
    tables += [networks.EACH, readiness.ALL_POOLS, readiness.EACH_POOL, readiness.ALL_TEMPLATES]
    tables += [readiness.EACH_TEMPLATE, storage.ALL_VOLUMES, storage.EACH_VOLUME, storage.EACH_SNAPSHOT]
    for table in [*tables, rooms.WHOLE, rooms.EACH]:
        assert all(command.text.endswith(".") and command.cli for command in table.values())


def visitor(api: FakeApi, *parts: str) -> VisitorTree:
    visits = [Visit("default", "web", ExposeSpec(**parse_expose(part))) for part in parts]
    return VisitorTree({visit: FabricTree(api) for visit in visits})


async def test_a_visitor_attaches_to_what_it_was_given(api: FakeApi) -> None:
    tree = visitor(api, "machine:ro", "room")
    room = set(await Walks(await tree.attach("glenda", "room")).names(""))
    assert {"machine", "network", "event", "volume"} < room
    assert not room & {"image", "kernel", "room", "host", "template", "ctl"}
    machine = set(await Walks(await tree.attach("glenda", "")).names(""))
    assert {"ctl", "status", "port"} < machine and not machine & {"machine", "network", "ns", "config"}
    for aname, linux in (("room", False), ("linux/room", True), ("linux", True), ("/linux/", True), ("", False)):
        root = await tree.attach("glenda", aname)
        event = await root.walk("event")
        assert isinstance(event, Entry)
        assert (event.reads_on, event.parent) == (linux, root)
    for aname in ("fabric", "machine/web", "room/acme", "all", "linux/fabric", "room/linux"):
        with pytest.raises(NinepError, match="file does not exist"):
            await tree.attach("glenda", aname)


async def test_programs_end_with_who_has_started_them(api: FakeApi) -> None:
    session = api.sessions["/v1/machines/web/exec"] = FakeSession()
    session.tell({"started": 7})
    trees = FabricTree(api)
    tree = Walks(await trees.attach("glenda", ""))
    api.on("GET", "/v1/machines", [{"name": "web", "state": "running"}])
    clone = await tree.open("machine/web/exec/clone", BOTH)
    await clone.write(0, b"run sleep 9\n")
    await trees.close()
    assert session.closed and await tree.names("machine/web/exec") == ["clone"]


async def test_a_visitor_may_be_given_all(api: FakeApi) -> None:
    root = Walks(await visitor(api, "fabric").attach("glenda", "fabric"))
    assert {"room", "host", "image", "ctl"} < set(await root.names(""))
