"""Processes by identity, their end, and the ladder that ends them."""

import asyncio
import os
import signal
import subprocess

import pytest
from tests.host.waiting import PATIENCE, wait_until

from weft.host.pids import ProcessId, stop_processes, watch_exit
from weft.host.process import Latched, start_latched


def start(*argv: str) -> Latched:
    latched = start_latched(argv)
    latched.release()
    return latched


def test_a_process_is_its_pid_and_its_start_time():
    me = ProcessId.find(os.getpid())
    assert me is not None
    assert me.alive()
    assert not ProcessId(me.pid, me.start_time + 1).alive()
    assert not ProcessId(me.pid, me.start_time + 1).send(signal.SIGKILL)


def test_a_zombie_is_not_alive():
    child = subprocess.Popen(["true"])
    process = ProcessId.find(child.pid)
    assert process is not None
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert not process.alive()
    child.wait()


async def test_a_child_is_reaped_and_its_status_told_to_all():
    latched = start("sh", "-c", "exit 7")
    other = watch_exit(latched.process)
    assert await latched.watch.wait() == 7
    assert await other.wait() == 7
    with pytest.raises(ChildProcessError):
        os.waitid(os.P_PID, latched.pid, os.WEXITED | os.WNOHANG)  # noqa: ASYNC222 - it does not wait


async def test_watching_what_is_gone_ends_at_once():
    assert await watch_exit(ProcessId(os.getpid(), 1)).wait() is None


async def test_a_callback_is_told_of_the_exit():
    latched = start("sleep", "60")
    ended: asyncio.Future[int | None] = asyncio.get_running_loop().create_future()
    latched.watch.on_exit(ended.set_result)
    latched.process.send(signal.SIGKILL)
    assert await asyncio.wait_for(ended, PATIENCE) == -signal.SIGKILL


async def test_a_process_of_somebody_else_is_watched_too():
    # The shell's child outlives it and becomes init's: we are not its parent.
    shell = start("sh", "-c", "sleep 60 & wait")
    await wait_until(shell.process.children)
    (grandchild,) = shell.process.children()
    watch = watch_exit(grandchild)
    await stop_processes([shell.process])
    assert grandchild.alive()
    grandchild.send(signal.SIGKILL)
    assert await asyncio.wait_for(watch.wait(), PATIENCE) is None


async def test_a_stopped_process_is_told_from_a_running_one():
    latched = start("sleep", "60")
    assert not latched.process.is_stopped()
    latched.process.send(signal.SIGSTOP)
    await wait_until(latched.process.is_stopped)
    assert latched.process.alive()
    await stop_processes([latched.process], term_for=5)
    assert await latched.watch.wait() == -signal.SIGTERM


async def test_the_ladder_asks_first():
    latched = start("sleep", "60")

    async def ask() -> None:
        latched.process.send(signal.SIGUSR1)

    await stop_processes([latched.process], ask=ask)
    assert await latched.watch.wait() == -signal.SIGUSR1


async def test_the_ladder_ends_with_a_kill():
    latched = start("sh", "-c", "trap '' TERM; while :; do sleep 60; done")
    await wait_until(latched.process.children)
    children = latched.process.children()
    await stop_processes([latched.process, *children], term_for=0.05)
    assert await latched.watch.wait() == -signal.SIGKILL
    assert not any(child.alive() for child in children)


async def test_a_peer_that_never_answers_is_bounded():
    latched = start("sleep", "60")
    async with asyncio.timeout(30):  # the program itself would take a minute
        await stop_processes([latched.process], ask=asyncio.Event().wait, ask_for=0.05)  # type: ignore[arg-type]
    assert not latched.process.alive()


async def test_a_cancelled_stop_still_stops():
    latched = start("sh", "-c", "trap '' TERM; while :; do sleep 60; done")
    await wait_until(latched.process.children)
    children = latched.process.children()
    stopping = asyncio.ensure_future(stop_processes([latched.process, *children], term_for=60))
    await asyncio.sleep(0)
    stopping.cancel()
    with pytest.raises(asyncio.CancelledError):
        await stopping
    assert not latched.process.alive()
    assert not any(child.alive() for child in children)
