"""The shaper: what a line with it is like, and without it again."""

import re
from collections.abc import Iterator

import pytest
from tests.machine.fabrics import TestFabric

DELAY = 60
PINGS = ("ping", "-c", "10", "-i", "0.1", "web")
BYTES = 64 << 10


@pytest.fixture(scope="module")
def shaped(room: TestFabric) -> Iterator[TestFabric]:
    room.run("insert", "shaper", "--before", "web")
    yield room
    if room.chain("web"):
        room.run("eject", "shaper")


@pytest.fixture(autouse=True)
def plain(shaped: TestFabric) -> None:
    """Each test begins with a line that does nothing."""
    names = [line.split()[0] for line in shaped.text("config", "show", "shaper").splitlines()[1:]]
    shaped.run("config", "unset", "shaper", *(name for name in names if name != "hostname"))


def quickest(room: TestFabric) -> float:
    """The shortest of some round trips, in ms: no busy host makes one shorter."""
    found = re.search(r"min/avg/max = ([\d.]+)/", room.exec("client", *PINGS))
    assert found
    return float(found[1])


def answered(room: TestFabric, count: int) -> int:
    said = room.exec("client", "ping", "-c", str(count), "-i", "0.02", "-W", "1", "web", check=False)
    found = re.search(r"(\d+) packets received", said)
    assert found, said
    return int(found[1])


def state(room: TestFabric) -> str:
    ((_, state),) = room.chain("web")
    return state


def test_a_delay_is_there_each_way_and_changes_live(shaped: TestFabric) -> None:
    assert quickest(shaped) < 2 * DELAY
    shaped.run("config", "set", "shaper", f"delay={DELAY}")
    assert quickest(shaped) >= 2 * DELAY
    shaped.run("config", "set", "shaper", "inward.delay=0")
    assert DELAY <= quickest(shaped) < 2 * DELAY


def test_loss_reorder_and_duplicates(shaped: TestFabric) -> None:
    shaped.run("config", "set", "shaper", "loss=50")
    assert 0 < answered(shaped, 60) < 60
    shaped.run("config", "unset", "shaper", "loss")
    shaped.run("config", "set", "shaper", "duplicate=100", "delay=20", "reorder=30")
    assert "DUP!" in shaped.exec("client", *PINGS)


def test_a_line_that_loses_everything_is_still_a_line(shaped: TestFabric) -> None:
    shaped.run("config", "set", "shaper", "inward.loss=100")
    assert answered(shaped, 20) == 0
    assert state(shaped) == "active"
    shaped.run("config", "unset", "shaper", "inward.loss")
    assert answered(shaped, 5) == 5


def test_a_rate_holds(shaped: TestFabric) -> None:
    """64 KiB at 256 kbit/s take two seconds; what is measured is the machine's own clock."""
    shaped.exec("web", "sh", "-c", f"head -c {BYTES} /dev/zero >/srv/www/zeros")
    shaped.run("config", "set", "shaper", "outward.rate=256kbit")
    fetch = "a=$(cut -d' ' -f1 /proc/uptime); wget -qO- http://web/zeros | wc -c; cut -d' ' -f1 /proc/uptime; echo $a"
    size, end, begin = shaped.exec("client", "sh", "-c", fetch).split()
    assert int(size) == BYTES
    assert float(end) - float(begin) >= BYTES * 8 / 256e3 * 0.9


def test_nonsense_is_refused_and_nothing_changes(shaped: TestFabric) -> None:
    shaped.run("config", "set", "shaper", f"delay={DELAY}")
    for wrong in ("loss=101", "rate=fast", "delay=-1", "colour=blue"):
        assert shaped.refusal("config", "set", "shaper", wrong) == "invalid"
    shaped.run("config", "set", "shaper", "delay=0")
    assert shaped.refusal("config", "set", "shaper", "reorder=10") == "invalid"
    assert quickest(shaped) < 2 * DELAY


def test_its_health_is_told(shaped: TestFabric) -> None:
    view = shaped.json("inspect", "shaper")
    assert (view[0] if isinstance(view, list) else view)["health"]["status"] in ("starting", "healthy")


def test_without_it_the_line_is_as_before(shaped: TestFabric) -> None:
    shaped.run("config", "set", "shaper", f"delay={DELAY}")
    shaped.run("eject", "shaper")
    assert quickest(shaped) < 2 * DELAY
    assert not shaped.chain("web")
