"""What guests say of their NICs, held against what they were given."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from weft.plan.tracing.ends import Address
from weft.plan.tracing.room import TracedMachine
from weft.plan.tracing.walk import AT_MACHINE, Hop


@dataclass(frozen=True, slots=True)
class SeenNic:
    """A NIC as the guest has it now."""

    is_up: bool
    addresses: tuple[Address, ...]


SeenNics = Mapping[str, SeenNic]
"""By the names that guests have for them, eth0 and so on."""


def list_machines(hops: Sequence[Hop]) -> list[str]:
    """The machines on the way, each once."""
    names = (hop.at.removeprefix(AT_MACHINE) for hop in hops if hop.at.startswith(AT_MACHINE))
    return list(dict.fromkeys(names))


def find_guest_changes(machine: TracedMachine, seen: SeenNics) -> Iterator[str]:
    """What a guest has made otherwise, a sentence each."""
    for nic in machine.nics:
        name = f"eth{nic.number}"
        found = seen.get(name)
        if found is None:
            yield f"machine {machine.name} has no {name} any more"
            continue
        if not found.is_up:
            yield f"machine {machine.name} has {name} down"
        for address in (nic.address, nic.address6):
            if address is not None and address not in found.addresses:
                yield f"machine {machine.name} does not have {address} at {name} any more"
