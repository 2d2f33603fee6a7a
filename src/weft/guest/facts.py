"""What a machine says about itself when asked: the answer to FACTS.

The text has one fact a line, `KEY VALUE...`; keys that are unknown here are passed over, so a newer agent can say more.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from weft.model.errors import Invalid


@dataclass(frozen=True, slots=True)
class Pressure:
    """Pressure stall information: shares of time in percent, total in microseconds.

    Source: https://docs.kernel.org/accounting/psi.html
    """

    avg10: float
    avg60: float
    avg300: float
    total_us: int


@dataclass(slots=True)
class NicFacts:
    name: str
    mac: str
    up: bool
    mtu: int
    addresses: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Facts:
    """Memory and swap in bytes, uptime in nanoseconds. `running`: programs that run or could, who answers included.
    `cpu_busy_us`, `cpu_idle_us`: microseconds in total, of all processors. `pressure` by (`cpu`|`memory`|`io`,
    `some`|`full`).

    `memory_drivers`: of devices that memory comes and goes by, those whose drivers are at work: `balloon`, `mem`; None:
    it does not say.
    """

    uptime_ns: int = 0
    load: tuple[float, float, float] = (0.0, 0.0, 0.0)
    processes: int = 0
    running: int = 0
    cpu_busy_us: int | None = None
    cpu_idle_us: int | None = None
    cpus_online: str = ""
    memory_total: int = 0
    memory_free: int = 0
    memory_available: int = 0
    memory_ballooned: int = 0
    memory_drivers: tuple[str, ...] | None = None
    swap_total: int = 0
    swap_free: int = 0
    oom_kills: int = 0
    pressure: dict[tuple[str, str], Pressure] = field(default_factory=dict)
    nics: dict[str, NicFacts] = field(default_factory=dict)

    @property
    def memory_own(self) -> int:
        """What it has for itself: its kernel counts as its own what the balloon holds."""
        return self.memory_total - self.memory_ballooned

    @property
    def memory_used(self) -> int:
        """What of it it cannot give up."""
        return self.memory_own - self.memory_available


def _read_number(facts: Facts, key: str, values: list[str]) -> None:
    (value,) = values
    setattr(facts, key, int(value))


def _read_load(facts: Facts, key: str, values: list[str]) -> None:
    one, five, fifteen = values
    facts.load = (float(one), float(five), float(fifteen))


def _read_processes(facts: Facts, key: str, values: list[str]) -> None:
    running, total = values
    facts.running, facts.processes = int(running), int(total)


def _read_cpus(facts: Facts, key: str, values: list[str]) -> None:
    (facts.cpus_online,) = values


def _read_drivers(facts: Facts, key: str, values: list[str]) -> None:
    facts.memory_drivers = tuple(values)


def _read_pressure(facts: Facts, key: str, values: list[str]) -> None:
    what, kind, avg10, avg60, avg300, total = values
    facts.pressure[what, kind] = Pressure(float(avg10), float(avg60), float(avg300), int(total))


def _read_nic(facts: Facts, key: str, values: list[str]) -> None:
    name, mac, state, mtu = values
    facts.nics[name] = NicFacts(name, mac, state == "up", int(mtu))


def _read_address(facts: Facts, key: str, values: list[str]) -> None:
    name, address = values
    facts.nics[name].addresses.append(address)


_NUMBERS = (
    *("uptime_ns", "memory_total", "memory_free", "memory_available", "memory_ballooned"),
    *("swap_total", "swap_free", "oom_kills", "cpu_busy_us", "cpu_idle_us"),
)

_READERS: dict[str, Callable[[Facts, str, list[str]], None]] = {
    **dict.fromkeys(_NUMBERS, _read_number),
    "load": _read_load,
    "processes": _read_processes,
    "cpus_online": _read_cpus,
    "memory_drivers": _read_drivers,
    "pressure": _read_pressure,
    "nic": _read_nic,
    "address": _read_address,
}


def parse_facts(payload: bytes) -> Facts:
    """Raises Invalid for a known key with a value that it cannot have."""
    facts = Facts()
    for line in payload.decode("utf-8", "replace").splitlines():
        key, *values = line.split(" ")
        try:
            if key in _READERS:
                _READERS[key](facts, key, values)
        except (ValueError, KeyError) as err:
            raise Invalid(f"agent protocol: malformed FACTS: {line[:80]!r}") from err
    return facts
