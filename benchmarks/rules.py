"""Rule changes of a firewall under open connections: how soon they count, and whom they break.

Promise: with 1,000 open TCP connections a change breaks none that the new rules allow, and counts within 300 ms of the
request; connections that the new rules do not allow end. The firewall is a router of 64 MB between two networks. Both
ends of all connections are in this process, each in a namespace of its own.

Each change also opens a UDP port. Datagrams to it leave every few ms with the time in them, and the first that arrives
is the one that says since when the new rules count. A tenth of the connections goes to a port of its own: what the last
change does not allow any more.
"""

import argparse
import selectors
import socket
import struct
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field

from benchmarks.harness.bare import call_inside
from benchmarks.harness.ends import open_end
from benchmarks.harness.fabric import BenchFabric, open_bench_fabric
from benchmarks.harness.report import Report, say, summarize

LIMIT = 300.0
KEPT, CUT = 7000, 7001
"""TCP ports: those of connections that stay allowed, and of those that do not."""
PROBES = 8000
"""The first of the UDP ports, one for each change."""
CLIENT, SERVER = "10.30.1.250", "10.30.2.250"
NUMBER = struct.Struct("!Q")
TIME = struct.Struct("!d")
PAUSE = 0.005
"""Seconds between two datagrams."""
PATIENCE = 30.0
"""Seconds for whatever lives to say so: TCP sends again ever more rarely."""


@dataclass(slots=True)
class Connection:
    """Both its ends. `heard` is the last number that arrived at the server."""

    client: socket.socket
    server: socket.socket
    heard: int = 0
    pending: bytes = b""

    def take(self, data: bytes) -> None:
        data = self.pending + data
        whole = len(data) // NUMBER.size
        self.pending = data[whole * NUMBER.size :]
        if whole:
            (self.heard,) = NUMBER.unpack_from(data, (whole - 1) * NUMBER.size)


@dataclass(slots=True)
class Crowd:
    """All connections, by the port they go to."""

    connections: dict[int, list[Connection]] = field(default_factory=dict)
    number: int = 0

    def open(self, client: int, server: int, port: int, count: int) -> None:
        """So many, one after the other."""
        listener = call_inside(server, lambda: socket.create_server((SERVER, port), backlog=64))
        self.connections[port] = [self._connect(client, listener, port) for _ in range(count)]
        listener.close()

    def _connect(self, client: int, listener: socket.socket, port: int) -> Connection:
        near = call_inside(client, lambda: socket.create_connection((SERVER, port), timeout=PATIENCE))
        far, _ = listener.accept()
        far.setblocking(False)
        near.setblocking(False)
        return Connection(near, far)

    def find_silent(self, *ports: int, seconds: float = PATIENCE) -> int:
        """Have each say a number; how many of these ports' have not been heard in time."""
        self.number += 1
        everybody = [connection for port in self.connections for connection in self.connections[port]]
        for connection in everybody:
            connection.client.send(NUMBER.pack(self.number))
        awaited = {id(connection) for port in ports for connection in self.connections[port]}
        with selectors.DefaultSelector() as selector:
            for connection in everybody:
                selector.register(connection.server, selectors.EVENT_READ, connection)
            deadline = time.monotonic() + seconds
            while awaited and (left := deadline - time.monotonic()) > 0:
                for key, _ in selector.select(left):
                    key.data.take(key.data.server.recv(4096))
                    if key.data.heard == self.number:
                        awaited.discard(id(key.data))
        return len(awaited)

    def close(self) -> None:
        for connections in self.connections.values():
            for connection in connections:
                connection.client.close()
                connection.server.close()


def wait_probe(client: int, server: int, port: int, done: threading.Event) -> Iterator[float]:
    """Once: when the first datagram was sent that arrived, by `time.perf_counter`."""
    near = call_inside(client, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    far = call_inside(server, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
    with near, far:
        far.bind((SERVER, port))
        far.settimeout(PAUSE)
        while not done.is_set():
            near.sendto(TIME.pack(time.perf_counter()), (SERVER, port))
            try:
                yield from TIME.unpack(far.recv(64))
                return
            except TimeoutError:
                continue


def change(fabric: BenchFabric, ends: tuple[int, int], number: int, ports: str) -> tuple[float, float]:
    """Another rule: ms until it counts, and until the answer comes."""
    port = PROBES + number
    rules = [f"accept lan -> dmz tcp port {ports}", f"accept lan -> dmz udp port {port}"]
    done, seen = threading.Event(), list[float]()
    probe = threading.Thread(target=lambda: seen.extend(wait_probe(*ends, port, done)))
    probe.start()
    time.sleep(0.1)  # so that there are datagrams before the change, too
    begin = time.perf_counter()
    try:
        fabric.client.change_config("fw", {"rules": rules})
        answered = time.perf_counter()
        probe.join(PATIENCE)
    finally:
        done.set()
        probe.join()
    if not seen:
        raise RuntimeError("the change was answered and does not count")
    return 1000 * (seen[0] - begin), 1000 * (answered - begin)


@contextmanager
def open_room(fabric: BenchFabric) -> Iterator[tuple[int, int]]:
    """The firewall between two networks, and an end on each of them."""
    for network, subnet in (("lan", "10.30.1.0/24"), ("dmz", "10.30.2.0/24")):
        fabric.client.create_network({"name": network, "subnet": subnet, "gateway": "fw"})
    bridges = {str(link.get("ifalias")): str(link["ifname"]) for link in fabric.links()}
    # Without the time in which it takes over what was there before: that is not what is measured here.
    settings = {"rules": [f"accept lan -> dmz tcp port {KEPT},{CUT}"], "takeover": 0}
    machine = {"name": "fw", "image": "firewall", "nics": [{"network": "lan"}, {"network": "dmz"}]}
    fabric.client.create_machine(machine, settings=settings)
    with (
        open_end(fabric, bridges["weft network lan"], f"{CLIENT}/24", "10.30.1.1") as client,
        open_end(fabric, bridges["weft network dmz"], f"{SERVER}/24", "10.30.2.1") as server,
    ):
        yield client, server


def measure(report: Report, fabric: BenchFabric, count: int, connections: int) -> None:
    """Changes that allow all, then one that does not."""
    crowd, samples = Crowd(), {"counts": list[float](), "answered": list[float]()}
    with ExitStack() as stack:
        ends = stack.enter_context(open_room(fabric))
        stack.callback(crowd.close)
        crowd.open(*ends, KEPT, connections - connections // 10)
        crowd.open(*ends, CUT, connections // 10)
        tracked = int(fabric.execute("fw", "cat /proc/sys/net/netfilter/nf_conntrack_count"))
        say(f"  {connections} connections are open, {tracked} tracked")
        broken = crowd.find_silent(KEPT, CUT)
        for number in range(count):
            counts, answered = change(fabric, ends, number, f"{KEPT},{CUT}")
            samples["counts"].append(counts)
            samples["answered"].append(answered)
            broken += crowd.find_silent(KEPT, CUT)
            say(f"  change {number + 1} counts after {counts:.0f} ms, {broken} connections broken")
        change(fabric, ends, count, str(KEPT))
        broken += crowd.find_silent(KEPT)
        living = connections // 10 - crowd.find_silent(CUT, seconds=3.0)
    ms = {name: summarize(values) for name, values in samples.items()}
    report.figures |= {"ms": ms, "tracked": tracked, "connections": connections, "changes": count + 1}
    report.promise(f"allowed connections of {connections} broken by {count + 1} changes", broken, 0)
    report.promise("from the request until the new rules count, median ms", ms["counts"]["p50"], LIMIT)
    report.promise("connections that are not allowed any more and live", living, 0)


def main() -> None:
    """Measure and report."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=20, help="changes")
    parser.add_argument("--connections", type=int, default=1000)
    options = parser.parse_args()
    report = Report("rules", vars(options))
    with open_bench_fabric() as fabric:
        measure(report, fabric, options.count, options.connections)
    report.publish()


if __name__ == "__main__":
    main()
