"""Serial logs: when what was written, which part is wanted, and times before lines."""

import os
from pathlib import Path

import pytest

from weft.fabric.logreading import Wanted, find_tail, follow_log
from weft.fabric.logs import read_tail, rotate_log
from weft.fabric.logtimes import LogTimes


class Log:
    """A log that is written at times of one's choice, and noted as the daemon does it."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.times = LogTimes(path)

    def write(self, text: str, at: float, *, note: bool = True) -> None:
        with self.path.open("a") as file:
            file.write(text)
        os.utime(self.path, (at, at))
        if note:
            self.times.note()

    async def read(self, **wanted: float | int | bool) -> str:
        pieces = follow_log(self.path, Wanted(**wanted), lambda: True)  # type: ignore[arg-type]
        return b"".join([piece async for piece in pieces]).decode()


@pytest.fixture
def log(tmp_path: Path) -> Log:
    log = Log(tmp_path / "serial.log")
    log.times.note()  # nothing is there yet
    log.write("one\n", 100.0)
    log.write("two\nthr", 200.5)
    log.write("ee\nfour\n", 300.25)
    return log


@pytest.mark.parametrize(
    ("wanted", "text"),
    [
        ({}, "one\ntwo\nthree\nfour\n"),
        ({"since": 100.0}, "one\ntwo\nthree\nfour\n"),
        ({"since": 100.1}, "two\nthree\nfour\n"),
        ({"since": 250.0}, "four\n"),
        ({"since": 301.0}, ""),
        ({"until": 99.0}, ""),
        ({"until": 100.0}, "one\n"),
        ({"until": 200.5}, "one\ntwo\nthree\n"),
        ({"since": 150.0, "until": 250.0}, "two\nthree\n"),
        ({"tail": 0}, ""),
        ({"tail": 2}, "three\nfour\n"),
        ({"tail": 99}, "one\ntwo\nthree\nfour\n"),
        ({"tail": 1, "until": 200.5}, "three\n"),
        ({"tail": 3, "since": 250.0}, "four\n"),
    ],
)
async def test_the_part_that_is_wanted(log: Log, wanted: dict[str, float], text: str) -> None:
    assert await log.read(**wanted) == text


async def test_each_line_has_the_time_of_its_first_byte(log: Log) -> None:
    log.write("half", 400.0, note=False)
    assert await log.read(timestamps=True) == (
        "1970-01-01T00:01:40.000Z one\n1970-01-01T00:03:20.500Z two\n1970-01-01T00:03:20.500Z three\n"
        "1970-01-01T00:05:00.250Z four\n1970-01-01T00:06:40.000Z half"
    )


async def test_times_outlive_the_daemon_and_cover_what_it_missed(log: Log) -> None:
    log.write("five\n", 400.0, note=False)
    assert await log.read(since=350.0) == "five\n"
    assert await log.read(since=450.0) == ""
    log.times = LogTimes(log.path)
    log.write("six\n", 500.0)
    assert await log.read(since=450.0) == "five\nsix\n"  # noted by the next daemon: both are as of its first look
    assert await log.read(until=300.25) == "one\ntwo\nthree\nfour\n"


async def test_a_torn_entry_is_written_over(log: Log) -> None:
    times = log.path.with_suffix(".times")
    times.write_bytes(times.read_bytes()[:-5])
    log.times = LogTimes(log.path)
    log.write("five\n", 400.0)
    assert await log.read(since=350.0) == "four\nfive\n"
    times.write_bytes(b"rubbish")
    assert await log.read(since=350.0) == "one\ntwo\nthree\nfour\nfive\n"


async def test_a_new_run_and_a_rotation_begin_anew(log: Log) -> None:
    log.path.rename(log.path.with_name("serial.log.1"))
    log.write("new\n", 50.0)
    assert (await log.read(since=60.0), await log.read(since=40.0)) == ("", "new\n")
    assert rotate_log(log.path, 1)
    log.times.forget()
    log.write("rotated\n", 70.0)
    assert (await log.read(since=60.0), await log.read(since=80.0)) == ("rotated\n", "")
    log.path.write_text("")
    log.write("cut\n", 90.0)
    assert await log.read(since=80.0) == "cut\n"


def test_the_times_of_a_log_are_bounded(tmp_path: Path) -> None:
    log = Log(tmp_path / "serial.log")
    log.times = LogTimes(log.path, most=100)
    for moment in range(1, 1001):
        log.write("x" * 9 + "\n", float(moment))
    assert log.path.with_suffix(".times").stat().st_size <= 16 * 101
    reread = LogTimes(log.path)
    reread.load()
    assert reread.start_of(1000.0) == 9990
    assert reread.start_of(500.0) <= 4990


def test_tails_longer_than_a_block(tmp_path: Path) -> None:
    path = tmp_path / "serial.log"
    path.write_bytes(b"".join(b"%06d\n" % number for number in range(50_000)) + b"rest")
    size = path.stat().st_size
    for lines in (1, 2, 9_362, 9_363, 9_364, 30_000, 50_001):
        assert find_tail(path, lines, size) == size - 4 - 7 * (lines - 1)
    assert find_tail(path, 50_002, size) == find_tail(path, 1, 0) == 0
    assert read_tail(path, 2) == b"049999\nrest"


async def test_following_goes_on_until_it_ends_and_notices_a_rotation(log: Log) -> None:
    rounds = iter(range(100))

    def ended() -> bool:
        number = next(rounds)
        if number == 1:
            log.write("five\n", 400.0)
        if number == 2:
            os.truncate(log.path, 0)
            log.write("6\n", 500.0)
        return number == 3

    pieces = follow_log(log.path, Wanted(tail=1, timestamps=False), ended)
    assert b"".join([piece async for piece in pieces]) == b"four\nfive\n6\n"


async def test_following_ends_at_a_time(log: Log) -> None:
    pieces = follow_log(log.path, Wanted(until=250.0), lambda: False)
    assert b"".join([piece async for piece in pieces]) == b"one\ntwo\nthree\n"


async def test_a_log_that_is_not_there(tmp_path: Path) -> None:
    assert await Log(tmp_path / "serial.log").read(tail=3, since=1.0, timestamps=True) == ""
