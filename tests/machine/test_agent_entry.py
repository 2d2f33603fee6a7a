"""The entry point: its output, its end, its restarts, and what the host hears of them."""

import asyncio
import signal
from pathlib import Path

import pytest
from tests.machine.agent_machine import READY_TIMEOUT, Machine, boot, wait_until

from weft.guest.config import GuestConfig, Restart
from weft.guest.connecting import open_agent
from weft.guest.protocol import NO_TERMINAL, EntryStatus, ExitStatus

pytestmark = pytest.mark.machine


def shell(script: str, restart: Restart = "never") -> GuestConfig:
    return GuestConfig(argv=("/bin/sh", "-c", script), env={"GREETING": "a b"}, cwd="/tmp", restart=restart)


async def end_of(machine: Machine) -> list[EntryStatus]:
    """Every state of the entry point from READY on, until the machine has ended."""
    seen: list[EntryStatus] = []
    async with open_agent(machine.agent, timeout=READY_TIMEOUT, on_entry=seen.append) as agent:
        seen.insert(0, agent.entry)
        async with asyncio.timeout(READY_TIMEOUT):
            await agent.closed
    await machine.wait_exit()
    return seen


async def test_output_reaches_the_log_unchanged(tmp_path: Path) -> None:
    async with boot(tmp_path, shell('echo "$GREETING from $PWD"; echo error >&2')) as machine:
        await machine.wait_exit()
    assert "a b from /tmp\nerror\n" in machine.log()


async def test_the_machine_ends_with_its_entry_point(tmp_path: Path) -> None:
    """It waits for a file that is written once it was seen running."""
    script = "until test -e go; do sleep 0.1; done; exit 7"
    async with boot(tmp_path, shell(script)) as machine:
        async with open_agent(machine.agent, timeout=READY_TIMEOUT) as agent:
            assert agent.entry.state == "running" and agent.entry.pid
            await agent.exec(["/bin/sh", "-c", "echo > /tmp/go"], detached=True)
        seen = await end_of(machine)
    assert seen[-1] == EntryStatus("exited", ExitStatus(code=7))


async def test_the_entry_point_has_a_size_and_takes_signals(tmp_path: Path) -> None:
    script = (
        "trap 'stty size; stty | grep -o -e -echo' USR1; trap 'exit 5' TERM; echo armed; while :; do sleep 0.1; done"
    )
    async with boot(tmp_path, shell(script)) as machine, open_agent(machine.agent, timeout=READY_TIMEOUT) as agent:
        await wait_until(lambda: "armed\n" in machine.log())
        agent.resize_console(33, 44)
        agent.resize_console(NO_TERMINAL, 0)
        agent.signal_entry(signal.SIGUSR1)
        await wait_until(lambda: "33 44\n-echo\n" in machine.log())
        agent.signal_entry(signal.SIGTERM)
        await agent.closed
        assert agent.entry == EntryStatus("exited", ExitStatus(code=5))


async def test_a_program_that_is_not_there_is_named(tmp_path: Path) -> None:
    async with boot(tmp_path, GuestConfig(argv=("/bin/absent", "x"))) as machine:
        await machine.wait_exit()
    assert "weft-init: /bin/absent: No such file or directory" in machine.log()


async def test_failure_is_started_again_until_it_succeeds(tmp_path: Path) -> None:
    script = "n=$(cat n 2>/dev/null || echo 0); echo $((n+1)) > n; sleep 0.3; [ $n -ge 2 ]"
    async with boot(tmp_path, shell(script, "on-failure")) as machine:
        seen = await end_of(machine)
    assert [entry.restarts for entry in seen if entry.state == "running"][-1] == 2
    assert EntryStatus("waiting", ExitStatus(code=1), restarts=1) in seen
    assert seen[-1] == EntryStatus("exited", ExitStatus(code=0), restarts=2)


async def test_always_means_also_after_a_signal_and_the_rate_is_bounded(tmp_path: Path) -> None:
    seen: list[EntryStatus] = []
    async with (
        boot(tmp_path, shell("kill -9 $$", "always")) as machine,
        open_agent(machine.agent, timeout=READY_TIMEOUT, on_entry=seen.append) as agent,
    ):
        await wait_until(lambda: agent.entry.restarts >= 3)
        assert seen[-1].last == ExitStatus(signal=9)
        # After pauses of 100, 200 and 400 ms: less would be a machine that does nothing but start.
        assert (await agent.facts()).uptime_ns - agent.ready.started_ns > 600_000_000
