"""Connections that last: numbered lines from one end or both, while somebody looks how far they came."""

from dataclasses import dataclass

from tests.machine.fabrics import TestFabric, wait_for

PAUSE = 0.1
"""Seconds between two lines."""
LATER = 12
"""Lines of a connection that lives, in which one that lived would have brought some, too."""
TICKER = f"n=0; while sleep {PAUSE}; do n=$((n+1)); echo $n; done"


@dataclass(frozen=True)
class Talk:
    """A connection that `machine` has opened; what it hears lies there as a file."""

    fabric: TestFabric
    machine: str
    name: str

    def count(self) -> int:
        """Lines that came so far."""
        return int(self.fabric.exec(self.machine, "sh", "-c", f"wc -l <{self._file}"))

    def wait_lines(self, more: int = 3) -> None:
        """Until so many more have come."""
        before = self.count()
        wait_for(lambda: self.count() >= before + more, f"{self.name} goes on", say=lambda: self.count())

    @property
    def _file(self) -> str:
        return f"/tmp/{self.name}"


def serve_echo(fabric: TestFabric, machine: str, port: int) -> None:
    """Have a machine say again what it is told."""
    _serve(fabric, machine, port, "cat")


def serve_ticks(fabric: TestFabric, machine: str, port: int) -> None:
    """Have a machine speak by itself to whoever connects."""
    fabric.exec(machine, "sh", "-c", f"echo '{TICKER}' >/tmp/ticker")
    _serve(fabric, machine, port, "sh", "/tmp/ticker")


def open_echo(fabric: TestFabric, machine: str, name: str, address: str, port: int) -> Talk:
    """Both ends speak."""
    return _open(fabric, machine, name, f"({TICKER}) | nc {address} {port}")


def open_ticks(fabric: TestFabric, machine: str, name: str, address: str, port: int) -> Talk:
    """Only the other end speaks."""
    return _open(fabric, machine, name, f"nc {address} {port} <&3")


def assert_only(living: Talk, ended: Talk) -> None:
    """One goes on, the other does not: what was on its way has come before that is judged."""
    living.wait_lines(LATER)
    before = ended.count()
    living.wait_lines(LATER)
    assert ended.count() == before, f"{ended.name} lives"


def _serve(fabric: TestFabric, machine: str, port: int, *program: str) -> None:
    fabric.run("exec", "-d", machine, "--", "nc", "-ll", "-p", str(port), "-e", *program)
    # In hexadecimal, as the kernel tells it; 0A is LISTEN.
    listens = f"grep -q ':{port:04X} 0.* 0A ' /proc/net/tcp /proc/net/tcp6 && echo yes"
    wait_for(lambda: fabric.exec(machine, "sh", "-c", listens, check=False), f"{machine} listens on {port}")


def _open(fabric: TestFabric, machine: str, name: str, command: str) -> Talk:
    talk = Talk(fabric, machine, name)
    # Its input is a pipe that nobody writes to and nobody closes.
    fabric.run(
        "exec",
        "-d",
        machine,
        "--",
        "sh",
        "-c",
        f"mkfifo /tmp/{name}.in; exec 3<>/tmp/{name}.in; {command} >/tmp/{name}",
    )
    wait_for(
        lambda: fabric.exec(machine, "sh", "-c", f"test -s /tmp/{name} && echo yes", check=False), f"{name} speaks"
    )
    return talk
