"""Starting programs: those that answer, and those that outlive us."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.host.waiting import PATIENCE, is_program, wait_until

from weft.host.pids import ProcessId, stop_processes
from weft.host.process import ProcessFailed, ProcessTimedOut, run, start_latched
from weft.model.errors import Unavailable


async def test_run_gives_what_was_printed():
    done = await run(["cat"], input=b"hello")
    assert (done.text, done.stderr, done.status) == ("hello", b"", 0)


async def test_the_environment_is_clean(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("SECRET", "x")
    printed = (await run(["env"], env={"MINE": "1"})).text
    assert "SECRET" not in printed
    assert "MINE=1" in printed
    assert "/usr/sbin" in printed


async def test_a_failure_names_program_status_and_last_words():
    with pytest.raises(ProcessFailed, match="sh ended with status 3: second") as caught:
        await run(["sh", "-c", "echo first >&2; echo second >&2; exit 3"])
    assert caught.value.status == 3
    assert caught.value.detail == "first\nsecond\n"


async def test_a_signal_is_named():
    with pytest.raises(ProcessFailed, match="SIGKILL"):
        await run(["sh", "-c", "kill -9 $$"])


async def test_a_failure_can_be_wanted():
    assert (await run(["false"], check=False)).status == 1


async def test_what_is_not_installed_is_unavailable():
    with pytest.raises(Unavailable, match="no-such-program"):
        await run(["no-such-program"])
    with pytest.raises(Unavailable, match="no-such-program"):
        start_latched(["no-such-program"])


async def test_lines_come_as_they_are_printed():
    lines: list[str] = []
    done = await run(["sh", "-c", "echo one; echo two; echo bad >&2"], on_line=lines.append)
    assert lines == ["one", "two"]
    assert (done.text, done.stderr) == ("one\ntwo\n", b"bad\n")


async def test_a_time_out_kills_the_program_and_its_children():
    async with asyncio.timeout(30):  # the programs themselves would take a minute
        with pytest.raises(ProcessTimedOut, match=r"0\.1 s"):
            await run(["sh", "-c", "sleep 60 & sleep 60"], timeout=0.1)


async def test_a_cancelled_run_kills_the_program():
    lines: list[str] = []
    running = asyncio.ensure_future(run(["sh", "-c", "echo $$; exec sleep 60"], on_line=lines.append))
    await wait_until(lambda: lines)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert ProcessId.find(int(lines[0])) is None


async def test_a_latched_program_waits_for_its_release():
    reader, writer = os.pipe()
    latched = start_latched(["echo", "go"], stdout=writer)
    os.close(writer)
    os.set_blocking(reader, False)
    with pytest.raises(BlockingIOError):
        os.read(reader, 10)
    latched.release()
    assert await latched.watch.wait() == 0
    assert os.read(reader, 10) == b"go\n"
    os.close(reader)


async def test_who_cannot_enter_its_control_group_does_not_start(tmp_path: Path):
    reader, writer = os.pipe()
    latched = start_latched(["echo", "went"], doors=[tmp_path / "no" / "tasks"], stdout=writer, stderr=writer)
    os.close(writer)
    latched.release()
    assert await latched.watch.wait() == 2
    said = os.read(reader, 1000)
    assert b"no/tasks" in said
    assert b"went" not in said
    os.close(reader)


async def test_pid_and_start_time_are_the_programs():
    latched = start_latched(["sleep", "60"])
    before = latched.process
    latched.release()
    await wait_until(lambda: is_program(latched.pid, "sleep"))
    assert ProcessId.find(latched.pid) == before
    await stop_processes([before])


async def test_an_abandoned_latch_ends():
    latched = start_latched(["sleep", "60"])
    latched.abandon()
    assert await asyncio.wait_for(latched.watch.wait(), PATIENCE) == 1
    latched.release()  # too late, and harmless


async def test_descriptors_keep_their_numbers_and_no_other_passes():
    reader, writer = os.pipe()
    latched = start_latched(["ls", "/proc/self/fd"], fds=[reader], stdout=writer)
    os.close(writer)
    latched.release()
    await latched.watch.wait()
    numbers = {int(line) for line in os.read(reader, 100).split()}
    os.close(reader)
    assert reader in numbers
    assert numbers - {reader} == {0, 1, 2, 3}  # ls has the directory open itself


async def test_a_latched_program_survives_in_its_own_session_with_default_signals():
    latched = start_latched(["sleep", "60"])
    latched.release()
    await wait_until(lambda: is_program(latched.pid, "sleep"))
    assert os.getsid(latched.pid) == latched.pid
    status = dict(line.split(":", 1) for line in Path(f"/proc/{latched.pid}/status").read_text().splitlines())
    for number in (signal.SIGPIPE, signal.SIGXFSZ, signal.SIGTERM, signal.SIGINT):
        assert not int(status["SigIgn"], 16) >> (number - 1) & 1
    assert int(status["SigBlk"], 16) == 0
    await stop_processes([latched.process])


def test_a_daemon_killed_before_the_release_leaves_nothing():
    script = (
        "import asyncio, json, os, signal\n"
        "from weft.host.process import start_latched\n"
        "async def main():\n"
        "    held = start_latched(['sleep', '61'])\n"
        "    print(json.dumps([held.pid, held.start_time]), flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, timeout=PATIENCE, check=False)
    assert done.returncode == -signal.SIGKILL
    held = ProcessId(*json.loads(done.stdout))
    deadline = time.monotonic() + PATIENCE
    while held.alive():
        assert time.monotonic() < deadline
        time.sleep(0.005)
