"""`weft firewall`: what is asked of the daemon, what is printed, and the file with a client's key."""

import json
from pathlib import Path

from tests.unit.commands import Weft
from tests.unit.fake_daemon import FakeDaemon, Reply, fail

from weft.model.firewall import ClientView, ConnectionView, LeaseView, LogView, PeerView, RuleView

BASE = "/v1/machines/fw/firewall"
RULE = {"rule": "rules[0]", "text": "accept lan -> wan", "packets": 12, "bytes": 1500}
CONNECTION = {
    "protocol": "tcp", "state": "ESTABLISHED", "source": "10.1.0.2", "sport": 4000, "destination": "fd00::1",
    "dport": 80, "translated_source": "10.0.0.2:61000", "translated_destination": None, "answered": True,
    "packets": None, "bytes": None, "timeout": 30,
}  # fmt: skip
LOGGED = {
    "time": 1.0e9, "action": "drop", "rule": "rules[3]", "zone_in": "lan", "zone_out": None, "protocol": "icmp",
    "source": "10.1.0.2", "sport": None, "destination": "10.1.0.1", "dport": None, "length": 84,
}  # fmt: skip
LEASE = {"address": "10.1.0.9", "mac": "52:57:00:00:00:09", "name": None, "expires": None, "fixed": True}
PEER = {
    "name": "road", "key": "k", "networks": ["10.99.0.2/32", "10.50.0.0/16"], "endpoint": None, "handshake": None,
    "received": 0, "sent": 1500,
}  # fmt: skip
CLIENT = {"peer": "phone", "address": "10.99.0.2", "key": "k", "revision": 4, "file": "[Interface]\nPrivateKey = s\n",
          "notes": ["nothing"]}  # fmt: skip
SAVED = {"machine": "fw", "revision": 5, "notes": []}


def test_the_views_here_are_those_of_the_model() -> None:
    for model, view in (
        (RuleView, RULE),
        (ConnectionView, CONNECTION),
        (LogView, LOGGED),
        (LeaseView, LEASE),
        (PeerView, PEER),
        (ClientView, CLIENT),
    ):
        assert model.model_validate(view).model_dump() == view


def test_tables(fake: FakeDaemon, weft: Weft) -> None:
    said = {
        "rules": (RULE, "rules[0] 12 1.46K accept lan -> wan"),
        "connections": (CONNECTION, "tcp ESTABLISHED 10.1.0.2:4000 (10.0.0.2:61000) [fd00::1]:80 - - 30s"),
        "leases": (LEASE, "10.1.0.9 52:57:00:00:00:09 - - yes"),
        "clients": (PEER, "road 10.99.0.2/32 10.50.0.0/16 - - 0B 1.46K"),
    }
    for command, (view, line) in said.items():
        fake.on("GET", f"{BASE}/{command}", [view])
        assert weft("firewall", command, "fw").out.splitlines()[1].split() == line.split()
        assert json.loads(weft("firewall", command, "fw", "--format", "json").out) == [view]


def test_the_log_is_a_line_for_each_packet(fake: FakeDaemon, weft: Weft) -> None:
    data = (json.dumps(LOGGED) + "\n").encode()
    fake.on("GET", f"{BASE}/log", lambda _request: Reply([data, data], 200, "application/x-ndjson"))
    first, second = weft("firewall", "log", "-f", "fw").out.splitlines()
    assert first == second
    assert first.endswith("drop rules[3]: lan -> self icmp 10.1.0.2 -> 10.1.0.1")
    assert fake.last().query == {"follow": "true"}
    assert json.loads(weft("firewall", "log", "fw", "--format", "json").out.splitlines()[0]) == LOGGED


def test_a_clients_file_is_printed_written_or_shown(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    fake.on("POST", f"{BASE}/clients", CLIENT)
    done = weft("firewall", "client", "add", "fw", "phone", "--endpoint", "vpn.example:1")
    assert (done.out, done.err) == (CLIENT["file"], "weft: phone is 10.99.0.2, revision 4\nnote: nothing\n")
    assert fake.last().body == {"peer": "phone", "address": None, "endpoint": "vpn.example:1"}
    assert "PrivateKey" not in (shown := weft("firewall", "client", "add", "--qr", "fw", "phone").out)
    assert shown.count("\n") > 10
    path = tmp_path / "phone.conf"
    assert weft("firewall", "client", "add", "-o", str(path), "fw", "phone").out == ""
    assert (path.read_text(), path.stat().st_mode & 0o777) == (CLIENT["file"], 0o600)


def test_nothing_is_left_of_a_client_that_is_refused(fake: FakeDaemon, weft: Weft, tmp_path: Path) -> None:
    path = tmp_path / "phone.conf"
    fake.on("POST", f"{BASE}/clients", lambda _request: fail(400, "invalid", "there is a peer phone already"))
    assert weft("firewall", "client", "add", "-o", str(path), "fw", "phone").status == 1
    assert not path.exists()
    path.write_text("mine")
    asked = len(fake.requests)
    assert weft("firewall", "client", "add", "-o", str(path), "fw", "phone").status != 0
    assert (path.read_text(), len(fake.requests)) == ("mine", asked)


def test_changes(fake: FakeDaemon, weft: Weft) -> None:
    fake.on("DELETE", f"{BASE}/clients/phone", SAVED)
    assert weft("firewall", "client", "rm", "fw", "phone").out == "fw revision 5\n"
    fake.on("POST", f"{BASE}/block", SAVED)
    assert weft("firewall", "block", "fw", "203.0.113.9", "--for", "10m").out == "fw revision 5\n"
    assert fake.last().body == {"address": "203.0.113.9", "seconds": 600}
    fake.on("POST", f"{BASE}/unblock", SAVED)
    assert json.loads(weft("firewall", "unblock", "fw", "203.0.113.9", "--format", "json").out) == SAVED
