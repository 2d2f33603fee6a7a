"""Forks of real machines: they go on where their original was, as somebody else; whole rooms; shadows."""

import os
import re
import signal
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.machine.fabrics import PATIENCE, TestFabric, open_fabric, wait_for
from tests.machine.talks import open_ticks, serve_echo, serve_ticks

from weft.client.starting import is_answering

MANY = 25
COUNTER = "n=0; while sleep 0.5; do n=$((n+1)); echo $n >>/tmp/n; done"
HOOK = (
    "read -r id </proc/sys/kernel/random/uuid; echo $id >/tmp/first; "
    "while read -r n; do last=$n; done </tmp/n; echo $last >/tmp/n-then"
)
"""Without any other program: a hook has ten seconds, which are few where so many begin at once."""
WHO = (
    "hostname; cat /etc/machine-id; cat /sys/class/net/eth0/address; ip -4 -o addr show dev eth0 | awk '{print $4}'; "
    "cat /tmp/first; echo; head -c 32 /dev/urandom | od -An -v -tx1 | tr -d ' \\n'; echo; cat /tmp/n-then"
)


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """With `src`, in which a program counts, and which says in every copy what it begins with."""
    with open_fabric(tmp_path_factory.mktemp("forks") / "home") as fabric:
        fabric.run("run", "-d", "--name", "src", "--label", "tier=one", "--memory", "64M", "base")
        fabric.run("exec", "-d", "src", "--", "sh", "-c", COUNTER)
        add_hook(fabric, "src", "50-first", HOOK)
        wait_for(lambda: count(fabric, "src") > 1, "it counts")
        yield fabric


def add_hook(fabric: TestFabric, machine: str, name: str, script: str) -> None:
    path = f"/etc/weft/on-fork.d/{name}"
    write = f"mkdir -p /etc/weft/on-fork.d; cat >{path}; chmod 755 {path}"
    fabric.run("exec", "-i", machine, "--", "sh", "-c", write, input=f"#!/bin/sh\n{script}\n".encode())


def machines(fabric: TestFabric) -> set[str]:
    return {str(view["name"]) for view in fabric.client.machines(all=True)}


def count(fabric: TestFabric, machine: str) -> int:
    return int(fabric.exec(machine, "tail", "-n", "1", "/tmp/n", check=False) or 0)


def test_many_at_once_go_on_as_others(fabric: TestFabric) -> None:
    before = count(fabric, "src")
    boot = fabric.client.machine("src")["started"]
    with ThreadPoolExecutor(MANY) as pool:
        answers = list(pool.map(lambda _: fabric.client.fork_machine("src", remove=True), range(MANY)))
    names = [answer["machines"][0]["name"] for answer in answers]
    assert sorted(names) == sorted(f"src-fork-{number}" for number in range(1, MANY + 1))
    assert all(not answer["failed"] and 0 < answer["pause"] < answer["took"] for answer in answers)
    said = {name: fabric.exec(name, "sh", "-c", WHO).split() for name in [*names, "src"] if name != "src"}
    own = fabric.exec("src", "sh", "-c", WHO.replace("cat /tmp/first;", "").replace("cat /tmp/n-then", "")).split()
    for part in range(6):
        assert len({words[part] for words in said.values()}) == MANY, f"part {part} of {said}"
    assert not {word for words in said.values() for word in words[:6]} & set(own)
    for name, words in said.items():
        view = fabric.client.machine(name)
        (nic,) = view["networks"]
        assert words[0] == name
        assert (words[2], words[3].partition("/")[0]) == (nic["mac"], nic["address"])
        assert int(words[6]) >= before
        assert (view["origin"], view["labels"], view["remove"]) == ("fork of src", {"tier": "one"}, True)
    assert fabric.client.machine("src")["started"] == boot
    assert count(fabric, names[0]) >= before
    last = names[-1]
    assert "1 packets received" in fabric.exec("src", "ping", "-c", "1", "-W", "5", last)
    fabric.run("kill", *names)
    wait_for(lambda: machines(fabric) == {"src"}, "they are gone")
    assert not list((fabric.home / "machines" / "src").glob("instants/*"))


@pytest.mark.parametrize("after", [0.03, 0.15, 0.4])
def test_of_a_fork_that_a_daemon_did_not_finish_nothing_is_left(fabric: TestFabric, after: float) -> None:
    """Whatever it had done by then."""
    daemon = fabric.daemon_pid()
    fork = fabric.start("fork", "src", "--name", "cut")
    wait_for(lambda: fork.poll() is not None or "cut" in machines(fabric), "it begins")
    time.sleep(after)
    os.kill(daemon, signal.SIGKILL)
    wait_for(lambda: not is_answering(fabric.home), "the daemon is dead")
    told = fork.wait(PATIENCE) == 0
    before = count(fabric, "src")
    # It may be made, and the daemon die before it says so; what it has said is so.
    wait_for(lambda: is_whole(fabric, "cut") or (not told and machines(fabric) == {"src"}), "it is made or gone")
    wait_for(lambda: count(fabric, "src") > before, "the original goes on")
    fabric.run("rm", "-f", "cut", check=False)
    assert machines(fabric) == {"src"}


def is_whole(fabric: TestFabric, name: str) -> bool:
    return fabric.exec(name, "hostname", check=False) == f"{name}\n"


def test_a_copy_starts_again_as_any_machine(fabric: TestFabric) -> None:
    assert fabric.text("fork", "src", "--name", "again") == "again\n"
    address = fabric.client.machine("again")["networks"][0]["address"]
    fabric.run("restart", "again")
    view = fabric.client.machine("again")
    assert (view["networks"][0]["address"], fabric.exec("again", "hostname")) == (address, "again\n")
    fabric.run("rm", "-f", "again")
    assert fabric.refusal("fork", "nobody") == "not-found"
    fabric.run("run", "-d", "--name", "off", "base")
    fabric.run("stop", "off")
    assert fabric.refusal("fork", "off") == "wrong-state"
    assert fabric.refusal("fork", "src", "--name", "off") == "exists"
    fabric.run("rm", "off")


def test_disks_are_those_of_the_same_instant(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "db", "--network", "none", "-v", "data:/data:size=64M", "base")
    # What is not flushed is in memory, and goes along with that.
    fabric.exec("db", "sh", "-c", "head -c 3000000 /dev/urandom >/data/a; sync; echo unflushed >/data/b")
    fabric.run("exec", "-d", "db", "--", "sh", "-c", "n=0; while sleep 0.2; do n=$((n+1)); echo $n >>/data/log; done")
    wait_for(lambda: fabric.exec("db", "sh", "-c", "test -s /data/log && echo yes", check=False), "it writes")
    fabric.run("fork", "db", "--name", "twin")
    look = "sha256sum /data/a; cat /data/b; tail -n 1 /data/log"
    digest, _, _, there = fabric.exec("twin", "sh", "-c", look).split()
    assert fabric.exec("db", "sh", "-c", look).split()[0] == digest
    wait_for(lambda: int(fabric.exec("twin", "tail", "-n", "1", "/data/log")) > int(there), "its program goes on")
    assert fabric.client.machine("twin")["mounts"][0]["source"] == "twin-data"
    fabric.exec("twin", "sh", "-c", "echo mine >/data/b")
    assert fabric.exec("db", "cat", "/data/b") == "unflushed\n"
    fabric.run("rm", "-f", "db", "twin")
    for volume in ("data", "twin-data"):
        disk = fabric.home / "volumes" / volume / "disk.img"
        done = subprocess.run(["e2fsck", "-fp", str(disk)], capture_output=True, check=False)
        assert done.returncode < 4, done.stdout
        fabric.run("volume", "rm", volume)


def test_a_shadow_hears_what_its_original_hears_and_nobody_hears_it(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "asker", "base")
    address = fabric.client.machine("src")["networks"][0]["address"]
    fabric.exec("asker", "ping", "-c", "1", "-W", "5", address)
    fabric.run("fork", "src", "--shadow", "--name", "shade", "--rm")
    before = {name: echoes(fabric, name) for name in ("src", "shade")}
    said = fabric.exec("asker", "ping", "-q", "-c", "10", "-i", "0.1", "-W", "5", address)
    assert "10 packets received" in said
    assert "duplicates" not in said
    wait_for(lambda: echoes(fabric, "shade") == before["shade"] + 10, "the shadow hears them")
    assert echoes(fabric, "src") == before["src"] + 10
    assert fabric.exec("shade", "hostname") == "shade\n"
    fabric.run("rm", "-f", "shade")
    assert "1 packets received" in fabric.exec("asker", "ping", "-c", "1", "-W", "5", address)
    fabric.run("rm", "-f", "asker")


def echoes(fabric: TestFabric, machine: str) -> int:
    """Echo requests that a machine has got."""
    return count_in(fabric.exec(machine, "cat", "/proc/net/snmp"), "Icmp", "InEchos")


def count_in(snmp: str, protocol: str, what: str) -> int:
    """One of the kernel's counters."""
    names, values = re.findall(rf"^{protocol}: (.*)$", snmp, re.MULTILINE)
    return int(dict(zip(names.split(), values.split(), strict=True))[what])


def test_a_room_goes_on_in_its_copy(tmp_path: Path) -> None:
    with open_fabric(tmp_path / "home") as fabric:
        fabric.run("run", "-d", "--name", "web", "-v", "data:/data:size=64M", "-p", "80", "base")
        fabric.run("run", "-d", "--name", "client", "base")
        fabric.run("run", "-d", "--name", "idle", "base")
        fabric.run("stop", "idle")
        serve_ticks(fabric, "web", 4000)
        talk = open_ticks(fabric, "client", "talk", "web", 4000)
        talk.wait_lines()
        view = fabric.json("fork", "room:default", "staging")
        assert set(view["pauses"]) == {"web", "client"}
        assert view["left_out"] == ["published ports of machine web"]
        staged = {machine["name"]: machine for machine in view["machines"]}
        for name, state in (("web", "running"), ("client", "running"), ("idle", "stopped")):
            original = fabric.client.machine(name)
            assert staged[name]["networks"] == original["networks"]
            assert staged[name]["state"] == state
        room = ("--room", "staging", "exec")

        def heard(*prefix: str) -> list[int]:
            return [int(line) for line in fabric.text(*prefix, "client", "--", "cat", "/tmp/talk").split()]

        before = heard(*room)
        wait_for(lambda: len(heard(*room)) > len(before) + 5, "the connection lives in the copy")
        for lines in (heard(*room), heard("exec")):
            assert lines == list(range(1, len(lines) + 1))
        ids = [fabric.text(*prefix, "web", "--", "cat", "/etc/machine-id") for prefix in (room, ("exec",))]
        assert ids[0] != ids[1]
        asked = echoes(fabric, "web")
        assert "3 packets received" in fabric.text(*room, "client", "--", "ping", "-c", "3", "-i", "0.1", "web")
        assert echoes(fabric, "web") == asked
        fabric.run("--room", "staging", "start", "idle")
        fabric.run("room", "rm", "-f", "--volumes", "staging")
        talk.wait_lines()
        assert fabric.refusal("fork", "room:default", "default") == "exists"
        assert [one["name"] for one in fabric.client.rooms()] == ["default"]
        _check_shadow_of_room(fabric)


def _check_shadow_of_room(fabric: TestFabric) -> None:
    """What comes in from outside is heard in the shadow, too, and answered for nobody."""
    if os.geteuid() != 0:  # nobody has rights in both rooms
        assert fabric.refusal("fork", "room:default", "twin", "--shadow") == "unavailable"
        return
    serve_echo(fabric, "web", 80)
    (port,) = fabric.client.machine("web")["ports"]
    fabric.run("fork", "room:default", "twin", "--shadow")
    twin = ("--room", "twin", "exec", "web", "--")

    def heard() -> int:
        return count_in(fabric.text(*twin, "cat", "/proc/net/snmp"), "Tcp", "InSegs")

    before = heard()
    for _ in range(2):
        with socket.create_connection(("127.0.0.1", port["host_port"]), timeout=30) as connection:
            connection.sendall(b"hello\n")
            assert connection.recv(100) == b"hello\n"
    wait_for(lambda: heard() >= before + 2 * 2, "the shadow hears both connections", say=heard)
    fabric.run("room", "rm", "-f", "--volumes", "twin")
    with socket.create_connection(("127.0.0.1", port["host_port"]), timeout=30) as connection:
        connection.sendall(b"again\n")
        assert connection.recv(100) == b"again\n"


TLS_SERVER = """
defaults
    mode http
    timeout connect 5s
    timeout client 30s
    timeout server 30s
frontend tls
    bind :8443 ssl crt /tmp/server.pem
    http-request return status 200
"""
SERVE = "haproxy -D -p /tmp/tls.pid -f /tmp/tls.cfg"


def test_a_tls_server_does_not_repeat_itself(fabric: TestFabric, tmp_path: Path) -> None:
    pem = tmp_path / "server.pem"
    request = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    subprocess.run([*request, "-subj", "/CN=tls", "-keyout", str(pem), "-out", str(tmp_path / "cert")], check=True)
    text = pem.read_bytes() + (tmp_path / "cert").read_bytes()
    fabric.run("run", "-d", "--name", "tls", "-p", "8443", "balancer")
    for path, content in (("/tmp/server.pem", text), ("/tmp/tls.cfg", TLS_SERVER.encode())):
        fabric.run("exec", "-i", "tls", "--", "sh", "-c", f"cat >{path}", input=content)
    fabric.exec("tls", "sh", "-c", SERVE)
    add_hook(fabric, "tls", "10-tls", f"kill $(cat /tmp/tls.pid)\nexec {SERVE}")
    hellos = [greet(fabric, "tls")]
    copies = fabric.text("fork", "tls", "--count", "2").split()
    hellos += [greet(fabric, name) for name in (*copies, *copies, "tls")]
    # The server's random number, and all behind it, where its half of the key is.
    assert len({hello[6:38] for hello in hellos}) == len({hello[38:] for hello in hellos}) == 6
    fabric.run("rm", "-f", "tls", *copies)


def greet(fabric: TestFabric, machine: str) -> bytes:
    """What a TLS server says first (RFC 8446, 4.1.3)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        context.wrap_bio(incoming, outgoing).do_handshake()
    (port,) = fabric.client.machine(machine)["ports"]
    with socket.create_connection(("127.0.0.1", port["host_port"]), timeout=30) as connection:
        connection.sendall(outgoing.read())
        answer = connection.makefile("rb")
        header = answer.read(5)
        return answer.read(int.from_bytes(header[3:5], "big"))
