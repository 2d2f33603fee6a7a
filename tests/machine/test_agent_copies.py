"""Machines that are told who they are: held ones, which go on with their boot, and running ones, which change."""

import asyncio
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest
from tests.machine.agent_machine import READY_TIMEOUT, SQUASHFS, Machine, boot, build_image, build_root, find_busybox
from tests.machine.test_agent_boot import run

from weft.guest.becoming import Become, dump_become
from weft.guest.config import GuestConfig, GuestFile, GuestHost, GuestMount, GuestNic, GuestService
from weft.guest.connecting import open_agent
from weft.guest.frames import Kind, dump_frame
from weft.guest.protocol import Hello, MachineEvent, dump_hello
from weft.host.sockets import connect_unix
from weft.model.errors import Unavailable

pytestmark = pytest.mark.machine

WAS = ("52:54:00:00:00:01", "52:54:00:00:00:02")
NEW = ("52:54:00:00:00:11", "52:54:00:00:00:12")
TEMPLATE = GuestConfig(root=SQUASHFS, overlay="50%", template=True)
SOMEBODY = GuestConfig(
    hostname="somebody",
    machine_id="0123456789abcdef" * 2,
    root=SQUASHFS,
    overlay="50%",
    nics=(
        GuestNic(NEW[0], "lan", ("10.0.0.2/24", "fd00::2/64"), ("10.0.0.1",), was=WAS[1]),
        GuestNic(NEW[1], "wan", was=WAS[0]),
    ),
    dns=("10.0.0.1",),
    hosts=(GuestHost("10.0.0.9", "db"),),
    files=(GuestFile("/srv/file", "text"),),
    mounts=(GuestMount("/mnt", "tmpfs"),),
    argv=("/bin/sh", "-c", "echo entry $WHO >/tmp/entry; exec sleep 1000"),
    env={"WHO": "me"},
    services=(GuestService("s", ("/bin/sh", "-c", "cat /etc/hostname >/tmp/service"), once=True),),
    sysctls={"net.ipv4.ip_forward": "1"},
)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("root"))


@pytest.fixture
async def held(tmp_path: Path, root: Path) -> AsyncIterator[Machine]:
    async with boot(tmp_path, TEMPLATE, drives={"root": root}, macs=WAS) as machine:
        yield machine


@pytest.mark.parametrize("rehearsed", [False, True])
async def test_a_held_machine_is_nobody_and_then_becomes_somebody(held: Machine, rehearsed: bool) -> None:
    async with open_agent(held.agent, timeout=READY_TIMEOUT) as agent:
        if rehearsed:
            await agent.rehearse(timeout=READY_TIMEOUT)
            for number in range(len(WAS)):
                with pytest.raises(TimeoutError):
                    await held.receive_frame(number, timeout=0.2)
        assert (agent.ready.held, agent.ready.boot_id) == (True, "")
        assert not any(nic.up for nic in (await agent.facts()).nics.values())
        with pytest.raises(Unavailable, match="did not start it"):
            await agent.exec(["/bin/true"], timeout=0.3)
    become = Become(replace(SOMEBODY, read_only=rehearsed), b"a" * 32)
    async with open_agent(held.agent, timeout=READY_TIMEOUT, become=become) as agent:
        ready = agent.ready
        assert (ready.held, ready.hostname, ready.entry.state, len(ready.boot_id)) == (False, "somebody", "running", 36)
        nics = (await agent.facts()).nics
        assert {nic.name: nic.mac for nic in nics.values() if nic.up} == {"lan": NEW[0], "wan": NEW[1]}
        assert {"10.0.0.2/24", "fd00::2/64"} <= set(nics["lan"].addresses)
        assert await run(agent, "cat /etc/hostname /etc/machine-id") == f"somebody\n{SOMEBODY.machine_id}\n"
        assert await run(agent, "cat /etc/resolv.conf /srv/file /tmp/service") == "nameserver 10.0.0.1\ntextsomebody\n"
        assert "10.0.0.9 db\n" in await run(agent, "cat /etc/hosts")
        assert " /mnt tmpfs " in await run(agent, "cat /proc/mounts")
        assert "192.0.2" not in await run(agent, "cat /proc/net/fib_trie /proc/net/route")
        apart = " hostname hosts machine-id resolv.conf" if rehearsed else ""
        assert await run(agent, "cd /run/weft && echo *") == f"agent.sock events.sock{apart}\n"
        with pytest.raises(Unavailable, match="cannot rehearse"):
            await agent.rehearse()
        assert await run(agent, "cat /proc/sys/net/ipv4/ip_forward; echo $WHO") == "1\nme\n"
        before = time.time()
        assert before - 2 < float(await run(agent, "exec /bin/busybox date +%s")) < time.time() + 2
    async with open_agent(held.agent, timeout=READY_TIMEOUT, become=become) as agent:
        assert (agent.ready.boot_id, agent.ready.entry.pid) == (ready.boot_id, ready.entry.pid), "told again"


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (GuestConfig(root=SQUASHFS), "another root"),
        (
            GuestConfig(root=SQUASHFS, overlay="50%", nics=(GuestNic(NEW[0], "eth0"),)),
            "no interface has the MAC address",
        ),
    ],
)
async def test_a_held_machine_that_cannot_become_somebody_says_why_and_ends(
    held: Machine, config: GuestConfig, reason: str
) -> None:
    with pytest.raises(Unavailable, match=reason):
        async with open_agent(held.agent, timeout=READY_TIMEOUT, become=Become(config, bytes(32)), patience=30):
            pass
    assert await held.wait_exit() == 0
    assert reason in held.log()


async def test_a_held_machine_can_be_switched_off(held: Machine) -> None:
    async with open_agent(held.agent, timeout=READY_TIMEOUT) as agent:
        agent.shutdown()
        assert await held.wait_exit() == 0


async def test_what_a_hostile_host_says_does_not_wake_a_held_machine(held: Machine) -> None:
    async with open_agent(held.agent, timeout=READY_TIMEOUT):
        pass
    good = list(dump_become(Become(GuestConfig(files=(GuestFile("/f", "x" * 20_000),)), bytes(32)), 0))
    cut = good[-1][:20].ljust(len(good[-1]), b"\0")
    _, writer = await asyncio.open_unix_connection(sock=await connect_unix(held.agent, "agent"))
    writer.write(bytes(8200) + dump_frame(Kind.HELLO, 0, dump_hello(Hello(b"n" * 16, 1, 3, 0, becomes=True))))
    for pieces in ([b""], [b"x" * 8192], good[1:], [*good[:2], good[0]], [*good[:-1], cut], [bytes(8192)] * 40):
        writer.write(b"".join(dump_frame(Kind.BECOME, 0, piece) for piece in pieces))
        await writer.drain()
    writer.close()
    async with open_agent(held.agent, timeout=READY_TIMEOUT) as agent:
        assert agent.ready.held


HOOK = "#!/bin/sh\necho $WEFT_NAME $WEFT_FORKED_FROM $WHO $(cat /etc/hostname) >>/tmp/hooks\n"
HOOKS = {
    "etc/weft/on-fork.d/10-first": (0o755, HOOK.encode()),
    "etc/weft/on-fork.d/20-fails": (0o755, b"#!/bin/sh\nexit 3\n"),
    "etc/weft/on-fork.d/30-is-not-to-be-run": (0o644, HOOK.encode()),
    "etc/weft/on-fork.d/40-last": (0o755, HOOK.encode()),
}
KEYGEN = b'#!/bin/sh\necho "$@" >>/tmp/keygen\nfor name; do :; done\necho new >$name\n'
KEYS = {
    "bin/ssh-keygen": (0o755, KEYGEN),
    "etc/ssh/ssh_host_ed25519_key": (0o600, b"old"),
    "etc/ssh/ssh_host_ed25519_key.pub": (0o644, b"old"),
    "etc/ssh/sshd_config": (0o644, b"kept"),
}


@pytest.fixture(scope="module")
def forked_root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    applets = ("sh", "cat", "sleep", "echo", "date", "wc", "true", "ls")
    files = {"bin/busybox": (0o755, find_busybox()), **HOOKS, **KEYS}
    links = {f"bin/{applet}": "busybox" for applet in applets}
    return build_image(tmp_path_factory.mktemp("forked"), files, links)


ORIGINAL = GuestConfig(
    hostname="original",
    machine_id="1" * 32,
    root=SQUASHFS,
    overlay="50%",
    nics=(
        GuestNic(WAS[0], "eth0", ("10.0.0.2/24", "fd00::2/64"), ("10.0.0.1",)),
        GuestNic(WAS[1], "eth1", ("10.1.0.2/24",)),
    ),
    argv=("/bin/sh", "-c", "n=0; while sleep 0.02; do n=$((n+1)); echo $n >>/tmp/count; done"),
    env={"WHO": "me"},
)
COPY = GuestConfig(
    hostname="copy",
    machine_id="2" * 32,
    forked_from="original",
    root=SQUASHFS,
    overlay="50%",
    nics=(
        GuestNic(NEW[0], "eth0", ("10.0.0.3/24",), ("10.0.0.1",), was=WAS[0]),
        GuestNic(WAS[1], "eth1", ("10.1.0.2/24",), was=WAS[1]),
    ),
    dns=("10.0.0.1",),
    argv=("/bin/never",),
)


async def test_a_machine_is_frozen_and_becomes_another(tmp_path: Path, forked_root: Path) -> None:
    async with boot(tmp_path, ORIGINAL, drives={"root": forked_root}, macs=WAS) as machine:
        async with open_agent(machine.agent, timeout=READY_TIMEOUT) as agent:
            entry = agent.ready.entry
            stream = await agent.exec(["/bin/sh", "-c", "while :; do date; done"])
            await agent.freeze()
            while await _more(stream):
                pass  # what it had written before; then nothing comes
            await agent.thaw()
            async with asyncio.timeout(READY_TIMEOUT):
                assert await anext(stream), "its programs go on"
            await agent.freeze()
        events: list[MachineEvent] = []
        become = Become(COPY, b"b" * 32)
        async with open_agent(machine.agent, timeout=READY_TIMEOUT, become=become, on_event=events.append) as agent:
            assert (agent.ready.hostname, agent.ready.entry) == ("copy", entry)
            await agent.ping()
            assert [(event.kind, event.text) for event in events] == [
                ("on-fork", "/etc/weft/on-fork.d/20-fails: ended with status 3")
            ]
            nics = (await agent.facts()).nics
            assert (nics["eth0"].mac, nics["eth1"].mac) == (NEW[0], WAS[1])
            assert [address for address in nics["eth0"].addresses if address[:4] != "fe80"] == ["10.0.0.3/24"]
            assert nics["eth1"].addresses[0] == "10.1.0.2/24" and nics["eth0"].up
            assert await run(agent, "cat /etc/hostname /etc/machine-id /etc/resolv.conf") == (
                f"copy\n{COPY.machine_id}\nnameserver 10.0.0.1\n"
            )
            assert await run(agent, "cat /tmp/hooks") == "copy original me copy\n" * 2
            made = "-q -t ed25519 -N  -f /etc/ssh/ssh_host_ed25519_key\n"
            assert await run(agent, "cat /tmp/keygen /etc/ssh/ssh_host_ed25519_key") == f"{made}new\n"
            assert await run(agent, "cd /etc/ssh && echo *") == "ssh_host_ed25519_key sshd_config\n"
            assert "eth0\t00000000\t0100000A" in await run(agent, "cat /proc/net/route")
            before = int(await run(agent, "wc -l </tmp/count"))
            async with asyncio.timeout(READY_TIMEOUT):  # its programs go on
                while int(await run(agent, "wc -l </tmp/count")) == before:
                    pass


async def _more(stream: "AsyncIterator[tuple[str, bytes]]") -> bool:
    try:
        async with asyncio.timeout(0.5):
            return bool(await anext(stream))
    except TimeoutError:
        return False


async def test_a_session_without_become_lets_a_frozen_machine_go_on(tmp_path: Path, forked_root: Path) -> None:
    async with boot(tmp_path, ORIGINAL, drives={"root": forked_root}, macs=WAS) as machine:
        async with open_agent(machine.agent, timeout=READY_TIMEOUT) as agent:
            await agent.freeze()
        async with open_agent(machine.agent, timeout=READY_TIMEOUT) as agent:
            assert (await run(agent, "cat /etc/hostname")) == "original\n"
        async with open_agent(machine.agent, timeout=READY_TIMEOUT) as agent:
            await agent.freeze()
            agent._link.release(b"")
            agent.shutdown()
            assert await machine.wait_exit() == 0
