"""machine/: what its files ask of the API, and what they show of its answers."""

import asyncio
import json
from typing import Any

import pytest
import yaml
from tests.host.waiting import wait_until
from tests.unit.fake_api import FakeApi, FakeSession
from tests.unit.tree_walks import BOTH, READS, Walks

from weft.filetree.events import BEHIND
from weft.filetree.nodes import Entry
from weft.filetree.root import FabricTree
from weft.filetree.words import split_words
from weft.model.errors import WrongState
from weft.ninep.words import NinepError

WEB = {
    "name": "web",
    "image": "web",
    "state": "running",
    "networks": [{"nic": 0, "network": "lan", "address": "10.1.0.2", "mac": "52:54:00:00:00:01"}],
    "pid": 4711,
    "memory": 64 << 20,
    "cpus": 1,
    "created": 1.0e9,
    "labels": {"tier": "front", "old": "1"},
    "limits": None,
}
PORT_VIEW = {"port": "web:0", "machine": "web", "nic": 0, "network": "lan", "state": "running"}
INSERT = {
    "name": "s", "appliance": "sniffer", "port": "web:0", "position": 0, "mode": "inline", "fail": "open",
    "state": "active",
}  # fmt: skip


@pytest.fixture
def api() -> FakeApi:
    api = FakeApi()
    api.on("GET", "/v1/machines", [WEB, {**WEB, "name": "ready", "state": "pooled"}])
    api.on("GET", "/v1/machines/web", WEB)
    api.on("GET", "/v1/ports", [{**PORT_VIEW, "chain": [INSERT]}])
    return api


@pytest.fixture
async def tree(api: FakeApi) -> Walks:
    return Walks(await FabricTree(api).attach("glenda", ""))


async def test_machines_are_directories(tree: Walks) -> None:
    assert await tree.names("machine") == ["clone", "web"]
    assert {"ctl", "status", "config", "cons", "consctl", "kmesg", "event", "wait", "stats", "ns", "floppy"} < set(
        await tree.names("machine/web")
    )
    with pytest.raises(NinepError, match="file does not exist"):
        await tree.walk("machine/db")


async def test_a_part_can_be_attached_to(api: FakeApi) -> None:
    part = Walks(await FabricTree(api).attach("glenda", "machine/web"))
    assert await part.cat("ctl") == "web\n"
    assert await part.root.walk("..") is part.root
    for aname, linux in (("linux/machine/web", True), ("/linux", True), ("machine/web", False), ("", False)):
        root = await FabricTree(api).attach("glenda", aname)
        event = await root.walk("event")
        assert isinstance(event, Entry)
        assert (event.reads_on, (await root.stat()).name) == (linux, "/")
    with pytest.raises(NinepError, match="file does not exist"):
        await FabricTree(api).attach("glenda", "machine/db")
    with pytest.raises(NinepError, match="not a directory"):
        await FabricTree(api).attach("glenda", "machine/web/ctl")


ORDERS: list[tuple[str, str, str, Any]] = [
    ("start", "POST", "start", {"wait": True}),
    ("start failsafe nowait", "POST", "start", {"wait": False, "failsafe": True}),
    ("stop timeout=10s", "POST", "stop", {"wait": True, "timeout": 10.0}),
    ("restart nowait", "POST", "restart", {"wait": False}),
    ("kill", "POST", "kill", {"wait": True}),
    ("remove force", "DELETE", "?force=true", None),
    ("scale cpus=+1 memory=1G", "POST", "scale", {"add_cpus": 1, "memory": 1 << 30, "wait": True, "by": "a file"}),
    ("fork name=api count=2", "POST", "fork", {"count": 2, "name": "api", "remove": False, "shadow": False}),
    ("suspend", "POST", "suspend", {}),
    ("resume", "POST", "resume", {"wait": True}),
    ("reset failsafe", "POST", "reset", {"failsafe": True, "wait": True}),
]


@pytest.mark.parametrize(("line", "method", "path", "body"), ORDERS)
async def test_commands_of_a_machine(api: FakeApi, tree: Walks, line: str, method: str, path: str, body: Any) -> None:
    await tree.echo(line, "machine/web/ctl")
    target = f"/v1/machines/web{path}" if path.startswith("?") else f"/v1/machines/web/{path}"
    assert api.orders() == [(method, target, body)]


UPDATES: list[tuple[str, dict[str, Any]]] = [
    ("update memory 128M", {"memory": 128 << 20, "elastic": {"max_memory": None}}),
    ("update cpus 1..4", {"cpus": 1, "elastic": {"max_cpus": 4}}),
    ("update elastic yes", {"elastic": {"policy": {"mode": "auto"}}}),
    ("update labels tier=back", {"labels": {"tier": "back", "old": "1"}}),
    ("unlabel old", {"labels": {"tier": "front"}}),
    (
        "update expose machine room:ro",
        {
            "expose": [{"part": "machine", "read_only": False}, {"part": "room", "read_only": True}],
        },
    ),
    ("update expose none", {"expose": []}),
    ("update restart on-failure:3", {"restart": "on-failure", "max_restarts": 3}),
    ("update image 'ghcr.io/a/b:1'", {"image": "ghcr.io/a/b:1"}),
]


@pytest.mark.parametrize(("line", "changes"), UPDATES)
async def test_updates(api: FakeApi, tree: Walks, line: str, changes: dict[str, Any]) -> None:
    await tree.echo(line, "machine/web/ctl")
    ((method, target, body),) = api.orders()
    assert (method, target, body["changes"]) == ("PATCH", "/v1/machines/web", changes)


async def test_a_snapshot(api: FakeApi, tree: Walks) -> None:
    await tree.echo("snapshot name=before tier=front", "machine/web/ctl")
    body = {"machine": "web", "name": "before", "labels": {"tier": "front"}}
    assert api.orders() == [("POST", "/v1/snapshots", body)]


async def test_commands_of_a_port(api: FakeApi, tree: Walks) -> None:
    await tree.echo("insert sniffer name=s mode=copy at=0 for=10m lan.mtu=1400", "machine/web/port/0/ctl")
    await tree.echo("policy s fail=closed", "machine/web/port/0/ctl")
    await tree.echo("eject s keep", "machine/web/port/0/ctl")
    spec = {
        "appliance": "sniffer", "before": "web:0", "name": "s", "mode": "copy", "position": 0, "lifetime": 600.0,
        "settings": {"lan.mtu": "1400"},
    }  # fmt: skip
    assert api.orders() == [
        ("POST", "/v1/inserts", {"spec": spec, "wait": True}),
        ("PATCH", "/v1/inserts/s", {"fail": "closed"}),
        ("DELETE", "/v1/inserts/s?keep=true", None),
    ]
    assert (await tree.cat("machine/web/port/0/status")).split() == ["web:0", "lan", "running", "1"]
    assert (await tree.cat("machine/web/port/0/chain")).split() == [
        *("s", "sniffer", "inline", "open", "active", "0", "-"),
    ]
    assert await tree.names("machine/web/port") == ["0"]


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("frob", "invalid: no command 'frob'; there is start, stop"),
        ("stop now", "invalid: 'now' is too much; usage: stop [timeout=SECONDS] [nowait]"),
        ("scale", "invalid: nothing to change: say cpus= or memory="),
        ("update frob 1", "invalid: no command and no key 'frob'"),
        ("update stop_timeout -1s", "invalid: stop_timeout: "),
        ("update memory", "invalid: usage: update [restart-now] [nowait] KEY VALUES..."),
    ],
)
async def test_what_is_wrong_is_the_error_of_the_write(api: FakeApi, tree: Walks, line: str, text: str) -> None:
    with pytest.raises(NinepError) as caught:
        await tree.echo(line, "machine/web/ctl")
    assert caught.value.text.startswith(text)
    assert api.orders() == []


async def test_errors_of_the_api_have_their_code_first(api: FakeApi, tree: Walks) -> None:
    api.on("POST", "/v1/machines/web/start", WrongState("machine 'web' runs", hint="weft restart web"))
    with pytest.raises(NinepError) as caught:
        await tree.echo("start", "machine/web/ctl")
    assert caught.value.text == "wrong-state: machine 'web' runs (weft restart web)"


async def test_status_has_fixed_columns(tree: Walks) -> None:
    line = await tree.cat("machine/web/status")
    assert line == await tree.cat("status")
    assert line[:29].split() == ["web"]
    assert line[29:58].split() == ["running"]
    assert split_words(line)[:8] == ["web", "running", "web", "10.1.0.2", "4711", str(64 << 20), "1", "0"]


async def test_what_is_known_of_a_machine(api: FakeApi, tree: Walks) -> None:
    api.on("GET", "/v1/machines/web/logs", b"Linux\n\xff\n")
    stats = {"name": "web", "cpus": 1, "cpu_seconds": 1.5, "resident": 5, "additional": None, "memory_total": 4}
    stats |= {"memory_used": 3, "processes": 2, "read_bytes": 1, "written_bytes": 0}
    stats |= {"nics": [{"nic": 0, "network": "lan", "received": 7, "sent": 8, "forged": 0}]}
    api.on("GET", "/v1/stats", [stats])
    api.on("GET", "/v1/machines/web/elastic/account", {"text": "quiet"})
    log = await tree.open("machine/web/kmesg")
    assert await log.read(0, 100) == b"Linux\n\xff\n"
    first, second = (await tree.cat("machine/web/stats")).splitlines()
    assert first.split() == ["web", "1", "1500", "5", "0", "4", "3", "2", "1", "0"]
    assert split_words(second) == ["nic", "lan", "0", "7", "8", "0"]
    assert await tree.cat("machine/web/elastic") == "quiet\n"
    assert json.loads(await tree.cat("machine/web/view")) == WEB


async def test_removing_the_directory_removes_the_machine(api: FakeApi, tree: Walks) -> None:
    await (await tree.walk("machine/web")).remove()
    assert api.orders() == [("DELETE", "/v1/machines/web?force=true", None)]
    for path in ("machine", "machine/web/status", "machine/web/port"):
        with pytest.raises(NinepError, match="permission denied"):
            await (await tree.walk(path)).remove()


async def test_wait_ends_with_the_machine(api: FakeApi, tree: Walks) -> None:
    views = iter([WEB, {**WEB, "state": "stopped", "exit": {"code": 3, "signal": None, "reason": "entry point ended"}}])
    api.on("GET", "/v1/machines/web/wait", lambda _request: next(views))
    assert await tree.cat("machine/web/wait") == "web 3 'entry point ended'\n"


def event(number: int, subject: str, **data: Any) -> bytes:
    told = {"id": number, "time": 1.5, "kind": "machine.ready", "subject": subject, "text": "it is", "data": data}
    return f"id: {number}\nevent: machine.ready\ndata: {json.dumps(told)}\n\n".encode()


async def test_events_come_as_lines_to_all_who_read(api: FakeApi, tree: Walks) -> None:
    events = api.stream("/v1/events", b": events\n\n")
    one, two = await tree.open("machine/web/event"), await tree.open("machine/web/event")
    targets = [asked.target for asked in api.asked if "events" in asked.target]
    assert targets == ["/v1/events?follow=true&machine=web"]
    sent = event(7, "web", by="a b") + event(8, "web")
    events.put_nowait(sent[:20])
    events.put_nowait(sent[20:])
    for reader in (one, two):
        assert await reader.read(0, 8192) == b"7 1.500000 machine.ready web 'it is' 'by=a b'\n"
    assert await two.read(0, 8192) == b"8 1.500000 machine.ready web 'it is'\n"
    await one.close()
    assert api.open_streams == ["/v1/events"]
    events.put_nowait(None)
    assert await two.read(0, 8192) == b""
    await two.close()
    assert api.open_streams == []


async def test_one_who_does_not_read_events_is_told_that_he_lost_some(api: FakeApi, tree: Walks) -> None:
    events = api.stream("/v1/events", b": events\n\n")
    slow, quick = await tree.open("event"), await tree.open("event")
    count = 3 * BEHIND
    for number in range(count):
        events.put_nowait(event(number, "web"))
        assert (await quick.read(0, 8192)).startswith(f"{number} ".encode())
    read = 0
    with pytest.raises(NinepError, match="events were lost"):
        while await slow.read(0, 8192):
            read += 1
    assert BEHIND <= read < count
    await slow.close()
    await quick.close()


async def test_events_end_with_the_daemon_for_who_is_behind_too(api: FakeApi, tree: Walks) -> None:
    events = api.stream("/v1/events", b": events\n\n", *(event(number, "web") for number in range(2 * BEHIND)))
    opened = await tree.open("event")
    events.put_nowait(None)
    await wait_until(events.empty)
    with pytest.raises(NinepError, match="events were lost"):
        while True:
            assert await opened.read(0, 8192)
    await opened.close()


async def test_events_that_cannot_be_had(tree: Walks) -> None:
    with pytest.raises(NinepError, match="not-found"):
        await tree.open("event")


async def test_reading_pcap_sniffs(api: FakeApi, tree: Walks) -> None:
    api.stream("/v1/machines/web/sniff", b"packets")
    opened = await tree.open("machine/web/port/0/pcap")
    assert api.open_streams == ["/v1/machines/web/sniff"]
    assert await opened.read(0, 4) + await opened.read(4, 100) == b"packets"
    await opened.close()
    assert api.open_streams == []


async def test_all_who_open_the_console_share_it(api: FakeApi, tree: Walks) -> None:
    session = api.sessions["/v1/machines/web/console"] = FakeSession()
    one, two = await tree.open("machine/web/cons"), await tree.open("machine/web/cons", BOTH)
    session.tell(b"login: ")
    assert await one.read(0, 100) == await two.read(0, 3) + await two.read(0, 100) == b"login: "
    await two.write(0, b"glenda\n")
    await tree.echo("rawon", "machine/web/consctl")
    await tree.echo("size 50 132", "machine/web/consctl")
    await tree.echo("signal int", "machine/web/consctl")
    assert session.sent == [b"glenda\n", '{"echo": false}', '{"resize": [50, 132]}', '{"signal": 2}']
    await one.close()
    assert not session.closed
    await two.close()
    assert session.closed


async def test_a_console_that_cannot_be_had(tree: Walks) -> None:
    with pytest.raises(NinepError, match="not-found: no session"):
        await tree.open("machine/web/cons")


async def test_a_program(api: FakeApi, tree: Walks) -> None:
    session = api.sessions["/v1/machines/web/exec"] = FakeSession()
    ctl = await tree.open("machine/web/exec/clone", BOTH)
    assert await ctl.read(0, 10) == b"0\n"
    assert await tree.cat("machine/web/exec/0/status") == "ready\n"
    with pytest.raises(NinepError, match="wrong-state: no program was started"):
        await tree.echo("in", "machine/web/exec/0/data")
    await ctl.write(0, b"env A=1\ndir /srv\n")
    session.tell({"started": 5})
    await ctl.write(0, b"run sort -r 'a b'")
    assert json.loads(session.sent[0]) == {
        "argv": ["sort", "-r", "a b"],
        "env": {"A": "1"},
        "cwd": "/srv",
        "user": None,
        "tty": None,
        "stdin": True,
    }
    await tree.echo("in", "machine/web/exec/0/data")
    await ctl.write(0, b"eof")
    assert session.sent[1:] == [b"\x00in\n", '{"eof": true}']
    waiting = asyncio.create_task(tree.cat("machine/web/exec/0/wait"))
    for message in (b"\x01out", b"\x02bad", {"exit": {"code": 3, "signal": None}}):
        session.tell(message)
    assert await waiting == "ended 3 sort -r 'a b'\n"
    assert await tree.cat("machine/web/exec/0/data") == "out"
    assert await tree.cat("machine/web/exec/0/stderr") == "bad"
    with pytest.raises(NinepError, match="started already"):
        await ctl.write(0, b"run true")
    await (await tree.walk("machine/web/exec/0")).remove()
    assert await tree.names("machine/web/exec") == ["clone"]


async def test_a_program_that_cannot_be_run(api: FakeApi, tree: Walks) -> None:
    session = api.sessions["/v1/machines/web/exec"] = FakeSession()
    session.tell({"error": {"code": "not-found", "message": "no program 'x'", "hint": None, "detail": None}})
    ctl = await tree.open("machine/web/exec/clone", BOTH)
    with pytest.raises(NinepError, match="not-found: no program 'x'"):
        await ctl.write(0, b"run x")
    assert await tree.cat("machine/web/exec/0/status") == "failed 'not-found: no program ''x''' x\n"


async def test_programs_end_with_the_tree(api: FakeApi) -> None:
    session = api.sessions["/v1/machines/web/exec"] = FakeSession()
    session.tell({"started": 5})
    tree = FabricTree(api)
    files = Walks(await tree.attach("glenda", ""))
    await (await files.open("machine/web/exec/clone", BOTH)).write(0, b"run sleep 1000")
    assert not session.closed
    await tree.close()
    assert session.closed


async def test_what_is_said_has_an_end(api: FakeApi, tree: Walks) -> None:
    much = b"env " + b" ".join(b"A%d=%s" % (number, b"x" * 1000) for number in range(60))
    for path in ("machine/clone", "machine/web/exec/clone"):
        ctl = await tree.open(path, BOTH)
        await ctl.write(0, much)
        with pytest.raises(NinepError, match="no-room: "):
            await ctl.write(0, much.replace(b"A", b"B"))


async def test_settings(api: FakeApi, tree: Walks) -> None:
    settings = [{"name": "lan.mtu", "value": 1400}, {"name": "rules", "value": ["allow tcp 80,443", "drop"]}]
    settings += [{"name": "sets", "value": None}, {"name": "zones", "value": []}]
    api.on("GET", "/v1/machines/web/config", {"settings": settings})
    api.on("GET", "/v1/machines/web/config/export", b"a = 1\n")
    assert (
        await tree.cat("machine/web/floppy/settings")
        == "lan.mtu=1400\n'rules+=allow tcp 80,443'\nrules+=drop\nzones=\n"
    )
    assert await tree.cat("machine/web/floppy/settings.toml") == "a = 1\n"
    await tree.echo("set trial=30 lan.mtu=1300 rules+=drop", "machine/web/floppy/ctl")
    await tree.echo("unset lan.mtu", "machine/web/floppy/ctl")
    await tree.echo("a = 2", "machine/web/floppy/settings.toml")
    await tree.echo("revert 3", "machine/web/floppy/ctl")
    assert [(target, body) for _, target, body in api.orders()] == [
        (
            "/v1/machines/web/config",
            {"set": {"lan.mtu": "1300", "rules": ["drop"]}, "unset": [], "revision": None, "confirm": 30.0},
        ),
        ("/v1/machines/web/config", {"set": {}, "unset": ["lan.mtu"], "revision": None}),
        ("/v1/machines/web/config/import", {"text": "a = 2\n", "revision": None, "by": "a file"}),
        ("/v1/machines/web/config/revert", {"revision": 3}),
    ]


async def test_a_firewall(api: FakeApi, tree: Walks) -> None:
    api.on("GET", "/v1/machines/web/firewall/rules", [{"rule": 1, "text": "allow all", "packets": 5}])
    assert await tree.cat("machine/web/firewall/rules") == "rule=1 'text=allow all' packets=5\n"
    await tree.echo("block 10.0.0.0/8 for=1m", "machine/web/firewall/ctl")
    assert api.orders() == [("POST", "/v1/machines/web/firewall/block", {"address": "10.0.0.0/8", "seconds": 60.0})]


async def test_clone_makes_a_machine(api: FakeApi, tree: Walks) -> None:
    ctl = await tree.open("machine/clone", BOTH)
    assert await ctl.read(0, 100) == b"m1\n"
    assert await tree.names("machine") == ["clone", "m1", "web"]
    await ctl.write(0, b"image base\nmemory 64M..1G\nnic lan address=10.1.0.9\nenv A=1 'B=x y'\nhealth.interval 5s\n")
    await tree.echo("name db", "machine/m1/ctl")
    await tree.echo("command sh -c 'echo hi'", "machine/db/ctl")
    assert (await tree.cat("machine/db/config")).splitlines() == [
        *("name db", "image base", "memory 64M..1G", "networks lan address=10.1.0.9", "env A=1", "env 'B=x y'"),
        *("health.interval 5s", "command sh -c 'echo hi'"),
    ]
    await ctl.write(0, b"start healthy")
    ((method, target, body),) = api.orders()
    assert (method, target) == ("POST", "/v1/machines")
    assert body == {
        "spec": {
            "name": "db",
            "image": "base",
            "profile": "q35",
            "memory": 64 << 20,
            "nics": [{"network": "lan", "address": "10.1.0.9"}],
            "command": ["sh", "-c", "echo hi"],
            "env": {"A": "1", "B": "x y"},
            "health": {"interval": 5.0},
            "elastic": {"max_memory": 1 << 30},
        },
        "start": True,
        "wait": True,
        "healthy": True,
    }
    await ctl.write(0, b"stop")
    assert api.orders()[-1][1] == "/v1/machines/db/stop", "the file is the machine's ctl from then on"
    assert await tree.names("machine") == ["clone", "web"]


async def test_a_start_that_fails_can_be_tried_again(api: FakeApi, tree: Walks) -> None:
    ctl = await tree.open("clone", BOTH)
    with pytest.raises(NinepError, match="say which image it boots"):
        await ctl.write(0, b"start")
    api.on("POST", "/v1/machines", WrongState("no such luck"))
    with pytest.raises(NinepError, match="no such luck"):
        await ctl.write(0, b"image base\nstart\n")
    api.on("POST", "/v1/machines", WEB)
    await ctl.write(0, b"clear image\nimage web\ncreate\n")
    assert api.orders()[-1][2] == {"spec": {"name": "m1", "image": "web"}, "start": False, "wait": True}


@pytest.mark.parametrize(
    ("line", "text"),
    [
        ("frob 1", "invalid: no command and no key 'frob'"),
        ("memory", "invalid: memory: a value is missing"),
        ("memory 1G 2G", "invalid: memory: one value is enough"),
        ("name Web", "invalid: "),
        ("env A", "invalid: env: 'A' is not KEY=VALUE"),
        ("nic lan frob=1", "invalid: network 'lan,frob=1'"),
    ],
)
async def test_what_cannot_be_said_of_a_machine(tree: Walks, line: str, text: str) -> None:
    ctl = await tree.open("clone", BOTH)
    with pytest.raises(NinepError) as caught:
        await ctl.write(0, line.encode())
    assert caught.value.text.startswith(text)


async def test_drafts_are_forgotten(tree: Walks) -> None:
    for _ in range(40):
        await (await tree.open("clone", BOTH)).close()
    assert len(await tree.names("machine")) == 34
    last = (await tree.names("machine"))[1]
    await (await tree.walk(f"machine/{last}")).remove()
    assert last not in await tree.names("machine")


async def test_a_recipe_makes_the_machine_again(api: FakeApi, tree: Walks) -> None:
    part = {
        "image": "web",
        "memory": "128M",
        "networks": {"lan": {"address": "10.1.0.2"}, "dmz": None},
        "env": {"MOTTO": "it's"},
        "health": {"command": "true && true", "interval": "10s"},
        "publish": ["8080:80"],
        "read_only": True,
    }
    text = yaml.safe_dump({"rooms": {"default": {"machines": {"web": part}}}}, sort_keys=False)
    api.on("GET", "/v1/files/export/default", {"text": text})
    recipe = await tree.cat("machine/web/ns")
    assert recipe.startswith("cat >machine/clone <<'END'\nname web\nimage web\n")
    assert "insert sniffer name=s mode=inline fail=open\n" in recipe
    made = await tree.open("machine/clone", BOTH)
    await made.write(0, recipe.partition("<<'END'\n")[2].partition("END\n")[0].encode())
    assert api.orders()[-1][2]["spec"] == {
        "name": "web",
        "image": "web",
        "memory": 128 << 20,
        "nics": [{"network": "lan", "address": "10.1.0.2"}, {"network": "dmz"}],
        "env": {"MOTTO": "it's"},
        "publish": [{"guest_port": 80, "host_port": 8080}],
        "health": {"argv": ["/bin/sh", "-c", "true && true"], "interval": 10.0},
        "read_only": True,
    }


async def test_an_appliance_of_a_chain_has_no_recipe_of_its_own(api: FakeApi, tree: Walks) -> None:
    api.on("GET", "/v1/files/export/default", {"text": "rooms: {default: {}}"})
    for file in ("config", "ns"):
        with pytest.raises(NinepError, match="wrong-state: web is an appliance of a chain"):
            await (await tree.walk(f"machine/web/{file}")).open(READS)
