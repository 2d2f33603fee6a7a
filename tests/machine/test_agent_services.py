"""Programs that init keeps: services in their order, the entry point's end, its reasons, and how a machine stops."""

import asyncio
import signal
from pathlib import Path

import pytest
from tests.machine.agent_machine import (
    READY_TIMEOUT,
    SQUASHFS,
    Machine,
    boot,
    boot_agent,
    build_image,
    build_root,
    wait_until,
)

from weft.guest.config import GuestConfig, GuestService
from weft.guest.connecting import open_agent
from weft.guest.protocol import EntryStatus, ExitStatus

pytestmark = pytest.mark.machine


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("root"))


def service(name: str, script: str, *after: str, once: bool = False) -> GuestService:
    return GuestService(name, ("/bin/sh", "-c", script), after=after, once=once)


async def end_of(machine: Machine) -> list[EntryStatus]:
    """Every state of the entry point from READY on, until the machine has ended."""
    seen: list[EntryStatus] = []
    async with open_agent(machine.agent, timeout=READY_TIMEOUT, on_entry=seen.append) as agent:
        seen.insert(0, agent.entry)
        async with asyncio.timeout(READY_TIMEOUT):
            await agent.closed
    await machine.wait_exit()
    return seen


def lines_of(machine: Machine) -> list[str]:
    return [line for line in machine.log().splitlines() if line.startswith("= ")]


async def test_services_start_in_their_order_and_end_in_the_other(tmp_path: Path) -> None:
    keep = "trap 'echo = NAME ends; exit' TERM; echo = NAME; while :; do sleep 0.1; done"
    config = GuestConfig(
        argv=("/bin/sh", "-c", keep.replace("NAME", "entry").replace("TERM", "INT")),
        stop=signal.SIGINT,
        env={"FROM": "machine"},
        services=(
            service("last", keep.replace("NAME", "last"), "prepare"),
            service("prepare", "sleep 0.5; echo = prepare $FROM; echo = late >&2", "first", once=True),
            service("first", keep.replace("NAME", "first")),
        ),
    )
    async with boot_agent(tmp_path, config) as (machine, agent):
        await wait_until(lambda: "= entry\n" in machine.log() and "= last\n" in machine.log())
        assert lines_of(machine)[:3] == ["= first", "= prepare machine", "= late"]
        agent.shutdown(grace=20)
        async with asyncio.timeout(READY_TIMEOUT):
            await agent.closed
        assert agent.entry.last == ExitStatus(code=0)
        await machine.wait_exit()
    assert lines_of(machine)[5:] == ["= entry ends", "= last ends", "= first ends"]


async def test_a_service_is_started_again_and_its_own_settings_hold(tmp_path: Path, root: Path) -> None:
    script = "n=$(cat n 2>/dev/null); echo = $n $KEY $(id -un) $PWD; echo x$n > n; [ ${#n} -ge 2 ] && sleep 600; exit 3"
    worker = GuestService(
        "worker", ("/bin/sh", "-c", script), {"KEY": "b"}, cwd="/work", user="web", restart="on-failure"
    )
    once = service("open", "busybox chmod 777 /work", once=True)
    worker = GuestService(worker.name, worker.argv, worker.env, worker.cwd, worker.user, worker.restart, ("open",))
    config = GuestConfig(root=SQUASHFS, overlay="50%", env={"KEY": "a"}, services=(worker, once))
    async with boot_agent(tmp_path, config, drives={"root": root}) as (machine, agent):
        await wait_until(lambda: "= xx b web /work\n" in machine.log())
        assert agent.entry.state == "none"
        assert machine.log().count("service worker: ended with status 3") == 2


async def test_a_service_that_must_succeed_and_does_not_ends_the_machine(tmp_path: Path) -> None:
    config = GuestConfig(services=(service("check", "exit 5", once=True), service("never", "echo = no", "check")))
    async with boot(tmp_path, config) as machine:
        await machine.wait_exit()
    assert "weft-init: service check: ended with status 5" in machine.log()
    assert not lines_of(machine)


async def test_the_stop_signal_is_the_entry_point_s_alone(tmp_path: Path) -> None:
    """A server ends its workers itself, in peace: a signal to all would cut them off."""
    script = """
        (trap 'echo = worker asked' TERM QUIT; trap '' HUP; while :; do sleep 0.1; done) & worker=$!
        trap 'echo = quit; kill -9 $worker; exit 9' QUIT
        echo = up; while :; do sleep 0.1; done"""
    config = GuestConfig(argv=("/bin/sh", "-c", script), stop=signal.SIGQUIT)
    async with boot_agent(tmp_path, config) as (machine, agent):
        await wait_until(lambda: "= up" in machine.log())
        agent.shutdown(grace=20)
        async with asyncio.timeout(READY_TIMEOUT):
            await agent.closed
        assert agent.entry.last == ExitStatus(code=9)
    assert lines_of(machine) == ["= up", "= quit"]


async def test_who_does_not_listen_is_killed_after_the_grace(tmp_path: Path) -> None:
    config = GuestConfig(argv=("/bin/sh", "-c", "trap '' TERM; echo = up; while :; do sleep 1; done"))
    async with boot_agent(tmp_path, config) as (machine, agent):
        await wait_until(lambda: "= up" in machine.log())
        agent.shutdown(grace=0.5)
        async with asyncio.timeout(READY_TIMEOUT):
            await agent.closed
        assert agent.entry.last == ExitStatus(signal=9)
        await machine.wait_exit()


SCRIPTS = {
    "bin/plain": (0o644, b"not executable"),
    "bin/script": (0o755, b"#!/bin/absent-shell\n"),
    "bin/noise": (0o755, b"\0\1\2 no program"),
}


@pytest.mark.parametrize(
    ("config", "status", "reason"),
    [
        (GuestConfig(argv=("/bin/absent",)), 127, "/bin/absent: No such file or directory"),
        (GuestConfig(argv=("absent",)), 127, "absent: No such file or directory"),
        (GuestConfig(argv=("/bin/plain",)), 126, "/bin/plain: Permission denied"),
        (GuestConfig(argv=("/bin/noise",)), 126, "/bin/noise: Exec format error"),
        (
            GuestConfig(argv=("/bin/script",)),
            127,
            "/bin/script: the interpreter or loader it asks for is not in the image",
        ),
        (GuestConfig(argv=("/bin/plain",), user="nobody-here"), 126, "nobody-here: the machine has no such user"),
        (GuestConfig(argv=("/bin/plain",), user="0:nothing"), 126, "nothing: the machine has no such group"),
    ],
)
async def test_an_entry_point_that_cannot_run_says_why(
    tmp_path: Path, config: GuestConfig, status: int, reason: str
) -> None:
    image = build_image(tmp_path, SCRIPTS)
    full = GuestConfig(root=SQUASHFS, overlay="50%", argv=config.argv, user=config.user)
    async with boot(tmp_path, full, drives={"root": image}) as machine:
        seen = await end_of(machine)
    assert seen[-1] == EntryStatus("exited", ExitStatus(code=status), reason=reason)
    assert f"weft-init: {reason}" in machine.log()


async def test_an_entry_point_that_ends_at_once_is_still_heard_of(tmp_path: Path) -> None:
    for code in (0, 42):
        directory = tmp_path / str(code)
        directory.mkdir()
        async with boot(directory, GuestConfig(argv=("/bin/sh", "-c", f"exit {code}"))) as machine:
            assert (await end_of(machine))[-1] == EntryStatus("exited", ExitStatus(code=code))


async def test_restarts_are_bounded(tmp_path: Path) -> None:
    config = GuestConfig(argv=("/bin/sh", "-c", "echo = go; exit 4"), restart="on-failure", restarts=2)
    async with boot(tmp_path, config) as machine:
        seen = await end_of(machine)
    assert seen[-1] == EntryStatus("exited", ExitStatus(code=4), restarts=2)
    assert lines_of(machine) == ["= go"] * 3


async def test_want_of_memory_is_reported(tmp_path: Path) -> None:
    """Memory that cannot be given back: the process itself holds it."""
    hungry = "x=0123456789abcdef; while :; do x=$x$x; done"
    async with boot(tmp_path, GuestConfig(argv=("/bin/sh", "-c", hungry))) as machine:
        seen = await end_of(machine)
    assert seen[-1].last == ExitStatus(signal=9) and seen[-1].oom_kills >= 1


async def test_users_by_name_and_number(tmp_path: Path) -> None:
    passwd = b"broken\n:::\n\nweb:x:33:34:Web:/srv:/bin/false\nnohome:x:44:45::"
    group = b"www:x:34:\nextra:x:35:web,other\nlong:x:36:" + b",".join(b"u%d" % n for n in range(3000)) + b",web\n"
    root = build_image(
        tmp_path,
        {
            "bin/sh": (0o755, (Path(build_root(tmp_path)).parent / "tree/bin/busybox").read_bytes()),
            "etc/passwd": (0o644, passwd),
            "etc/group": (0o644, group),
        },
    )
    config = GuestConfig(root=SQUASHFS, overlay="50%")
    async with boot_agent(tmp_path, config, drives={"root": root}) as (_, agent):

        async def who(user: str) -> str:
            command = ["/bin/sh", "-c", "echo $(busybox id -u) $(busybox id -g) $(busybox id -G) $HOME"]
            async with await agent.exec(command, user=user) as process:
                return (await process.collect())[1].decode().strip()

        assert await who("web") == "33 34 34 35 36 /srv"
        assert await who("web:extra") == "33 35 35 /srv"
        assert await who("33") == "33 34 34 35 36 /srv"
        assert await who("1000:1000") == "1000 1000 1000 /"
        assert await who("1000") == "1000 0 0 /"
        assert await who("root") == "0 0 0 /"
