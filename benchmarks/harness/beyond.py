"""What lies beyond a gateway: a namespace with servers, joined to the fabric's own by a pair of links.

The fabric's uplink carries connections through sockets of the host, which would be measured along. So there is a link
of the benchmark's own instead, by which packets leave with an address of the link, as by an uplink.
"""

import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from benchmarks.harness.bare import call_inside
from benchmarks.harness.fabric import PATIENCE, BenchFabric, wait_for

LINK, ADDRESS = "beyond", "198.18.0.2"
"""The link's end in the fabric's namespace, and who is beyond it (RFC 2544: for benchmarks)."""
_HERE = "198.18.0.1/30"
_RULES = f"""
add table ip beyond; add chain ip beyond post {{ type nat hook postrouting priority srcnat; }}
add rule ip beyond post oifname {LINK} masquerade; insert rule inet weft forward oifname {LINK} accept
"""


@dataclass
class Beyond:
    """The namespace, and what runs in it."""

    holder: int
    stack: ExitStack
    talks: list[socket.socket] = field(default_factory=list)

    def start(self, *argv: str) -> "subprocess.Popen[str]":
        """A program there, that ends with the namespace at the latest."""
        command = ["nsenter", f"--target={self.holder}", "--net", "--", *argv]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        self.stack.callback(process.wait, PATIENCE)
        self.stack.callback(process.kill)
        return process

    def listen(self, port: int) -> socket.socket:
        """A listening socket there."""
        opened = call_inside(self.holder, lambda: socket.create_server((ADDRESS, port), backlog=512))
        self.stack.callback(opened.close)
        opened.settimeout(PATIENCE)
        return opened

    def accept(self, listener: socket.socket, count: int) -> None:
        """So many connections from machines, whose other ends say again what they are told."""
        for _ in range(count):
            talk, _ = listener.accept()
            talk.settimeout(20)
            self.stack.callback(talk.close)
            self.talks.append(talk)


@contextmanager
def open_beyond(fabric: BenchFabric) -> Iterator[Beyond]:
    """Made for a fabric whose networks are there already; gone when left."""
    with ExitStack() as stack:
        holder = subprocess.Popen(["unshare", "--net", "sleep", "86400"])
        stack.callback(holder.wait, PATIENCE)
        stack.callback(holder.kill)
        beyond = Beyond(holder.pid, stack)
        wait_for(lambda: _is_apart(holder.pid), "a namespace of its own")
        pair = ("type", "veth", "peer", "name", "eth0", "netns", str(holder.pid))
        fabric.ask_inside("ip", "link", "add", LINK, *pair)
        stack.callback(fabric.ask_inside, "ip", "link", "del", LINK)
        fabric.ask_inside("ip", "addr", "add", _HERE, "dev", LINK)
        fabric.ask_inside("ip", "link", "set", LINK, "up")
        beyond.start("sh", "-c", f"ip addr add {ADDRESS}/30 dev eth0; ip link set eth0 up").wait(PATIENCE)
        fabric.ask_inside("sysctl", "-qw", "net.ipv4.ip_forward=1")
        fabric.ask_inside("nft", _RULES)
        yield beyond


def speak(talk: socket.socket) -> bool:
    """Whether a connection lives: what is said comes back."""
    word = f"{time.monotonic_ns()}\n".encode()
    try:
        talk.sendall(word)
        heard = b""
        while len(heard) < len(word):
            if not (piece := talk.recv(len(word) - len(heard))):
                return False
            heard += piece
    except OSError:
        return False
    return heard == word


def _is_apart(process: int) -> bool:
    ask = ["nsenter", f"--target={process}", "--net", "--", "ip", "-br", "link"]
    return subprocess.run(ask, capture_output=True, text=True, check=True).stdout.count("\n") == 1
