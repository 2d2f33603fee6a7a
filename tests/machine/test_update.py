"""Machines that are changed while they run, or between two runs; also when the daemon is killed in the middle."""

from typing import Any

from tests.machine.fabrics import TestFabric, wait_for


def place(fabric: TestFabric) -> Any:
    """What a machine keeps through a change."""
    return fabric.json("inspect", "web")["networks"]


def test_a_machine_is_changed_live_or_by_a_restart_and_keeps_its_place(room: TestFabric) -> None:
    before, pid = place(room), room.json("inspect", "web")["pid"]
    room.run("insert", "sniffer", "--before", "web", "--name", "eye")
    room.run("update", "--label", "tier=front", "--restart", "always", "web")
    view = room.json("inspect", "web")
    assert (view["labels"], view["restart"], view["pid"]) == ({"tier": "front"}, "always", pid)
    assert room.refusal("update", "--memory", "96M", "web") == "wrong-state"
    assert room.json("inspect", "web")["memory"] == 64 << 20
    assert room.text("update", "--memory", "96M", "--restart-now", "web") == "web\n"
    view = room.json("inspect", "web")
    assert (view["memory"], view["state"]) == (96 << 20, "running") and view["pid"] != pid
    assert place(room) == before
    assert room.chain("web") == [("eye", "active")]
    assert "hello" in room.exec("client", "wget", "-qO-", "http://web/hello.html").lower()
    room.run("eject", "eye")


def test_a_daemon_that_dies_in_the_middle_of_a_change_leaves_it_to_the_next_one(room: TestFabric) -> None:
    before = place(room)
    changing = room.start("update", "--cpus", "2", "--restart-now", "web")
    wait_for(lambda: room.client.machine("web")["state"] != "running", "the machine is on its way down")
    room.kill_daemon()
    changing.wait()
    wait_for(lambda: is_changed(room), "the next daemon makes the change whole", say=lambda: room.text("ps", "-a"))
    assert place(room) == before
    assert room.exec("web", "nproc") == "2\n"


def is_changed(room: TestFabric) -> bool:
    view = room.json("inspect", "web")
    return bool(view["cpus"] == 2 and view["state"] == "running")
