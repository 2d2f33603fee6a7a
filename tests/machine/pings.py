"""Echo requests for as long as something else takes, however long that is."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from tests.machine.fabrics import PATIENCE, TestFabric

_GO_ON = "/tmp/pinging"
_ROUND = 50
"""Requests of one `ping`: another one follows while there is time."""


@dataclass
class Echoes:
    """What became of the requests, once they are over."""

    sent: int = 0
    received: int = 0
    said: str = ""

    def check_all(self) -> None:
        """Each was answered, once."""
        assert self.sent and self.received == self.sent and "duplicates" not in self.said, self.said


@contextmanager
def pinging(fabric: TestFabric, machine: str, target: str) -> Iterator[Echoes]:
    """Some thirty requests a second, from before until after what is done meanwhile."""
    ping = f"ping -q -c {_ROUND} -i 0.03 -W 5 {target}"
    fabric.exec(machine, "touch", _GO_ON)
    process = fabric.start("exec", machine, "--", "sh", "-c", f"while test -e {_GO_ON}; do {ping}; done")
    echoes = Echoes()
    try:
        yield echoes
        fabric.exec(machine, "rm", _GO_ON)
        echoes.said = process.communicate(timeout=PATIENCE)[0].decode()
    finally:
        process.kill()
        process.communicate()
    for sent, received in re.findall(r"(\d+) packets transmitted, (\d+) packets received", echoes.said):
        echoes.sent += int(sent)
        echoes.received += int(received)
