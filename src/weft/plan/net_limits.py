"""How much machines may send and receive: the rules of a room, as nft reads them. Pure.

They stand at the bridges, where all frames of a machine pass on their way to its network and from there, whatever is in
its chain. What is too much is dropped. All NICs of a machine have one budget.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from weft.model.limits import LimitsSpec

TABLE = "bridge weft-limits"
NOTHING = f"add table {TABLE}\ndelete table {TABLE}\n"
"""The rules when nobody is limited."""
LEAST_BURST = 256 << 10
"""Bytes: four packets as large as guests hand over at once, which are cut no earlier than on a real wire."""
LEAST_PACKETS = 16
BURST = 10
"""So many bursts are a second's worth."""
_DIRECTIONS = {"out": "iifname", "in": "oifname"}
_HOOKS = {"out": "prerouting priority -310", "in": "postrouting priority 0"}
"""What a machine sends is counted before it is looked at (`plan.pin_table`): forging is no way round a limit."""


@dataclass(frozen=True, slots=True)
class LimitedMachine:
    """A machine by the number of its slot, and the bridge's ends of its ports."""

    slot: int
    links: tuple[str, ...]
    limits: LimitsSpec


def plan_net_limits(machines: Iterable[LimitedMachine]) -> str:
    """The whole table; loading it replaces the one before in one step, and begins with full budgets."""
    limited = [machine for machine in machines if machine.limits.of_network and machine.links]
    if not limited:
        return NOTHING
    lines = [line for direction in _DIRECTIONS for line in _plan_direction(direction, limited)]
    return "\n".join([f"{NOTHING}table {TABLE} {{", *(f"  {line}" for line in lines), "}\n"])


def _plan_direction(direction: str, machines: list[LimitedMachine]) -> Iterator[str]:
    rules = []
    for unit in ("packets", "bytes"):
        kind = f"{direction}_{unit}"
        rates = {machine: rate for machine in machines if (rate := _find_rate(machine.limits, direction, unit))}
        if rates:
            yield from (
                f"limit m{machine.slot}_{kind} {{ {_dump_rate(rate, unit)}; }}" for machine, rate in rates.items()
            )
            elements = (f'"{link}" : "m{machine.slot}_{kind}"' for machine in rates for link in machine.links)
            yield f"map {kind} {{ type ifname : limit; elements = {{ {', '.join(elements)} }}; }}"
            rules.append(f"limit name {_DIRECTIONS[direction]} map @{kind} drop;")
    if rules:
        yield f"chain {direction} {{ type filter hook {_HOOKS[direction]}; policy accept; {' '.join(rules)} }}"


def _find_rate(limits: LimitsSpec, direction: str, unit: str) -> int | None:
    rate: int | None = getattr(limits, f"net_{direction}" if unit == "bytes" else f"net_{direction}_packets")
    return rate


def _dump_rate(rate: int, unit: str) -> str:
    if unit == "bytes":
        return f"rate over {rate} bytes/second burst {max(LEAST_BURST, rate // BURST)} bytes"
    return f"rate over {rate}/second burst {max(LEAST_PACKETS, rate // BURST)} packets"
