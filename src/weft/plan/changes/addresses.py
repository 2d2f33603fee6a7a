"""Addresses for NICs that name none, where another might else get what a third one names. Pure.

Without this a new machine may be given the very address that the file has for one that is made after it.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network

from weft.model.machine import MachineSpec, NicSpec
from weft.model.network import NetworkSpec
from weft.plan.address import gateway_of
from weft.plan.changes.holdings import find_kept
from weft.plan.changes.networks import Fates
from weft.plan.changes.settle import want_nics
from weft.plan.changes.work import Work

Specs = Mapping[str, MachineSpec]


@dataclass(frozen=True)
class _Range:
    """A network as it is to be, and who is to be on it: machines with their NICs' numbers."""

    spec: NetworkSpec
    subnet: IPv4Network
    members: list[tuple[str, int, NicSpec]]

    @property
    def named(self) -> dict[IPv4Address, str]:
        """Addresses that the file names, with their machines."""
        return {nic.address: name for name, _, nic in self.members if nic.address}

    def number6(self) -> set[int]:
        """Host numbers of the addresses of IPv6 that the file names: those without get the number of the other one."""
        base = int(self.spec.subnet6.network_address) if self.spec.subnet6 else 0
        return {int(nic.address6) - base for _, _, nic in self.members if nic.address6}

    def number(self, address: IPv4Address) -> int:
        """A host's number."""
        return int(address) - int(self.subnet.network_address)


def choose_addresses(work: Work, nets: Fates, finals: Specs, leaves: Specs) -> dict[str, MachineSpec]:
    """The machines, with addresses of their own where that is needed. `leaves`: what some of them are in between."""
    found = dict(finals)
    for network in _find_ranges(work, nets, found):
        held = {nic.address: name for name, now in work.now.machines.items() for nic in now.nics if nic.address}
        if not _is_crowded(network, held):
            continue
        free = _find_free(network, held)
        for name, number, nic in network.members:
            if nic.address is None and _is_new(work, nets, name, number, found[name], leaves):
                found[name] = _give(work, name, found[name], number, next(free, None))
    return found


def _find_ranges(work: Work, nets: Fates, finals: Specs) -> Iterator[_Range]:
    for network in {**work.now.networks, **nets}:
        spec = nets[network].after if network in nets else work.now.networks[network]
        if spec is not None and spec.subnet is not None:
            nics = [(name, n, nic) for name in finals for n, nic in enumerate(_nics(work, name, finals[name]))]
            yield _Range(spec, spec.subnet, [one for one in nics if one[2].network == network])


def _nics(work: Work, name: str, spec: MachineSpec) -> tuple[NicSpec, ...]:
    return want_nics(spec, work.find_image(name)) or ()


def _is_crowded(network: _Range, held: Mapping[IPv4Address, str]) -> bool:
    """Whether one of the lowest addresses, which are given first, is named and not yet where it is to be."""
    crowd = len(held) + len(network.members) + 2
    numbers = {network.number(address) for address, name in network.named.items() if held.get(address) != name}
    return any(number <= crowd for number in numbers | network.number6())


def _find_free(network: _Range, held: Mapping[IPv4Address, str]) -> Iterator[IPv4Address]:
    taken = {*held, *network.named, gateway_of(network.subnet)}
    numbers = network.number6()
    return (host for host in network.subnet.hosts() if host not in taken and network.number(host) not in numbers)


def _is_new(work: Work, nets: Fates, name: str, number: int, spec: MachineSpec, leaves: Specs) -> bool:
    """Whether a NIC has no address yet, or none any more. A gateway gets the first one, which nobody else does."""
    nics = _nics(work, name, spec)
    network = nics[number].network or ""
    fate = nets.get(network)
    after = fate.after if fate else work.now.networks.get(network)
    is_first = [nic.network for nic in nics].index(network) == number
    if after is not None and after.gateway == name and is_first:
        return False
    if name not in work.now.machines or (fate is not None and fate.goes):
        return True
    leave = leaves.get(name)
    was_off = leave is not None and network not in [nic.network for nic in _nics(work, name, leave)]
    return was_off or number not in find_kept(work.now.machines[name], spec)


def _give(work: Work, name: str, spec: MachineSpec, number: int, address: IPv4Address | None) -> MachineSpec:
    nics = list(_nics(work, name, spec))
    nics[number] = nics[number].model_copy(update={"address": address})
    return spec.model_copy(update={"nics": tuple(nics)})
