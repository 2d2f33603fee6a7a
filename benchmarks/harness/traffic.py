"""Real traffic between real machines, and what of it arrived: iperf3 in the machines, captures at their taps.

iperf3 numbers its datagrams. A capture at the tap of the sender and one at the tap of the receiver show by these
numbers, packet by packet, what was lost between the two taps, which is the fabric's doing, and nothing else: what a
receiver's socket or an emulated CPU loses lies behind the second tap, and what a sender did not send before the first.
"""

import itertools
import json
import re
import signal
import struct
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from benchmarks.harness.fabric import PATIENCE, BenchFabric, wait_for
from weft.model.errors import WeftError

UDP_PORT, TCP_PORT = 5201, 5202
PAYLOAD = 64
_NUMBER = struct.Struct("!I")
_NUMBER_AT = 14 + 20 + 8 + 8
"""iperf3's packet number stands behind Ethernet, IPv4 and UDP headers and its own time stamp."""
_GLOBAL_HEADER, _RECORD = 24, struct.Struct("<IIII")
_SOCKET_BUFFER = "1M"
_HAND_OVER = 1.3
"""The kernel hands captured packets over in blocks, once in a second at the latest; what it still has is lost."""
_ROOMY = "echo 8388608 >/proc/sys/net/core/rmem_max; echo 8388608 >/proc/sys/net/core/wmem_max"


@dataclass(frozen=True, slots=True)
class Sight:
    """One packet seen at a tap: seconds since the epoch by the host's clock, and its number."""

    time: float
    number: int


class Capture:
    """tcpdump at one link of the fabric. The kernel stamps the packets."""

    def __init__(self, fabric: BenchFabric, link: str, direction: str, expression: str) -> None:
        """`direction`: `in` for what the machine behind a tap sends, `out` for what it gets."""
        self._file = fabric.home / f"capture-{link}-{direction}.pcap"
        self._complaints = fabric.home / f"capture-{link}-{direction}.log"
        argv = ["tcpdump", "-i", link, "-Q", direction, "-n", "-s", "80", "-B", "65536", "-Z", "root"]
        argv += ["--time-stamp-precision=nano", "-w", str(self._file), expression]
        with self._complaints.open("wb") as log:
            self._process = subprocess.Popen(fabric.inside(*argv), stdin=subprocess.DEVNULL, stderr=log)
        wait_for(lambda: "listening on" in self._complaints.read_text(), f"tcpdump at {link} listens", seconds=20)

    def stop(self) -> bytes:
        """End it; the whole capture file. Raises RuntimeError when the kernel had to pass packets over."""
        time.sleep(_HAND_OVER)
        self._process.send_signal(signal.SIGINT)
        self._process.wait(PATIENCE)
        text = self._complaints.read_text()
        missed = re.search(r"(\d+) packets dropped by kernel", text)
        if missed is None or int(missed[1]):
            raise RuntimeError(f"the capture is not complete: {text}")
        return self._file.read_bytes()

    def kill(self) -> None:
        """Whatever happened, it does not stay."""
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(PATIENCE)


def parse_records(data: bytes) -> Iterator[tuple[float, bytes]]:
    """Time and frame of each record of a capture file with nanoseconds. What was cut off at its end is left out."""
    at = _GLOBAL_HEADER
    while at + _RECORD.size <= len(data):
        seconds, nanoseconds, size, _ = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        yield seconds + nanoseconds / 1e9, data[at : at + size]
        at += size


def parse_datagrams(data: bytes) -> list[Sight]:
    """iperf3's numbered datagrams of a capture."""
    return [
        Sight(time, _NUMBER.unpack_from(frame, _NUMBER_AT)[0])
        for time, frame in parse_records(data)
        if len(frame) >= _NUMBER_AT + _NUMBER.size
    ]


@contextmanager
def open_captures(fabric: BenchFabric, sender: str, receiver: str) -> Iterator[tuple[Capture, Capture]]:
    """Captures of iperf3's datagrams at the taps of both machines."""
    expression = f"udp dst port {UDP_PORT}"
    source = Capture(fabric, fabric.tap(sender), "in", expression)
    try:
        target = Capture(fabric, fabric.tap(receiver), "out", expression)
    except BaseException:
        source.kill()
        raise
    try:
        yield source, target
    finally:
        source.kill()
        target.kill()


class Job(threading.Thread):
    """A program in a machine, from now until it ends."""

    def __init__(self, fabric: BenchFabric, machine: str, argv: list[str]) -> None:
        super().__init__(daemon=True)
        self._session = fabric.client.open_exec(machine, argv)
        self._what = f"{argv[0]} in {machine}"
        self._open = self._session.__enter__()
        self._output = b""
        self._failure: WeftError | None = None
        self.start()

    def run(self) -> None:
        try:
            for _, data in self._open:
                self._output += data
        except WeftError as err:  # of no interest when it was ended with `close`
            self._failure = err

    @property
    def text(self) -> str:
        """What it printed so far."""
        return self._output.decode(errors="replace")

    def finish(self, seconds: float = PATIENCE) -> str:
        """Wait for its end; all that it printed. Raises TimeoutError."""
        self.join(seconds)
        if self.is_alive():
            raise TimeoutError(f"{self._what} does not end: {self.text[-500:]}")
        if self._failure is not None:
            raise RuntimeError(f"{self._what}: {self._failure}") from self._failure
        self.close()
        return self.text

    def close(self) -> None:
        """End it if it still runs."""
        self._session.__exit__(None, None, None)


class Traffic:
    """iperf3 from one machine to another: numbered UDP datagrams, and beside them a TCP stream the other way."""

    def __init__(self, fabric: BenchFabric, sender: str, receiver: str) -> None:
        self._fabric = fabric
        self._sender = sender
        self._receiver = receiver
        for machine in (sender, receiver):
            fabric.execute(machine, _ROOMY)
        self._address = fabric.client.machine(receiver)["networks"][0]["address"]
        self._jobs: dict[str, Job] = {}
        self._servers: list[Job] = []

    def start(self, seconds: float, *, rate: int, tcp: str | None = "1M") -> None:
        """`rate` in packets a second for so many seconds; with `tcp`, a stream of so many bits a second."""
        udp = ["-u", "-l", str(PAYLOAD), "-b", str(rate * PAYLOAD * 8), "-w", _SOCKET_BUFFER]
        self._start("udp", UDP_PORT, seconds, udp)
        if tcp:
            self._start("tcp", TCP_PORT, seconds, ["-R", "-l", "4K", "-b", tcp])  # by default it sends 128 KB at a time

    def start_detached(self, *, rate: int) -> None:
        """Datagrams that do not end with the daemon, as programs do whose output it carries; until `stop_detached`."""
        self._fabric.execute(self._receiver, f"iperf3 -s -D -p {UDP_PORT}")
        options = f"-u -l {PAYLOAD} -b {rate * PAYLOAD * 8} -w {_SOCKET_BUFFER} -t 86400"
        command = f"iperf3 -c {self._address} -p {UDP_PORT} {options}"
        self._fabric.execute(self._sender, f"setsid {command} >/tmp/iperf3.log 2>&1 </dev/null &")

    def stop_detached(self) -> None:
        """End them, and wait for it."""
        for machine in (self._sender, self._receiver):
            self._fabric.execute(
                machine, "killall iperf3; for i in $(seq 100); do pidof iperf3 || exit 0; sleep 0.1; done"
            )

    def _start(self, kind: str, port: int, seconds: float, options: list[str]) -> None:
        server = Job(self._fabric, self._receiver, ["iperf3", "-s", "-1", "--forceflush", "-p", str(port)])
        self._servers.append(server)
        wait_for(lambda: "listening" in server.text, "iperf3 listens")
        argv = ["iperf3", "-c", str(self._address), "-p", str(port), "-t", str(round(seconds)), "-J", *options]
        self._jobs[kind] = Job(self._fabric, self._sender, argv)

    def finish(self) -> dict[str, dict[str, Any]]:
        """What iperf3 itself counted, by `udp` and `tcp`."""
        counted = {kind: _read_iperf(json.loads(job.finish())) for kind, job in self._jobs.items()}
        for server in self._servers:
            server.finish()
        return counted

    def close(self) -> None:
        """End whatever still runs."""
        for job in (*self._jobs.values(), *self._servers):
            job.close()

    def receiver_counters(self) -> dict[str, int]:
        """What the receiving machine's kernel lost by itself and, being TCP's sender, sent again, since its start."""
        return read_receiver(self._fabric, self._receiver)


@contextmanager
def open_traffic(fabric: BenchFabric, sender: str, receiver: str) -> Iterator[Traffic]:
    """Traffic that ends with the context."""
    traffic = Traffic(fabric, sender, receiver)
    try:
        yield traffic
    finally:
        traffic.close()


def wait_flowing(fabric: BenchFabric, machine: str, packets: int = 500) -> None:
    """Until so many packets have reached a machine."""
    tap = fabric.tap(machine)

    def seen() -> int:
        return next(int(link["stats64"]["tx"]["packets"]) for link in fabric.links() if link["ifname"] == tap)

    begin = seen()
    wait_for(lambda: seen() - begin >= packets, f"packets reach {machine}", pause=0.1)


def read_receiver(fabric: BenchFabric, machine: str) -> dict[str, int]:
    """UDP's counters of a machine, what its NIC and its backlog dropped, and what its TCP sent again.

    `tcp_needless`: so many of those were sent again although nothing was lost, as the other end reported (RFC 2883):
    who overtakes on a shorter way looks like a loss for a moment.
    """
    files = ("/proc/net/snmp", "/proc/net/netstat", "/proc/net/dev", "/proc/net/softnet_stat")
    snmp, netstat, devices, backlog = fabric.execute(machine, "; echo ---; ".join(f"cat {f}" for f in files)).split(
        "---\n"
    )
    counted = parse_counters(snmp) | parse_counters(netstat)
    nic = next(line.split() for line in devices.splitlines() if line.strip().startswith("eth0:"))
    return {
        "datagrams": counted["Udp.InDatagrams"],
        "buffer_errors": counted["Udp.RcvbufErrors"],
        "other_errors": counted["Udp.InErrors"] - counted["Udp.RcvbufErrors"],
        "nic_dropped": int(nic[4]),
        "backlog_dropped": sum(int(line.split()[1], 16) for line in backlog.splitlines()),
        "tcp_sent_again": counted["Tcp.RetransSegs"],
        "tcp_needless": counted["TcpExt.TCPDSACKRecv"],
    }


def parse_counters(text: str) -> dict[str, int]:
    """Files of /proc/net in which a line of names is followed by a line of values: `Udp.InDatagrams`, ..."""
    counted: dict[str, int] = {}
    lines = text.splitlines()
    for names, values in zip(lines[::2], lines[1::2], strict=True):
        kind = names.split(":")[0]
        counted |= {
            f"{kind}.{name}": int(value) for name, value in zip(names.split()[1:], values.split()[1:], strict=True)
        }
    return counted


def _read_iperf(document: Mapping[str, Any]) -> dict[str, Any]:
    if "error" in document:
        return {"broken": 1, "error": document["error"]}
    end = document["end"]
    if "sum" in end:
        counted = end["sum"]
        return {"broken": 0, "packets": counted["packets"], "lost_by_its_own_account": counted["lost_packets"]}
    return {
        "broken": 0,
        "bytes": end["sum_received"]["bytes"],
        "retransmits": end["sum_sent"].get("retransmits", 0),
        "seconds_without_data": sum(1 for interval in document["intervals"] if not interval["sum"]["bytes"]),
    }


def compare(source: bytes, target: bytes) -> dict[str, Any]:
    """What was lost, and what came twice, between two captures of one stream."""
    sent = [sight.number for sight in parse_datagrams(source)]
    seen = [sight.number for sight in parse_datagrams(target)]
    if unseen := set(seen) - set(sent):
        raise RuntimeError(
            f"the sender's capture is not complete: {len(unseen)} packets were seen at the other end only"
        )
    return {
        "sent": len(sent),
        "arrived": len(seen),
        "lost": len(set(sent) - set(seen)),
        "duplicates": len(seen) - len(set(seen)),
        "out_of_order": sum(1 for first, second in itertools.pairwise(seen) if second < first),
    }


def settle(seconds: float = 0.5) -> None:
    """Let what is under way arrive: there is no event for the last packet of a stream that may lose some."""
    time.sleep(seconds)
