"""Ends of connections that are no machines: namespaces of the benchmark's own, joined to bridges of a fabric's room.

Sockets of both ends are in one process, so there is one clock, and no emulated machine adds delays of its own.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.harness.fabric import PATIENCE, BenchFabric, wait_for
from weft.plan.pin_table import TABLE


@contextmanager
def open_end(fabric: BenchFabric, bridge: str, address: str, gateway: str) -> Iterator[int]:
    """A namespace with one NIC on a bridge of the default room: the process that holds it. `address` has its length."""
    holder = subprocess.Popen(["unshare", "--net", "sleep", "infinity"], stdin=subprocess.DEVNULL)
    link = f"bench-{bridge}"
    try:
        own = Path("/proc/self/ns/net").stat().st_ino
        wait_for(lambda: Path(f"/proc/{holder.pid}/ns/net").stat().st_ino != own, "a namespace of its own")
        fabric.ask_inside("ip", "link", "add", link, "type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        fabric.ask_inside("ip", "link", "set", link, "master", bridge, "up")
        # What comes in by a link that nobody knows would be dropped.
        fabric.ask_inside("nft", "add", "element", *TABLE.split(), "ports", f'{{ "{link}" : accept }}')
        for command in (
            ("link", "set", "lo", "up"),
            ("link", "set", "eth0", "up"),
            ("address", "add", address, "dev", "eth0"),
            ("route", "add", "default", "via", gateway),
        ):
            subprocess.run(["nsenter", f"--target={holder.pid}", "--net", "ip", *command], check=True, timeout=PATIENCE)
        yield holder.pid
    finally:
        holder.kill()  # with the namespace its link goes, and that link's other end
        holder.wait()
