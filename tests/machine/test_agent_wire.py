"""A wire in a machine: what comes in at one NIC leaves at the other, bit for bit, and nothing else does."""

import asyncio
import re
import shutil
import struct
import subprocess
from pathlib import Path

import pytest
from tests.machine.agent_machine import Profile, boot_agent

from weft.guest.config import GuestConfig, GuestNic
from weft.guest.streams import ExecStream

pytestmark = pytest.mark.machine

MACS = ("52:54:00:00:00:0a", "52:54:00:00:00:0b")
CONFIG = GuestConfig(
    nics=(GuestNic(MACS[0], "eth0", mtu=9000), GuestNic(MACS[1], "eth1", mtu=9000)), wires=(("eth0", "eth1"),)
)

OWN = bytes.fromhex("52540000000a")
PEER = bytes.fromhex("52540000000b")
SOMEBODY, ELSE = bytes.fromhex("020000000001"), bytes.fromhex("020000000002")
BROADCAST = b"\xff" * 6


def frame(target: bytes, kind: int, payload: bytes, source: bytes = SOMEBODY) -> bytes:
    return target + source + struct.pack(">H", kind) + payload


def link_local(last: int) -> bytes:
    return bytes.fromhex("0180c20000") + bytes([last])


BODY = bytes(range(46))

FRAMES = {
    "unicast": frame(ELSE, 0x0800, BODY),
    "unicast to the NIC's own address": frame(OWN, 0x0800, BODY),
    "from the NIC's own address": frame(ELSE, 0x0800, BODY, OWN),
    "from the other NIC's address": frame(ELSE, 0x0800, BODY, PEER),
    "from a multicast address": frame(ELSE, 0x0800, BODY, bytes.fromhex("01005e000001")),
    "from nobody": frame(ELSE, 0x0800, BODY, b"\0" * 6),
    "shorter than Ethernet's minimum": frame(ELSE, 0x0800, b"short"),
    "broadcast ARP": frame(BROADCAST, 0x0806, BODY),
    "IPv4 multicast": frame(bytes.fromhex("01005e000001"), 0x0800, BODY),
    "IGMP query": frame(bytes.fromhex("01005e000001"), 0x0800, bytes.fromhex("46c00020") + BODY),
    "IPv6 multicast": frame(bytes.fromhex("333300000001"), 0x86DD, BODY),
    "VLAN": frame(ELSE, 0x8100, struct.pack(">HH", 0x0064, 0x0800) + BODY),
    "VLAN with priority": frame(ELSE, 0x8100, struct.pack(">HH", 0xE000, 0x0800) + BODY),
    "VLAN in VLAN": frame(ELSE, 0x88A8, struct.pack(">HHHH", 200, 0x8100, 100, 0x0800) + BODY),
    "VLAN with drop eligibility": frame(ELSE, 0x8100, struct.pack(">HH", 0x1FFE, 0x86DD) + BODY),
    "jumbo": frame(ELSE, 0x0800, bytes(n * 7 & 0xFF for n in range(9000))),
    "jumbo with VLAN": frame(ELSE, 0x8100, struct.pack(">HH", 7, 0x0800) + bytes(8996)),
    "LLDP": frame(link_local(0x0E), 0x88CC, BODY),
    "STP": frame(link_local(0x00), 0x0026, bytes.fromhex("424203") + BODY[:35]),
    "LACP": frame(link_local(0x02), 0x8809, BODY),
    "pause": frame(link_local(0x01), 0x8808, BODY),
    "802.1X": frame(link_local(0x03), 0x888E, BODY),
    "MPLS": frame(ELSE, 0x8847, BODY),
    "PPPoE": frame(ELSE, 0x8863, BODY),
    "heartbeat": frame(bytes.fromhex("0300000000b5"), 0x88B5, BODY),
}


@pytest.mark.parametrize("profile", ["microvm", "q35"])
async def test_frames_pass_untouched_in_both_directions(tmp_path: Path, profile: Profile) -> None:
    async with boot_agent(tmp_path, CONFIG, profile=profile, macs=MACS) as (machine, _):
        for name, sent in FRAMES.items():
            for into, out_of in ((0, 1), (1, 0)):
                await machine.send_frame(into, sent)
                assert await machine.receive_frame(out_of) == sent, name


async def test_a_wire_says_nothing_of_its_own(tmp_path: Path) -> None:
    async with boot_agent(tmp_path, CONFIG, macs=MACS) as (machine, _):
        for nic in (0, 1):
            with pytest.raises(TimeoutError):  # router solicitations and duplicate detection come within 1 to 4 s
                await machine.receive_frame(nic, timeout=3)


async def test_a_burst_passes_in_order(tmp_path: Path) -> None:
    async with boot_agent(tmp_path, CONFIG, macs=MACS) as (machine, _):
        received: list[bytes] = []
        for start in range(0, 2000, 50):
            for number in range(start, start + 50):
                await machine.send_frame(0, frame(ELSE, 0x88B5, struct.pack(">I", number) + BODY))
            received += [await machine.receive_frame(1) for _ in range(50)]
    assert [struct.unpack_from(">I", one, 14)[0] for one in received] == list(range(2000))


def tcpdump_files() -> dict[str, bytes]:
    tcpdump = shutil.which("tcpdump")
    assert tcpdump, "tcpdump is not installed: make bootstrap does it"
    listing = subprocess.run(["ldd", tcpdump], check=True, capture_output=True, text=True).stdout
    paths = ["/usr/bin/tcpdump", *re.findall(r"(/\S+) \(0x", listing)]
    return {path: Path(tcpdump if path == paths[0] else path).read_bytes() for path in paths}


async def test_tcpdump_on_one_nic_sees_both_directions(tmp_path: Path) -> None:
    command = ["/usr/bin/tcpdump", "-Z", "root", "-i", "eth0", "-n", "-e", "-c", "2", "-l", "--immediate-mode"]
    async with boot_agent(tmp_path, CONFIG, macs=MACS, files=tcpdump_files(), memory=128) as (machine, agent):
        process = await agent.exec(command)
        await wait_for_listener(process)
        for into, out_of in ((0, 1), (1, 0)):
            await machine.send_frame(into, FRAMES["VLAN"])
            await machine.receive_frame(out_of)
        _, out, _ = await asyncio.wait_for(process.collect(), 20)
    lines = out.decode().splitlines()
    assert len(lines) == 2 and all("vlan 100" in line for line in lines)


async def wait_for_listener(process: ExecStream) -> None:
    seen = b""
    async with asyncio.timeout(20):
        while b"listening on eth0" not in seen:
            seen += (await anext(process))[1]
