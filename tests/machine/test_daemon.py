"""The daemon may die at any moment: nothing is lost, and the next one takes everything over."""

import os
import signal

from tests.machine.fabrics import TestFabric, wait_for


def test_machines_wiring_and_names_survive_the_daemon(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "web", "web")
    fabric.run("run", "-d", "--name", "client", "base")
    fabric.run("insert", "sniffer", "--before", "web", "--name", "eye")
    before = {machine["name"]: machine["pid"] for machine in fabric.json("ps")}
    pinging = fabric.client.open_exec("client", ["sh", "-c", "ping -c 100 -i 0.05 web > /tmp/ping 2>&1 &"])
    with pinging as session:
        list(session)
    fabric.kill_daemon()
    assert {machine["name"]: machine["pid"] for machine in fabric.json("ps")} == before
    wait_for(lambda: {machine["state"] for machine in fabric.json("ps")} == {"running"}, "all are adopted")
    assert fabric.chain("web") == [("eye", "active")]
    report = wait_for(lambda: fabric.exec("client", "grep", "packets", "/tmp/ping", check=False), "ping's report")
    assert "100 packets transmitted, 100 packets received" in report
    fabric.run("eject", "eye")
    assert fabric.chain("web") == []


def test_what_was_begun_is_gone_on_with(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "web", "web")
    inserting = fabric.start("insert", "sniffer", "--before", "web", "--name", "eye")
    wait_for(lambda: any(machine["name"] == "eye" and machine["pid"] for machine in fabric.client.machines()), "QEMU")
    fabric.kill_daemon()
    inserting.communicate(timeout=30)
    wait_for(lambda: fabric.chain("web") == [("eye", "active")], "the insert is made after all")
    ejecting = fabric.start("eject", "eye")
    wait_for(lambda: fabric.chain("web") != [("eye", "active")], "the eject is under way")
    fabric.kill_daemon()
    ejecting.communicate(timeout=30)
    wait_for(lambda: [machine["name"] for machine in fabric.json("ps", "-a")] == ["web"], "the sniffer is gone")
    assert fabric.chain("web") == []


def test_timers_survive_the_daemon(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "web", "web")
    fabric.run("insert", "sniffer", "--before", "web", "--name", "brief", "--for", "1h")
    fabric.client.change_insert("brief", {"lifetime": 3})  # from now on: its start may take longer than that
    fabric.kill_daemon()
    wait_for(lambda: fabric.chain("web") == [], "its time is up")
    assert fabric.events("insert.expired"), "the daemon that came after says so"


def test_a_machine_that_died_meanwhile_is_noticed(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "web", "web")
    fabric.run("insert", "sniffer", "--before", "web", "--name", "eye")
    eye, web = (fabric.client.machine(name)["pid"] for name in ("eye", "web"))
    fabric.kill_daemon()
    os.kill(eye, signal.SIGKILL)
    os.kill(web, signal.SIGKILL)
    wait_for(lambda: fabric.chain("web") == [("eye", "bypassed")], "its policy holds")
    wait_for(lambda: fabric.json("inspect", "web")["state"] in ("failed", "stopped"), "so is its own machine's end")
    fabric.run("start", "web")


def test_an_orderly_end_leaves_machines_running(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "web", "web")
    pid = fabric.client.machine("web")["pid"]
    fabric.run("shutdown")
    wait_for(lambda: not (fabric.home / "weft.sock").exists(), "the daemon ends")
    os.kill(pid, 0)
    assert fabric.client.machine("web")["pid"] == pid


def test_taking_all_down_leaves_nothing_and_the_spec_stays(fabric: TestFabric) -> None:
    fabric.run("run", "-d", "--name", "web", "web")
    fabric.run("shutdown", "--machines")
    wait_for(lambda: not fabric.leftovers(), "nothing is left", say=fabric.leftovers)
    assert fabric.json("inspect", "web")["state"] == "stopped"
    fabric.run("start", "web")
    assert "lighttpd" in fabric.exec("web", "ps")


def test_two_fabrics_live_side_by_side(fabric: TestFabric, tmp_path) -> None:
    other = TestFabric(tmp_path / "other")
    try:
        for each in (fabric, other):
            each.run("run", "-d", "--name", "web", "base")
        assert fabric.client.machine("web")["pid"] != other.client.machine("web")["pid"]
        assert fabric.client.machine("web")["networks"][0]["address"] == "10.87.0.2"
        assert other.client.machine("web")["networks"][0]["address"] == "10.87.0.2"
    finally:
        other.close()
    assert fabric.client.machine("web")["state"] == "running"
