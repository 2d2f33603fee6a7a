"""The balancer, with real traffic: connections are spread, dead servers left out, and changes break nothing."""

from collections import Counter
from collections.abc import Iterator

import pytest
from tests.machine.fabrics import TestFabric, open_fabric, wait_for

SERVERS = ("web-1", "web-2")


@pytest.fixture(scope="module")
def balanced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TestFabric]:
    with open_fabric(tmp_path_factory.mktemp("balanced") / "home") as fabric:
        for name in SERVERS:
            fabric.run("run", "-d", "--name", name, "web")
            fabric.exec(name, "sh", "-c", f"echo {name} >/srv/www/name")
        fabric.run("run", "-d", "--name", "client", "base")
        settings = [f"--set={item}" for item in ("servers=web-1,web-2", "check.interval=1", "check.fall=2")]
        fabric.run("run", "-d", "--name", "lb", *settings, "balancer")
        wait_for(lambda: ask(fabric)["web-1"] and ask(fabric)["web-2"], "both servers answer")
        yield fabric


def ask(fabric: TestFabric, times: int = 4) -> Counter[str]:
    """Who answered so many requests, one after the other. Requests without an answer are left out."""
    loop = f"for i in $(seq {times}); do timeout 5 wget -qO- http://lb/name; done; true"
    return Counter(fabric.exec("client", "sh", "-c", loop).split())


def told(fabric: TestFabric, server: str) -> list[str]:
    said = [event["data"]["said"] for event in fabric.events("machine.told") if event["data"]["what"] == "server"]
    return [what for what in said if what.startswith(f"port80/{server} is ")]


def test_requests_are_spread_evenly(balanced: TestFabric) -> None:
    assert ask(balanced, 20) == {"web-1": 10, "web-2": 10}


def test_a_server_that_dies_is_left_out_and_told_of_and_comes_back(balanced: TestFabric) -> None:
    balanced.run("kill", "web-2")
    wait_for(lambda: "DOWN" in "".join(told(balanced, "web-2")), "an event", say=lambda: told(balanced, "web-2"))
    assert ask(balanced, 10) == {"web-1": 10}
    balanced.run("start", "web-2")
    balanced.exec("web-2", "sh", "-c", "echo web-2 >/srv/www/name")
    wait_for(lambda: ask(balanced)["web-2"], "it answers again", say=lambda: told(balanced, "web-2"))
    wait_for(lambda: "UP" in told(balanced, "web-2")[-1], "an event", say=lambda: told(balanced, "web-2"))


def test_a_change_breaks_no_open_connection_and_is_there_at_once(balanced: TestFabric) -> None:
    """A connection is opened, the settings change, and only then it is asked for something."""
    request = r"printf 'GET /name HTTP/1.0\r\n\r\n'"
    script = f"(while [ ! -e /tmp/go ]; do sleep 0.1; done; {request}; sleep 1) | nc lb 80 >/tmp/answer &"
    balanced.exec("client", "sh", "-c", script)
    wait_for(lambda: "ESTABLISHED" in balanced.exec("client", "netstat", "-tn"), "a connection")
    balanced.run("config", "set", "lb", "servers=web-1 weight 3,web-2")
    assert ask(balanced, 20) == {"web-1": 15, "web-2": 5}
    balanced.exec("client", "touch", "/tmp/go")
    answer = wait_for(lambda: balanced.exec("client", "cat", "/tmp/answer"), "an answer")
    assert answer.startswith("HTTP/1.") and answer.split()[-1] in SERVERS


def test_what_it_cannot_do_is_refused_and_nothing_changes(balanced: TestFabric) -> None:
    done = balanced.run("config", "set", "lb", "servers=web-1 weight 0", check=False)
    assert done.returncode == 1 and b"servers[0]: weight '0' is not a number from 1 to 256" in done.stderr
    assert set(ask(balanced)) == set(SERVERS)


def test_a_machine_that_is_made_later_is_found_by_its_name(balanced: TestFabric) -> None:
    balanced.run("config", "set", "lb", "servers=web-3")
    assert not ask(balanced, 1)
    balanced.run("run", "-d", "--name", "web-3", "web")
    balanced.exec("web-3", "sh", "-c", "echo web-3 >/srv/www/name")
    wait_for(lambda: ask(balanced, 1)["web-3"], "it answers", say=lambda: balanced.text("logs", "lb"))


def test_a_stop_lets_open_connections_come_to_their_end(balanced: TestFabric) -> None:
    request = r"printf 'GET /name HTTP/1.0\r\n\r\n'"
    script = f"rm -f /tmp/go /tmp/answer; (while [ ! -e /tmp/go ]; do sleep 0.1; done; {request}; sleep 1) | nc lb 80"
    balanced.exec("client", "sh", "-c", f"({script} >/tmp/answer) &")
    wait_for(lambda: "ESTABLISHED" in balanced.exec("client", "netstat", "-tn"), "a connection")
    stop = balanced.start("stop", "--timeout", "60s", "lb")
    wait_for(lambda: not ask(balanced, 1), "nothing new is taken")
    balanced.exec("client", "touch", "/tmp/go")
    assert stop.wait(timeout=60) == 0
    answer = wait_for(lambda: balanced.exec("client", "cat", "/tmp/answer"), "an answer")
    assert answer.split()[-1] == "web-3"
