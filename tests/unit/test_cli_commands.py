"""Every command against a server that speaks HTTP: what it asks, what it prints, how it ends."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.commands import Weft
from tests.unit.fake_daemon import MACHINE, FakeDaemon, Reply, fail

from weft import __version__
from weft.cli.main import run_command
from weft.model.image import ImageManifest, KernelInfo
from weft.model.insert import PortView
from weft.model.network import NetworkView
from weft.model.volume import VolumeView

Json = dict[str, Any]

NETWORK = {"name": "lan", "subnet": "10.1.0.0/24", "gateway": "10.1.0.1", "mtu": 1500, "uplink": True, "created": 1.0,
           "members": [{"machine": "web", "nic": 0, "address": "10.1.0.2", "mac": "52:57:00:00:00:02"}]}  # fmt: skip
VOLUME = {"name": "data", "size": 1 << 30, "stored": 3 << 20, "created": 1.0, "labels": {},
          "users": [{"machine": "web", "target": "/srv", "read_only": False, "live": True}]}  # fmt: skip
INSERT = {"name": "sniffer", "appliance": "sniffer", "port": "web:0", "position": 0, "mode": "inline", "fail": "open",
          "state": "active", "created": 1.0}  # fmt: skip
BUILT = {"digest": "sha256:" + "ab" * 32, "size": 4 << 20, "created": "2026-01-02T03:04:05.678Z"}
IMAGE = {"name": "base", "kind": "appliance", "version": "1", "memory": 64 << 20, "description": "a shell"} | BUILT
KERNEL = {"name": "weft", "release": "6.1.1-weft", "origin": "built", "format": "linux"} | BUILT
PORT = {"port": "web:0", "machine": "web", "nic": 0, "network": "lan", "state": "running", "chain": [INSERT]}


def test_the_views_here_are_those_of_the_model() -> None:
    NetworkView.model_validate(NETWORK)
    PortView.model_validate(PORT)
    VolumeView.model_validate(VOLUME)
    ImageManifest.model_validate(IMAGE)
    KernelInfo.model_validate(KERNEL)


def test_ps(fake: FakeDaemon, weft: Weft) -> None:
    appliance = MACHINE | {"name": "sniffer-1", "networks": [], "insert": "web:0", "memory": 3 << 30, "pid": None}
    fake.on("GET", "/v1/machines", [MACHINE, appliance])
    ran = weft("ps", "-a")
    assert [line.split() for line in ran.out.splitlines()] == [
        ["NAME", "STATE", "IMAGE", "ADDRESS", "PORTS", "MEMORY", "CPUS", "PID", "AGE"],
        ["web", "running", "web", "10.1.0.2", "(lan)", "-", "64M", "1", "4711", ran.out.split()[-1]],
        ["sniffer-1", "running", "web", "before", "web:0", "-", "3G", "1", "-", ran.out.split()[-1]],
    ]
    assert fake.last().query == {"all": "true"}


def test_ps_as_json_is_what_the_daemon_said(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/machines", [MACHINE])
    assert json.loads(weft("ps", "--format", "json").out) == [MACHINE]
    assert fake.last().query == {"all": "false"}


JSON_COMMANDS: list[tuple[list[str], str, str, Any]] = [
    (["inspect", "web"], "GET", "/v1/machines/web", MACHINE),
    (["network", "ls"], "GET", "/v1/networks", [NETWORK]),
    (["network", "inspect", "lan"], "GET", "/v1/networks/lan", NETWORK),
    (["network", "create", "lan"], "POST", "/v1/networks", NETWORK),
    (["volume", "ls"], "GET", "/v1/volumes", [VOLUME]),
    (["volume", "inspect", "data"], "GET", "/v1/volumes/data", VOLUME),
    (["volume", "create", "data"], "POST", "/v1/volumes", VOLUME),
    (["volume", "resize", "data", "2G"], "PATCH", "/v1/volumes/data", VOLUME),
    (["insert", "sniffer", "--before", "web"], "POST", "/v1/inserts", INSERT),
    (["policy", "sniffer", "closed"], "PATCH", "/v1/inserts/sniffer", INSERT),
    (["links"], "GET", "/v1/ports", [PORT]),
    (["image", "ls"], "GET", "/v1/images", [IMAGE]),
    (["image", "inspect", "base"], "GET", "/v1/images/base", IMAGE),
    (["image", "tag", "base", "b"], "POST", "/v1/images/tag", IMAGE),
    (["kernel", "ls"], "GET", "/v1/kernels", [KERNEL]),
    (["doctor"], "GET", "/v1/doctor", [{"name": "tun", "ok": True, "detail": "open", "hint": None, "package": None}]),
    (["run", "-d", "web"], "POST", "/v1/machines", MACHINE),
]


@pytest.mark.parametrize(("args", "method", "path", "value"), JSON_COMMANDS)
def test_json_is_what_the_daemon_said_and_tables_hold_the_name(
    fake: FakeDaemon, weft: Weft, args: list[str], method: str, path: str, value: Any
) -> None:
    fake.on(method, path, value)
    assert json.loads(weft(args[0], *insert_format(args)).out) == value
    ran = weft(*args)
    first = value[0] if isinstance(value, list) else value
    assert ran.status == 0
    assert str(first.get("name") or first["machine"]) in ran.out
    assert ran.err == ""


def insert_format(args: list[str]) -> list[str]:
    """`--format json` where every command takes it: before a positional that ends the options."""
    return [*args[1:-1], "--format", "json", args[-1]] if args[0] == "run" else [*args[1:], "--format", "json"]


@pytest.mark.parametrize(
    ("args", "method", "path", "body", "query"),
    [
        (["stop", "web"], "POST", "/v1/machines/web/stop", {"wait": True}, {}),
        (["stop", "--timeout", "1m", "web"], "POST", "/v1/machines/web/stop", {"wait": True, "timeout": 60.0}, {}),
        (["start", "--no-wait", "web"], "POST", "/v1/machines/web/start", {"wait": False}, {}),
        (["restart", "web"], "POST", "/v1/machines/web/restart", {"wait": True}, {}),
        (["kill", "web"], "POST", "/v1/machines/web/kill", {"wait": True}, {}),
        (["rm", "-f", "web"], "DELETE", "/v1/machines/web", None, {"force": "true"}),
        (["network", "rm", "web"], "DELETE", "/v1/networks/web", None, {}),
        (["volume", "rm", "web"], "DELETE", "/v1/volumes/web", None, {}),
        (["eject", "--keep", "web"], "DELETE", "/v1/inserts/web", None, {"keep": "true"}),
        (["image", "rm", "web"], "DELETE", "/v1/images/web", None, {}),
        (["kernel", "rm", "web"], "DELETE", "/v1/kernels/web", None, {}),
    ],
)
def test_verbs(
    fake: FakeDaemon, weft: Weft, args: list[str], method: str, path: str, body: Any, query: dict[str, str]
) -> None:
    fake.on(method, path, MACHINE if method == "POST" else Reply(b"", 204))
    assert weft(*args) == (0, "web\n", "")
    assert (fake.last().body, fake.last().query) == (body, query)


def test_one_bad_name_does_not_keep_the_others(fake: FakeDaemon, weft: Weft) -> None:
    for name in ("a", "c"):
        fake.on("POST", f"/v1/machines/{name}/stop", MACHINE | {"name": name})
    fake.on("POST", "/v1/machines/b/stop", fail(404, "not-found", "there is no machine b", "see: weft ps -a"))
    ran = weft("stop", "a", "b", "c", "a")
    assert ran.status == 1
    assert sorted(ran.out.split()) == ["a", "c"]
    assert ran.err == "weft: not-found: there is no machine b (see: weft ps -a)\n"


def test_wait_prints_exit_statuses(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/machines/web/wait", MACHINE | {"state": "stopped"})
    fake.on("GET", "/v1/machines/job/wait", MACHINE | {"state": "stopped", "exit": {"code": 3}})
    fake.on("GET", "/v1/machines/bad/wait", MACHINE | {"name": "bad", "state": "failed", "reason": "no root"})
    assert weft("wait", "web", "job") == (0, "0\n3\n", "")
    assert weft("wait", "bad", "job", "none")[:2] == (1, "3\n")
    assert [view["state"] for view in json.loads(weft("wait", "web", "bad", "--format", "json").out)] == [
        "stopped",
        "failed",
    ]


def test_run_detached_says_only_what_was_said(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/machines", MACHINE)
    assert weft("run", "-d", "base") == (0, "web\n", "")
    spec = {"image": "base", "command": [], "env": {}}
    assert fake.last().body == {"spec": spec, "start": True, "wait": True}


def test_run_with_everything(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/machines", MACHINE)
    options = [
        "--name",
        "w",
        "--network",
        "lan",
        "--network",
        "dmz",
        "--memory",
        "64M",
        "--cpus",
        "2",
        "--profile",
        "q35",
    ]
    ran = weft("run", "-d", "--no-wait", *options, "--kernel", "k", "-e", "A=b=c", "base", "--", "ls", "-d", "--", "x")
    assert ran.status == 0
    assert fake.last().body == {
        "spec": {
            "name": "w",
            "image": "base",
            "kernel": "k",
            "profile": "q35",
            "memory": 64 << 20,
            "cpus": 2,
            "nics": [{"network": "lan"}, {"network": "dmz"}],
            "command": ["ls", "-d", "--", "x"],
            "env": {"A": "b=c"},
        },
        "start": True,
        "wait": False,
    }


def test_run_without_any_nic(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/machines", MACHINE)
    weft("run", "-d", "--network", "none", "base")
    assert fake.last().body["spec"]["nics"] == []


@pytest.mark.parametrize(
    ("end", "status", "err"),
    [
        ({"state": "stopped", "exit": {"code": 0}}, 0, ""),
        ({"state": "failed", "exit": {"code": 7}}, 7, ""),
        ({"state": "failed", "exit": {"signal": 9}}, 137, ""),
        ({"state": "stopped", "exit": None}, 0, ""),
        ({"state": "failed", "reason": "no root"}, 1, "weft: internal: machine web failed: no root\n"),
    ],
)
def test_run_in_the_foreground(fake: FakeDaemon, weft: Weft, end: Json, status: int, err: str) -> None:
    fake.on("POST", "/v1/machines", MACHINE)
    fake.on("GET", "/v1/machines/web/logs", Reply([b"hel", b"lo\n"]))
    fake.on("GET", "/v1/machines/web/wait", MACHINE | end)
    assert weft("run", "base") == (status, "hello\n", err)
    assert fake.requests[0].body["wait"] is False
    assert fake.requests[1].query == {"follow": "true"}


def test_run_rm_leaves_nothing(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/machines", MACHINE)
    fake.on("GET", "/v1/machines/web/logs", Reply(b""))
    fake.on("GET", "/v1/machines/web/wait", MACHINE | {"state": "stopped"})
    fake.on("DELETE", "/v1/machines/web", Reply(b"", 204))
    assert weft("run", "--rm", "base").status == 0
    assert fake.last()[:3] == ("DELETE", "/v1/machines/web", {"force": "true"})


def test_run_goes_on_with_the_log_after_a_broken_connection(fake: FakeDaemon, weft: Weft) -> None:
    def broken() -> Iterator[bytes]:
        yield b"one\n"
        raise ConnectionResetError

    logs = iter([Reply(broken()), Reply(b"two\n")])
    fake.on("POST", "/v1/machines", MACHINE)
    fake.on("GET", "/v1/machines/web", MACHINE)
    fake.on("GET", "/v1/machines/web/logs", lambda _request: next(logs))
    fake.on("GET", "/v1/machines/web/wait", MACHINE | {"state": "stopped"})
    assert weft("run", "base") == (0, "one\ntwo\n", "")


def test_an_error_has_its_detail_below_it_without_control_characters(fake: FakeDaemon, weft: Weft) -> None:
    detail = "init: \x1b[31mno\troot\x07\nlast\n\n"
    fake.on("POST", "/v1/machines", fail(503, "unavailable", "machine web\nis not ready", "look", detail))
    ran = weft("run", "-d", "base")
    assert ran == (1, "", "weft: unavailable: machine web is not ready (look)\n    init: [31mno root\n    last\n")


def test_logs(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/machines/web/logs", Reply([b"\xff\x00", b"x"], type="text/plain"))
    assert run_bytes(weft, "logs", "-f", "--tail", "5", "web")
    assert fake.last().query == {"follow": "true", "tail": "5"}
    span = ["--since", "1970-01-01T00:00:10Z", "--until", "20.5"]
    assert run_bytes(weft, "logs", "-t", *span, "web")
    assert fake.last().query == {"follow": "false", "since": "10.0", "until": "20.5", "timestamps": "true"}
    before = time.time()
    assert run_bytes(weft, "logs", "--since", "1h", "web")
    assert before - 3600 <= float(fake.last().query["since"]) <= time.time() - 3600
    assert "neither a time nor a duration (write it like 10m" in weft("logs", "--since", "lately", "web").err


def run_bytes(weft: Weft, *args: str) -> bool:
    return weft(*args).status == 0


def test_volume_create_and_ls(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/volumes", VOLUME)
    assert weft("volume", "create", "data", "--size", "2G", "--label", "team=a").out == "data\n"
    assert fake.last().body == {"name": "data", "size": 2 << 30, "labels": {"team": "a"}}
    assert weft("volume", "create", "data", "--label", "team").err == "weft: invalid: label 'team' is not KEY=VALUE\n"
    fake.on("GET", "/v1/volumes", [VOLUME])
    assert weft("volume", "ls").out.splitlines()[1].split()[:4] == ["data", "1G", "3M", "web"]


def test_volume_prune_and_resize(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/volumes/prune", ["a", "b"])
    assert weft("volume", "prune").out == "a\nb\n"
    assert json.loads(weft("volume", "prune", "--format", "json").out) == ["a", "b"]
    fake.on("POST", "/v1/volumes/prune", [])
    assert weft("volume", "prune") == (0, "", "")
    fake.on("PATCH", "/v1/volumes/data", VOLUME)
    assert weft("volume", "resize", "data", "1G").out == "data 1G\n"
    assert fake.last().body == {"size": 1 << 30}


def test_network_create(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/networks", NETWORK)
    assert weft("network", "create", "lan", "--subnet", "10.1.0.0/24", "--uplink").out == "lan 10.1.0.0/24\n"
    assert fake.last().body == {"name": "lan", "subnet": "10.1.0.0/24", "uplink": True}
    fake.on("POST", "/v1/networks", NETWORK)
    weft("network", "create", "lan", "--gateway", "fw", "--subnet6", "fd00:1::/64", "--dns", "10.1.0.53", "--dns", "ns")
    assert fake.last().body == {
        "name": "lan", "gateway": "fw", "subnet6": "fd00:1::/64", "dns": ["10.1.0.53", "ns"], "uplink": False
    }  # fmt: skip


def test_insert(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("POST", "/v1/inserts", INSERT)
    args = ["--before", "web:1", "--name", "s", "--mode", "copy", "--fail", "closed", "--at", "0", "--for", "10m"]
    assert weft("insert", "sniffer", *args, "--no-wait") == (0, "sniffer\n", "")
    assert fake.last().body == {
        "spec": {
            "appliance": "sniffer",
            "before": "web:1",
            "name": "s",
            "mode": "copy",
            "fail": "closed",
            "position": 0,
            "lifetime": 600.0,
        },
        "wait": False,
    }


def test_image_schema_and_sbom_are_documents(fake: FakeDaemon, weft: Weft) -> None:
    for word in ("schema", "sbom"):
        fake.on("GET", f"/v1/images/web/{word}", {"title": "web"})
        assert json.loads(weft("image", word, "web").out) == {"title": "web"}


def test_image_build_with_a_name(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").touch()
    fake.on("POST", "/v1/images/build", Reply([json.dumps({"result": IMAGE}).encode() + b"\n"]))
    assert weft("image", "build", str(tmp_path / "mine.toml"), "-t", "other").status == 0
    assert fake.last().body == {"recipe": str(tmp_path / "mine.toml"), "name": "other"}
    ran = weft("image", "build", "base", "web", "-t", "other")
    assert (ran.status, ran.err.count("\n")) == (2, 1)


def test_image_build_from_a_folder_and_by_name(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "recipe.toml").write_text("")
    lines = [{"progress": "unpack", "fraction": 0.5}, {"result": {"name": "x", "digest": "sha256:0123456789abcdef"}}]
    fake.on("POST", "/v1/images/build", lambda _request: Reply([json.dumps(line).encode() + b"\n" for line in lines]))
    ran = weft("image", "build", str(tmp_path / "mine"), "base")
    assert ran.out == "x 0123456789ab\n" * 2
    assert ran.err == "image mine: unpack 50%\nimage base: unpack 50%\n"
    assert [request.body["recipe"] for request in fake.requests] == [str(tmp_path / "mine"), "base"]


def test_kernel_build_and_import(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    fake.on("POST", "/v1/kernels/build", Reply([b'{"result": {"name": "weft", "digest": "ab"}}']))
    assert weft("kernel", "build", "--source", str(tmp_path)) == (0, "weft ab\n", "")
    assert fake.last().body == {"source": str(tmp_path)}
    fake.on("POST", "/v1/kernels/import", {"name": "mine", "digest": "cd"})
    (tmp_path / "vmlinux").write_bytes(b"")
    assert weft("kernel", "import", "--name", "mine", str(tmp_path / "vmlinux")).out == "mine cd\n"


def test_doctor_fails_when_something_is_missing(fake: FakeDaemon, weft: Weft) -> None:
    check = {"name": "tun", "ok": False, "detail": "no access", "hint": "chmod 0666 /dev/net/tun", "package": None}
    fake.on("GET", "/v1/doctor", [check])
    ran = weft("doctor")
    assert ran.status == 1
    assert ran.out.splitlines()[1] == "NO  tun    no access  chmod 0666 /dev/net/tun"


def test_events(fake: FakeDaemon, weft: Weft) -> None:
    event = {"id": 3, "time": 0, "kind": "insert.active", "subject": "sniffer", "text": "before web:0"}
    fake.on("GET", "/v1/events", lambda _request: Reply([b"data: " + json.dumps(event).encode() + b"\n\n"]))
    assert weft("events").out.split(maxsplit=4)[2:] == ["insert.active", "sniffer", "before web:0\n"]
    assert json.loads(weft("events", "-f", "--after", "2", "--format", "json").out) == event
    assert fake.last().query == {"since": "2", "follow": "true"}
    filters = ["--filter", "kind=machine", "--filter", "machine=web", "--filter", "machine=db"]
    assert weft("events", "--since", "10.5", "--until", "1970-01-01T00:00:20Z", *filters).status == 0
    span = {"follow": "false", "after": "10.5", "until": "20.0"}
    assert fake.last().query == span | {"kind": "machine", "machine": "db"}  # the last of each
    assert weft("events", "--filter", "colour=blue").err.startswith("weft: invalid: filter 'colour=blue' is neither")


def test_version_does_not_need_a_daemon(weft: Weft, tmp_path: Path) -> None:
    assert weft("version").out.splitlines()[1] == "daemon  9 (API 1, pid 1, tcg)"
    said = json.loads(weft("--home", str(tmp_path / "none"), "version", "--format", "json").out)
    assert said == {"client": __version__, "home": str(tmp_path / "none"), "daemon": None}
    assert not (tmp_path / "none").exists()
    assert weft("--version").out == f"weft {__version__}\n"


@pytest.mark.parametrize(
    ("args", "message"),
    [
        (["nonsense"], "No such command 'nonsense' (see: weft --help)"),
        (["run"], "Missing argument 'IMAGE' (see: weft run --help)"),
        (
            ["run", "--rm", "--restart", "always", "base"],
            "--rm and --restart contradict each other (see: weft run --help)",
        ),
        (["stop"], "Missing argument 'NAME...' (see: weft stop --help)"),
        (["exec", "web", "--"], "Missing argument 'COMMAND' (see: weft exec --help)"),
        (["insert", "sniffer"], "Missing option '--before' (see: weft insert --help)"),
        (
            ["run", "--memory", "lots", "base"],
            "Invalid value for '--memory': size 'lots' is not a size (write it like 64M or 1G) (see: weft run --help)",
        ),
    ],
)
def test_usage_errors_are_one_line(weft: Weft, args: list[str], message: str) -> None:
    ran = weft(*args)
    assert (ran.status, ran.out) == (2, "")
    assert ran.err == f"weft: invalid: {message}\n"


@pytest.mark.parametrize(
    "args", [["sniff", "Web"], ["run", "-d", "-e", "=x", "base"], ["exec", "-e", "a b=x", "web", "ls"]]
)
def test_what_is_wrong_before_the_daemon_is_asked(fake: FakeDaemon, weft: Weft, args: list[str]) -> None:
    ran = weft(*args)
    assert ran.status == 1
    assert ran.err.startswith("weft: invalid: ")
    assert fake.requests == []


def test_a_defect_is_told_with_its_place(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("GET", "/v1/machines", [{"no": "name"}])
    ran = weft("ps")
    assert ran.status == 1
    assert ran.err.startswith(
        "weft: internal: KeyError: 'name' (a defect of Weft: please report what follows)\n    Tra"
    )


@pytest.mark.parametrize("args", [[], ["network"], ["image"], ["kernel"]])
def test_nothing_asked_is_answered_with_help(capsys: pytest.CaptureFixture[str], args: list[str]) -> None:
    assert run_command(args) == 2
    assert f"Usage: {' '.join(['weft', *args])} [OPTIONS] COMMAND" in capsys.readouterr().err


def test_an_unknown_option_is_not_taken_for_an_image(weft: Weft) -> None:
    ran = weft("run", "--bogus", "base")
    assert ran.status == 2
    assert "--bogus" in ran.err


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_script(weft: Weft, shell: str) -> None:
    ran = weft("completion", shell)
    assert ran.status == 0
    assert "_WEFT_COMPLETE" in ran.out
