"""Sessions in real machines: terminals, many at once."""

import os
import subprocess
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime

from tests.machine.fabrics import PATIENCE, TestFabric, wait_for
from tests.unit.terminals import Terminal

MANY = 100


@contextmanager
def open_terminal(fabric: TestFabric, *args: str) -> Iterator[Terminal]:
    terminal = Terminal(dict(os.environ), *args, program=fabric.argv, limit=PATIENCE)
    try:
        yield terminal
    finally:
        terminal.child.kill()


def find_pids(room: TestFabric, command: str) -> list[str]:
    """The processes of `web` with exactly this command line."""
    rows = [line.split(None, 2) for line in room.exec("web", "ps").splitlines()]
    return [row[0] for row in rows if row[2:] == [command]]


def is_in_front(room: TestFabric, command: str) -> bool:
    """Whether it runs and is in the foreground of its terminal: proc(5), stat, state, pgrp and tpgid."""
    stat = "".join(room.exec("web", "cat", f"/proc/{pid}/stat") for pid in find_pids(room, command))
    fields = stat.rpartition(")")[2].split()
    return bool(fields) and fields[0] == "S" and fields[2] == fields[5]


def test_a_terminal_has_job_control_a_size_and_a_status(room: TestFabric) -> None:
    with open_terminal(room, "exec", "-it", "-e", "PS1=ready> ", "web", "sh") as terminal:
        terminal.read_until(b"ready> ")
        terminal.type(b"stty size\n")
        terminal.read_until(b"40 100\r\n")
        terminal.resize(33, 111)
        terminal.tell_resize()
        terminal.type(b"while ! stty size | grep -x '33 111'; do :; done; echo of the $((1 + 1))nd size\n")
        terminal.read_until(b"of the 2nd size")
        terminal.type(b"sleep 1000\n")
        wait_for(lambda: is_in_front(room, "sleep 1000"), "sleep has the terminal")
        terminal.type(b"\x1a")
        terminal.read_until(b"Stopped")
        terminal.read_until(b"ready> ")
        terminal.type(b"jobs; fg\n")
        wait_for(lambda: is_in_front(room, "sleep 1000"), "sleep has the terminal again")
        terminal.type(b"\x03")
        terminal.read_until(b"ready> ")
        terminal.type(b"echo interrupted with $?\n")
        terminal.read_until(b"interrupted with 130\r\n")
        terminal.type(b"exit 7\n")
        assert terminal.finish() == 7


def test_a_hundred_at_once_as_processes(room: TestFabric) -> None:
    def run(number: int) -> tuple[int, bytes, bytes]:
        argv = [*room.argv, "exec", "-i", "web", "sh", "-c", f"read word; echo $word; exit {number}"]
        done = subprocess.run(argv, input=f"w{number}\n".encode(), capture_output=True, timeout=300, check=False)
        return done.returncode, done.stdout, done.stderr

    with ThreadPoolExecutor(MANY) as pool:
        ended = list(pool.map(run, range(MANY)))
    assert ended == [(number, f"w{number}\n".encode(), b"") for number in range(MANY)]


def test_a_hundred_sessions_of_one_client(room: TestFabric) -> None:
    """All are open at the same time before the first one is let go."""
    before = find_pids(room, "cat")
    with ThreadPoolExecutor(MANY) as pool:
        sessions = [room.client.open_exec("web", ["cat"], stdin=True) for _ in range(MANY)]
        opened = list(pool.map(lambda session: session.__enter__(), sessions))
        for number, session in enumerate(opened):
            session.send_input(b"%d" % number)
            session.close_input()
        said = list(pool.map(lambda session: b"".join(data for _, data in session), opened))
        for session in sessions:
            session.__exit__(None, None, None)
    assert said == [b"%d" % number for number in range(MANY)]
    wait_for(lambda: len(find_pids(room, "cat")) == len(before), "all are gone")


def test_lines_of_a_log_have_times(room: TestFabric) -> None:
    def say(word: str) -> float:
        room.exec("web", "sh", "-c", f"echo {word} of words >/dev/console")
        wait_for(lambda: f"{word} of words" in room.text("logs", "-n", "1", "web"), "the line is in the log")
        times = room.home / "machines/web/serial.times"
        size = (room.home / "machines/web/serial.log").stat().st_size
        wait_for(lambda: times.read_bytes()[-8:] == size.to_bytes(8, "little"), "the line has a time")
        return time.time()

    begin = time.time()
    first = say("first")
    say("second")
    assert room.text("logs", "--since", str(first), "web") == "second of words\n"
    assert room.text("logs", "--since", str(begin - 0.5), "--until", str(first), "web") == "first of words\n"
    (line,) = room.text("logs", "-t", "-n", "1", "web").splitlines()
    stamp, _, text = line.partition(" ")
    assert text == "second of words"
    assert first - 0.5 <= datetime.fromisoformat(stamp).timestamp() <= time.time()


def test_a_program_in_the_background_outlives_the_daemon(room: TestFabric) -> None:
    room.run("exec", "-d", "web", "sleep", "4321")
    room.run("shutdown")
    (pid,) = find_pids(room, "sleep 4321")
    room.exec("web", "kill", pid)
