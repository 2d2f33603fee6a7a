"""Machines like containers: options, ports of the host, ends, restarts, health."""

import os
import signal
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.machine.fabrics import PATIENCE, TestFabric, open_fabric, wait_for

from weft.host.pids import ProcessId

MEGABYTE = 1 << 20
WAIT_FOR_PROBE = "until test -x /probe; do sleep 0.1; done; exec /probe"


@pytest.fixture(scope="module")
def fabric(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    """One fabric for all tests here; each has machines of its own."""
    with open_fabric(tmp_path_factory.mktemp("run") / "home") as fabric:
        yield fabric


@pytest.fixture(scope="module")
def probe(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """The program that tests put into machines."""
    path = tmp_path_factory.mktemp("probe") / "probe"
    subprocess.run(["musl-gcc", "-static", "-Os", "-o", path, Path(__file__).with_name("probe.c")], check=True)
    return path.read_bytes()


@pytest.fixture(scope="module")
def server(fabric: TestFabric, probe: bytes) -> dict[int, int]:
    """Ports of the host by those of the machine `server`."""
    ports = ["-p", "9000", "-p", "127.0.0.1::9001", "-p", "9002/udp"]
    program = ["--", "sh", "-c", WAIT_FOR_PROBE]
    fabric.run("run", "-d", "--name", "server", "--label", "tier=front", *ports, "base", *program)
    put = "cat > /new && chmod +x /new && mv /new /probe"
    fabric.run("exec", "-i", "server", "--", "sh", "-c", put, input=probe)
    wait_for(lambda: "serving" in fabric.text("logs", "server"), "all three listen")
    return {port["guest_port"]: port["host_port"] for port in fabric.json("port", "server")}


def connect(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), PATIENCE)


def drain(sock: socket.socket, size: int | None = None) -> int:
    """Reads to the end, or at least so many bytes; how many came."""
    count = 0
    while (size is None or count < size) and (data := sock.recv(1 << 18)):
        count += len(data)
    return count


def kill_qemu(fabric: TestFabric, name: str) -> ProcessId:
    process = ProcessId.find(fabric.client.machine(name)["pid"])
    assert process is not None and process.send(signal.SIGKILL)
    return process


def view(fabric: TestFabric, name: str) -> dict[str, Any]:
    return fabric.client.machine(name)


def test_a_transfer_goes_on_when_the_daemon_dies(fabric: TestFabric, server: dict[int, int]) -> None:
    with connect(server[9000]) as sock:
        begun = drain(sock, 10 * MEGABYTE)
        fabric.kill_daemon()
        assert begun + drain(sock) == 100 * MEGABYTE
    record = fabric.home / "machines" / "server" / "ports.json"
    before = record.read_text()
    assert [machine["name"] for machine in fabric.json("ps", "--filter", "label=tier=front")] == ["server"]
    assert record.read_text() == before, "the next daemon keeps the forwarder"


def test_the_end_of_one_direction_is_passed_on(server: dict[int, int]) -> None:
    with connect(server[9001]) as sock:
        sock.sendall(b"x" * 1_000_000)
        sock.shutdown(socket.SHUT_WR)
        assert sock.makefile("rb").read().strip() == b"1000000"


def test_datagrams_are_answered(server: dict[int, int]) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("127.0.0.1", server[9002]))
        sock.settimeout(PATIENCE)
        for word in (b"one", b"two"):
            sock.send(word)
            assert sock.recv(100) == word


def test_ports_are_shown_and_conflicts_are_told(fabric: TestFabric, server: dict[int, int]) -> None:
    assert fabric.text("port", "server").splitlines() == [
        f"9000/tcp -> 0.0.0.0:{server[9000]}",
        f"9001/tcp -> 127.0.0.1:{server[9001]}",
        f"9002/udp -> 0.0.0.0:{server[9002]}",
    ]
    assert f"127.0.0.1:{server[9001]}->9001/tcp" in fabric.text("ps")
    assert fabric.refusal("run", "-d", "--name", "other", "-p", f"{server[9000]}:80", "base") == "exists"
    assert fabric.refusal("run", "-d", "--name", "other", "-p", "80", "--network", "none", "base") == "invalid"
    assert fabric.refusal("run", "-d", "--name", "other", "-p", "192.0.2.1:80:80", "base") == "invalid"
    assert [machine["name"] for machine in fabric.json("ps", "-a", "--filter", "name=other")] == []


def test_a_forwarder_that_was_killed_is_replaced(fabric: TestFabric, server: dict[int, int]) -> None:
    (forwarder,) = children(fabric, "server")
    assert forwarder.send(signal.SIGKILL)
    wait_for(lambda: fabric.events("machine.ports"), "its end is noticed")
    wait_for(lambda: children(fabric, "server"), "there is another")
    with connect(server[9001]) as sock:
        sock.shutdown(socket.SHUT_WR)
        assert sock.makefile("rb").read().strip() == b"0"


def children(fabric: TestFabric, name: str) -> list[ProcessId]:
    """The forwarder itself, behind the wall's watcher."""
    from weft.host.publish import find_forwarder

    found = find_forwarder(fabric.home / "machines" / name / "ports.json")
    return found.process.children() if found else []


def test_ports_come_and_go_with_the_machine(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "web", "-p", "80", "web")
    (port,) = fabric.json("port", "web")
    url = f"http://127.0.0.1:{port['host_port']}/"
    wait_for(lambda: b"<html" in curl(url), "curl gets the page")
    fabric.run("stop", "web")
    with pytest.raises(ConnectionRefusedError):
        connect(port["host_port"])
    fabric.run("start", "web")
    assert fabric.json("port", "web") == [port]
    wait_for(lambda: b"<html" in curl(url), "curl gets the page again")
    fabric.run("rm", "-f", "web")
    with pytest.raises(ConnectionRefusedError):
        connect(port["host_port"])


def curl(url: str) -> bytes:
    done = subprocess.run(
        ["curl", "-s", "-m", str(PATIENCE), url], capture_output=True, timeout=2 * PATIENCE, check=False
    )
    return done.stdout


SHOW = "id -u; id -g; pwd; echo $ONE-$TWO; hostname; touch /x 2>&1; touch /mem/x && echo written; exit 7"


def test_the_programs_surroundings_and_its_status(fabric: TestFabric, tmp_path: Path) -> None:
    (tmp_path / "env").write_text("# both\nONE=file\nTWO=file\n")
    options = [
        "-u",
        "65534:0",
        "-w",
        "/not/yet",
        "-e",
        "ONE=1",
        "--env-file",
        str(tmp_path / "env"),
        "--hostname",
        "front",
    ]
    options += ["--read-only", "--tmpfs", "/mem:size=1M", "--network", "none"]
    done = fabric.run("run", "--rm", *options, "base", "--", "sh", "-c", SHOW, check=False)
    said = done.stdout.decode().replace("\r", "").splitlines()
    assert done.returncode == 7, done
    assert said[:6] == ["65534", "0", "/not/yet", "1-file", "front", "touch: /x: Read-only file system"]
    assert said[6] == "written"


def test_the_stop_signal_comes_first_and_its_status_is_the_machines(fabric: TestFabric) -> None:
    script = "trap 'exit 9' USR1; trap '' TERM; echo up; while :; do sleep 0.1; done"
    fabric.run(
        "run", "-d", "--name", "polite", "--stop-signal", "usr1", "--network", "none", "base", "--", "sh", "-c", script
    )
    wait_for(lambda: "up" in fabric.text("logs", "polite"), "its trap is set")
    fabric.run("stop", "polite")
    assert view(fabric, "polite")["exit"] == {"code": 9, "signal": None, "reason": "entry point ended", "oom": False}
    fabric.run("rm", "polite")


@pytest.mark.parametrize(
    ("options", "command", "reason"),
    [
        ((), ("no-such-program",), "no-such-program: No such file or directory"),
        (("-u", "nobody-at-all"), ("true",), "nobody-at-all: the machine has no such user"),
    ],
)
def test_a_broken_entry_point_is_told(
    fabric: TestFabric, options: tuple[str, ...], command: tuple[str, ...], reason: str
) -> None:
    done = fabric.run(
        "run", "-d", "--name", "broken", "--network", "none", *options, "base", "--", *command, check=False
    )
    told = f"weft: unavailable: machine 'broken': its entry point could not be started: {reason}\n"
    assert (done.returncode, done.stdout, done.stderr.decode()) == (1, b"", told)
    assert fabric.json("ps", "-a", "--filter", "name=broken") == []
    status = fabric.run("run", "--rm", "--network", "none", *options, "base", "--", *command, check=False).returncode
    assert status in (126, 127)


def test_out_of_memory_is_told(fabric: TestFabric) -> None:
    options = ["--name", "fat", "--network", "none", "--memory", "64M"]
    eat = ["dd", "if=/dev/zero", "of=/dev/null", "bs=48M", "count=1"]
    assert fabric.run("run", *options, "base", "--", *eat, check=False).returncode == 137
    end = view(fabric, "fat")["exit"]
    assert (end["signal"], end["oom"]) == (9, True)
    assert end["reason"] == "entry point was killed: the machine is out of memory"
    fabric.run("rm", "fat")


def test_a_machine_that_died_is_started_again_until_it_is_stopped(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "phoenix", "--restart", "unless-stopped", "--network", "none", "base")
    kill_qemu(fabric, "phoenix")
    wait_for(lambda: view(fabric, "phoenix")["restarts"] == 1, "it is started again")
    assert "is started again in 1 s" in fabric.events("machine.again")[-1]["text"]
    wait_for(lambda: view(fabric, "phoenix")["state"] == "running", "it runs again")
    ending = view(fabric, "phoenix")["pid"]
    fabric.kill_daemon()
    os.kill(ending, signal.SIGKILL)
    fabric.run("ps")
    wait_for(lambda: view(fabric, "phoenix")["restarts"] == 2, "the next daemon starts it again")
    wait_for(lambda: view(fabric, "phoenix")["state"] == "running", "it runs again")
    fabric.run("stop", "phoenix")
    fabric.kill_daemon()
    fabric.run("ps")
    assert (view(fabric, "phoenix")["state"], view(fabric, "phoenix")["again"]) == ("stopped", None)
    fabric.run("rm", "phoenix")


def test_a_machine_with_rm_goes_when_it_ends(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--rm", "--name", "brief", "--network", "none", "base")
    process = ProcessId.find(view(fabric, "brief")["pid"])
    assert process is not None
    fabric.kill_daemon()
    process.send(signal.SIGKILL)
    wait_for(lambda: not process.alive(), "it has ended while no daemon was there")
    wait_for(lambda: not fabric.json("ps", "-a", "--filter", "name=brief"), "it is removed")
    assert not (fabric.home / "machines" / "brief").exists()


def test_health_is_checked(fabric: TestFabric) -> None:
    check = ["--health-cmd", "echo look; test -e /tmp/ok", "--health-interval", "0.2s", "--health-retries", "2"]
    fabric.run("run", "-d", "--name", "patient", "--network", "none", *check, "base")
    wait_for(lambda: view(fabric, "patient")["health"]["status"] == "unhealthy", "it is unhealthy")
    assert view(fabric, "patient")["health"]["output"] == "look"
    fabric.exec("patient", "touch", "/tmp/ok")
    wait_for(lambda: "running (healthy)" in fabric.text("ps", "--filter", "health=healthy"), "it is healthy")
    assert fabric.events("machine.unhealthy") and fabric.events("machine.healthy")
    fabric.run("rm", "-f", "patient")


def test_run_waits_for_health(fabric: TestFabric) -> None:
    check = ["--health-interval", "0.2s", "--health-retries", "1", "--network", "none", "--wait-healthy"]
    fabric.run("run", "-d", "--rm", "--name", "well", "--health-cmd", "true", *check, "base")
    assert view(fabric, "well")["health"]["status"] == "healthy"
    fabric.run("kill", "well")
    done = fabric.run("run", "-d", "--name", "ill", "--health-cmd", "echo oh; false", *check, "base", check=False)
    assert done.stderr == b"weft: unavailable: machine 'ill' is unhealthy\n    oh\n"
    assert fabric.json("ps", "-a", "--filter", "name=ill") == []
