"""`weft sniff`: what it shows, when it shows it, and that nothing of it stays."""

import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import pytest
from tests.machine.captures import read_fields, sniffing
from tests.machine.fabrics import PATIENCE, TestFabric, wait_for

SOON = 5.0
CLOCKS_APART = 0.5
"""Seconds by which a guest's time stamps may be off; emulation on a busy host delays the guest's own reading."""


@pytest.fixture(autouse=True)
def nothing_stays(room: TestFabric) -> Iterator[None]:
    """Whatever became of a sniff, its sniffer is out and gone."""
    yield
    wait_for(lambda: room.chain("web") == [], "the sniffer is out", say=lambda: room.chain("web"))
    wait_for(lambda: {one["name"] for one in room.json("ps", "-a")} == {"web", "client"}, "its machine is gone")


def ping(room: TestFabric, count: int = 3) -> None:
    """Echo requests from client to web, all answered."""
    output = room.exec("client", "ping", "-c", str(count), "-i", "0.1", "-W", "2", "web")
    assert f"{count} packets received" in output


@contextmanager
def pinging(room: TestFabric) -> Iterator[None]:
    """Five echo requests a second for as long as the context lasts."""
    process = room.start("exec", "client", "--", "ping", "-i", "0.2", "web")
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=PATIENCE)


def arrivals(pipe: IO[bytes]) -> list[float]:
    """When something arrived at a pipe, until it ends."""
    times: list[float] = []

    def read() -> None:
        while os.read(pipe.fileno(), 1 << 16):
            times.append(time.monotonic())

    reader = threading.Thread(target=read)
    reader.start()
    reader.join(PATIENCE)
    assert not reader.is_alive()
    return times


def test_packets_are_right_and_their_times_the_hosts(room: TestFabric, tmp_path: Path) -> None:
    before = time.time()
    with sniffing(room, tmp_path / "capture", "web", "--count", "6", "icmp"):
        ping(room)
    after = time.time()
    rows = read_fields((tmp_path / "capture").read_bytes(), "frame.time_epoch", "icmp.type", "ip.src", "frame.len")
    assert [row[1] for row in rows] == ["8", "0"] * 3
    assert {row[2] for row in rows} == {"10.87.0.2", "10.87.0.3"}
    assert {row[3] for row in rows} == {"98"}
    times = [float(row[0]) for row in rows]
    assert times == sorted(times)
    assert before - CLOCKS_APART < times[0] and times[-1] < after + CLOCKS_APART


def test_a_packet_is_here_soon_after_the_time_it_is_stamped_with(room: TestFabric) -> None:
    sniff = room.start("sniff", "web", "-w", "-", "--count", "10", "icmp[icmptype]", "==", "icmp-echo")
    assert sniff.stdout is not None
    capture, arrived = b"", 0.0
    with pinging(room):
        while piece := os.read(sniff.stdout.fileno(), 1 << 16):
            capture, arrived = capture + piece, time.time()
    sniff.communicate(timeout=PATIENCE)
    stamps = [float(stamp) for (stamp,) in read_fields(capture, "frame.time_epoch")]
    assert len(stamps) == 10
    assert -CLOCKS_APART < arrived - stamps[-1] < SOON
    assert stamps[-1] - stamps[0] > 9 * 0.2 - CLOCKS_APART, "time runs in the guest as it does here"


def test_every_packet_arrives_while_the_sniff_runs(room: TestFabric) -> None:
    sniff = room.start("sniff", "web", "-w", "-", "--count", "20", "icmp")
    assert sniff.stdout is not None
    with pinging(room):
        times = arrivals(sniff.stdout)
    sniff.communicate(timeout=PATIENCE)
    assert sniff.returncode == 0
    assert len(times) >= 4, "packets came together"
    assert times[-1] - times[0] > 0.4, "packets were kept back"


def test_tshark_reads_the_pipe(room: TestFabric) -> None:
    sniff = room.start("sniff", "web", "-w", "-", "--count", "2", "tcp port 80")
    tshark = subprocess.Popen(["tshark", "-n", "-l", "-r", "-"], stdin=sniff.stdout, stdout=subprocess.PIPE)
    wait_for(lambda: [state for _, state in room.chain("web")] == ["active"], "the sniffer is in")
    fetching = room.start("exec", "client", "--", "sh", "-c", "while wget -q -O /dev/null http://web/; do :; done")
    output = tshark.communicate(timeout=PATIENCE)[0].decode()
    fetching.send_signal(signal.SIGINT)
    fetching.communicate(timeout=PATIENCE)
    sniff.communicate(timeout=PATIENCE)
    assert len(output.splitlines()) == 2 and " TCP " in output


def test_lines_for_people(room: TestFabric) -> None:
    sniff = room.start("sniff", "web", "--count", "3", "icmp or arp")
    with pinging(room):
        output, complaints = sniff.communicate(timeout=PATIENCE)
    assert (sniff.returncode, complaints) == (0, b"")
    assert len(output.splitlines()) == 3
    assert b"ICMP echo re" in output


def test_a_sniff_ends_when_its_time_is_up(room: TestFabric) -> None:
    begun = time.monotonic()
    output = room.text("sniff", "web", "--for", "1s", "udp port 9")
    assert output == ""
    assert time.monotonic() - begun > 1


def test_copies_are_as_good(room: TestFabric, tmp_path: Path) -> None:
    with sniffing(room, tmp_path / "capture", "web", "--mode", "copy", "--count", "4", "icmp"):
        (insert,) = room.client.inserts()
        assert insert["mode"] == "copy"
        ping(room)
    rows = read_fields((tmp_path / "capture").read_bytes(), "icmp.type", "icmp.seq")
    assert [tuple(row) for row in rows] == [("8", "0"), ("0", "0"), ("8", "1"), ("0", "1")]


def test_two_at_once_see_the_same(room: TestFabric, tmp_path: Path) -> None:
    files = [tmp_path / "one", tmp_path / "two"]
    with (
        sniffing(room, files[0], "web", "--count", "4", "icmp"),
        sniffing(room, files[1], "web", "--count", "4", "icmp"),
    ):
        ping(room)
    one, two = (read_fields(file.read_bytes(), "icmp.seq", "icmp.type") for file in files)
    assert one == two and len(one) == 4


def test_a_reader_that_goes_ends_it(room: TestFabric) -> None:
    sniff = room.start("sniff", "web", "-w", "-", "icmp")
    assert sniff.stdout is not None
    with pinging(room):
        assert os.read(sniff.stdout.fileno(), 1 << 16)
        sniff.stdout.close()
        assert sniff.wait(PATIENCE) in (0, 141)
    assert sniff.stderr is not None and sniff.stderr.read() == b""


def test_a_client_that_is_killed_leaves_nothing(room: TestFabric, tmp_path: Path) -> None:
    sniff = room.start("sniff", "web", "-w", str(tmp_path / "capture"))
    wait_for((tmp_path / "capture").exists, "the sniff begins")
    sniff.kill()
    sniff.communicate()


def test_ctrl_c_ends_it_and_what_was_written_is_whole(room: TestFabric, tmp_path: Path) -> None:
    file = tmp_path / "capture"
    sniff = room.start("sniff", "web", "-w", str(file), "icmp")
    with pinging(room):
        wait_for(lambda: file.exists() and file.stat().st_size > 500, "packets")
        sniff.send_signal(signal.SIGINT)
        sniff.communicate(timeout=PATIENCE)
    assert sniff.returncode == 130
    assert len(read_fields(file.read_bytes(), "icmp.type")) >= 2


def test_what_is_wrong_is_told_before_anything_is_inserted(room: TestFabric, tmp_path: Path) -> None:
    file = tmp_path / "capture"
    file.write_text("precious")
    newest = max(event["id"] for event in room.client.events())
    for args, code in (
        (("web", "-w", str(file), "tcp prot 80"), "invalid"),
        (("web", "-w", str(file), "port 99999"), "invalid"),
        (("web", "-w", str(file), "-r /etc/passwd"), "invalid"),
        (("nobody", "-w", str(file)), "not-found"),
        (("web:7", "-w", str(file)), "not-found"),
        (("web:x", "-w", str(file)), "invalid"),
        (("web", "-w", str(file), "--count", "0"), "invalid"),
        (("web", "-w", str(file), "--for", "soon"), "invalid"),
        (("web", "-w", str(file), "--mode", "routed"), "invalid"),
    ):
        assert room.refusal("sniff", *args) == code, args
    assert file.read_text() == "precious"
    since = [event["kind"] for event in room.client.events(since=newest)]
    assert not [kind for kind in since if kind.startswith("insert.") or kind == "machine.created"]
