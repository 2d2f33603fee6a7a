"""Booting: roots, names, network, what is said when it goes wrong, and the end of a machine."""

import asyncio
import os
import time
from pathlib import Path

import pytest
from tests.machine.agent_machine import READY_TIMEOUT, SQUASHFS, Profile, boot, boot_agent, build_root, wait_until

from weft.guest.agent import Agent
from weft.guest.config import GuestConfig, GuestHost, GuestMount, GuestNic, GuestRoot
from weft.guest.connecting import open_agent

pytestmark = pytest.mark.machine

MACS = ("52:54:00:00:00:01", "52:54:00:00:00:02", "52:54:00:00:00:03")


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build_root(tmp_path_factory.mktemp("root"))


async def run(agent: Agent, script: str) -> str:
    async with await agent.exec(["/bin/sh", "-c", script]) as process:
        status, out, err = await process.collect()
    assert (status.code, err) == (0, b""), (script, status, out, err)
    return out.decode()


async def test_ready_tells_when_init_began_and_when_it_was_ready(tmp_path: Path) -> None:
    begin = time.monotonic_ns()
    async with boot_agent(tmp_path, GuestConfig(hostname="quick")) as (_, agent):
        assert agent.ready.hostname == "quick"
        assert await agent.ping() > 0
        assert 0 < agent.ready.started_ns < agent.ready.ready_ns < time.monotonic_ns() - begin


async def test_overlay_root_can_be_written_to(tmp_path: Path, root: Path) -> None:
    config = GuestConfig(
        hostname="web",
        root=SQUASHFS,
        overlay="50%",
        hosts=(GuestHost("10.0.0.9", "db"),),
        dns=("10.0.0.1",),
        search=("lan",),
        sysctls={"net.ipv4.ip_forward": "1"},
    )
    async with boot_agent(tmp_path, config, drives={"root": root}) as (_, agent):
        assert await run(agent, "echo new > /mnt/file && cat /mnt/file /etc/hostname") == "new\nweb\n"
        assert "10.0.0.9 db\n" in await run(agent, "cat /etc/hosts")
        assert await run(agent, "cat /etc/resolv.conf") == "search lan\nnameserver 10.0.0.1\n"
        assert await run(agent, "cat /proc/sys/net/ipv4/ip_forward") == "1\n"
        assert "/init" not in await run(agent, "echo /*")
        assert "overlay / overlay" in await run(agent, "cat /proc/mounts")


async def test_read_only_root_gets_its_names_all_the_same(tmp_path: Path, root: Path) -> None:
    config = GuestConfig(hostname="fixed", root=SQUASHFS, dns=("10.0.0.1",))
    async with boot_agent(tmp_path, config, drives={"root": root}) as (_, agent):
        assert await run(agent, "cat /etc/hostname /etc/resolv.conf") == "fixed\nnameserver 10.0.0.1\n"
        assert await run(agent, "(echo x > /file) 2>/dev/null || echo refused") == "refused\n"
        assert await run(agent, "echo x > /tmp/file && cat /tmp/file") == "x\n"


async def test_second_file_system_is_mounted(tmp_path: Path, root: Path) -> None:
    mounts = (GuestMount("/mnt", "squashfs", serial="second", read_only=True),)
    config = GuestConfig(root=SQUASHFS, overlay="50%", mounts=mounts)
    async with boot_agent(tmp_path, config, drives={"root": root, "second": root}) as (_, agent):
        assert "web" in await run(agent, "cat /mnt/etc/passwd")


@pytest.mark.parametrize("profile", ["microvm", "q35"])
async def test_nics_are_found_by_mac_address(tmp_path: Path, profile: Profile) -> None:
    config = GuestConfig(
        nics=(
            GuestNic(MACS[2], "eth0", ("10.0.0.2/24", "fd00::2/64"), ("10.0.0.1",)),
            GuestNic(MACS[0], "eth1", ("10.1.0.2/16",), mtu=9000),
            GuestNic(MACS[1], "wan"),
        )
    )
    async with boot_agent(tmp_path, config, profile=profile, macs=MACS) as (_, agent):
        nics = (await agent.facts()).nics
        route = await run(agent, "cat /proc/net/route")
    assert (nics["eth0"].mac, nics["eth1"].mac, nics["wan"].mac) == (MACS[2], MACS[0], MACS[1])
    assert {"10.0.0.2/24", "fd00::2/64"} <= set(nics["eth0"].addresses)
    assert nics["eth1"].mtu == 9000 and nics["eth1"].addresses[0] == "10.1.0.2/16"
    assert nics["wan"].up
    assert "eth0\t00000000\t0100000A" in route


@pytest.mark.parametrize(
    ("config", "reason"),
    [
        (GuestConfig(root=GuestRoot("absent", "squashfs")), "no block device has the serial number 'absent'"),
        (GuestConfig(root=GuestRoot("root", "nonsense")), "mount of /dev/vda (nonsense) on /lower"),
        (GuestConfig(nics=(GuestNic(MACS[0], "eth0"),)), "eth0: no interface has the MAC address 52:54:00:00:00:01"),
    ],
)
async def test_what_cannot_boot_says_why_and_ends(tmp_path: Path, root: Path, config: GuestConfig, reason: str) -> None:
    async with boot(tmp_path, config, drives={"root": root}) as machine:
        assert await machine.wait_exit() == 0
    assert f"weft-init: {reason}" in machine.log()
    assert "Kernel panic" not in machine.log()


@pytest.mark.parametrize("profile", ["microvm", "q35"])
async def test_power_off_ends_qemu(tmp_path: Path, profile: Profile) -> None:
    async with boot_agent(tmp_path, GuestConfig(), profile=profile) as (machine, agent):
        agent.shutdown("poweroff")
        async with asyncio.timeout(READY_TIMEOUT):
            await agent.closed
        assert await machine.wait_exit() == 0


async def test_processes_are_asked_before_they_are_killed(tmp_path: Path) -> None:
    script = "trap 'echo asked >/dev/console; exit' TERM; echo on >/dev/console; while :; do sleep 0.1; done"
    async with boot_agent(tmp_path, GuestConfig()) as (machine, agent):
        await agent.exec(["/bin/sh", "-c", "trap '' TERM; while :; do sleep 1; done"])
        process = await agent.exec(["/bin/sh", "-c", script + "; echo"], stdin=False)
        await wait_until(lambda: "on\n" in machine.log())
        assert process.pid
        agent.shutdown("reboot", grace=5.0)
        await machine.wait_exit()
    assert "asked" in machine.log()


@pytest.mark.parametrize("signal", ["USR2", "TERM"])
async def test_the_image_can_switch_off_by_itself(tmp_path: Path, signal: str) -> None:
    config = GuestConfig(argv=("/bin/sh", "-c", f"kill -{signal} 1; sleep 60"))
    async with boot(tmp_path, config) as machine:
        await machine.wait_exit()


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far: fields 14 and 15 of its stat."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


async def test_an_idle_machine_costs_nothing_whether_connected_or_not(tmp_path: Path) -> None:
    """A port without a peer reports a hang-up for ever: a poll loop that minds it would run hot."""

    async def measure() -> float:
        before = cpu_seconds(machine.process.pid)
        await asyncio.sleep(1)
        return cpu_seconds(machine.process.pid) - before

    async with boot(tmp_path, GuestConfig()) as machine:
        async with open_agent(machine.agent, timeout=READY_TIMEOUT) as agent:
            await agent.exec(["/bin/cat", "/dev/zero"])
            await agent.ping()
            await asyncio.sleep(0.5)
            assert await measure() < 0.2
        await asyncio.sleep(0.5)
        assert await measure() < 0.2
