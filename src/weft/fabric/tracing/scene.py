"""A room as it is now, for a trace: its records, and the filters of its ports."""

from collections.abc import Iterable

from weft.fabric.ports import Ports
from weft.fabric.records.insert import InsertRecord
from weft.fabric.records.machine import MachineRecord
from weft.fabric.records.network import NetworkRecord
from weft.fabric.site import Site
from weft.model.insert import InsertState
from weft.model.machine import State
from weft.model.names import PortName
from weft.plan.tracing.room import (
    TracedInsert,
    TracedMachine,
    TracedNetwork,
    TracedNic,
    TracedPort,
    TracedRoom,
)

FIREWALL = "firewall"
"""The settings model whose rules can be judged by."""


async def find_scene(site: Site, ports: Ports) -> TracedRoom:
    """Everything of a room that decides where packets go."""
    shelves = site.shelves
    machines = {one.name: _trace_machine(site, ports, one) for one in shelves.machines if not one.removing}
    networks = {one.name: _trace_network(one) for one in shelves.networks if not one.removing}
    names = [PortName(one.name, nic.number) for one in machines.values() for nic in one.nics]
    names += [PortName("", network=one.name) for one in networks.values() if one.gateway is None]
    seen = [await _look(site, ports, name) for name in names]
    return TracedRoom(machines, networks, {port.name: port for port in seen})


def is_firewall(site: Site, machine: MachineRecord | None) -> bool:
    """Whether its rules are known here."""
    if machine is None:
        return False
    settings = site.images.get(machine.spec.image).settings
    return settings is not None and settings.model == FIREWALL


def _trace_machine(site: Site, ports: Ports, machine: MachineRecord) -> TracedMachine:
    nics = tuple(_trace_nics(ports, machine))
    return TracedMachine(machine.name, machine.state, nics, is_firewall(site, machine), machine.published)


def _trace_nics(ports: Ports, machine: MachineRecord) -> Iterable[TracedNic]:
    for number, nic in enumerate(machine.nics):
        if nic.network is not None:
            yield TracedNic(number, nic.network, nic.address, nic.address6, ports.pins.holds(machine, number))


def _trace_network(network: NetworkRecord) -> TracedNetwork:
    return TracedNetwork(
        name=network.name,
        subnet=network.subnet,
        gateway_address=network.gateway,
        subnet6=network.subnet6,
        gateway_address6=network.gateway6,
        gateway=network.spec.gateway,
        uplink=network.spec.uplink,
        behind=network.behind,
    )


async def _look(site: Site, ports: Ports, name: PortName) -> TracedPort:
    chain = tuple(_trace_insert(site, insert) for insert in ports.chain(name))
    look = await ports.look(name)
    if look is None:
        return TracedPort(name, chain)
    return TracedPort(name, chain, look.ends, look.appliances, look.wiring, look.ears)


def _trace_insert(site: Site, insert: InsertRecord) -> TracedInsert:
    machine = site.shelves.machines.find(insert.name)
    filters = machine is not None and machine.state is State.RUNNING and is_firewall(site, machine)
    drains = insert.carries and insert.state is InsertState.EJECTING
    return TracedInsert(insert.name, insert.spec.mode, insert.state, insert.reason, filters, drains)
