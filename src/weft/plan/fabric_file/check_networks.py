"""What is wrong with a room's networks, and with addresses on them. Pure."""

import itertools
from collections.abc import Iterator

from weft.model.errors import WeftError
from weft.model.fabric_file import NetworkFile
from weft.model.machine_file import NicFile
from weft.model.names import DEFAULT_NETWORK
from weft.model.network import find_address
from weft.plan.address import AnyAddress, AnySubnet, check_subnet6, find_misfit
from weft.plan.fabric_file.places import Finding
from weft.plan.fabric_file.scene import Scene
from weft.plan.fabric_file.shape import suggest


def check_networks(scene: Scene) -> Iterator[Finding]:
    """All of it."""
    for name, network in scene.room.networks.items():
        try:
            network.to_spec(name)
        except WeftError as err:
            yield Finding(scene.path("networks", name), err.message)
        yield from _check_gateway(scene, name, network)
        yield from _check_dns(scene, name, network)
        yield from _check_range(scene, name, network)
        yield from _check_addresses(scene, name, network)
    if DEFAULT_NETWORK not in scene.room.networks:
        yield from _check_addresses(scene, DEFAULT_NETWORK, NetworkFile())
    yield from _check_overlaps(scene)
    yield from _check_macs(scene)


def _check_overlaps(scene: Scene) -> Iterator[Finding]:
    given = [(name, network) for name, network in scene.room.networks.items()]
    for (one, first), (other, second) in itertools.combinations(given, 2):
        if first.subnet and second.subnet and first.subnet.overlaps(second.subnet):
            what = f"{second.subnet} overlaps with {first.subnet} of network {one!r}"
            yield Finding(scene.path("networks", other, "subnet"), what)
        if first.subnet6 and second.subnet6 and first.subnet6.overlaps(second.subnet6):
            what = f"{second.subnet6} overlaps with {first.subnet6} of network {one!r}"
            yield Finding(scene.path("networks", other, "subnet6"), what)


def _check_range(scene: Scene, name: str, network: NetworkFile) -> Iterator[Finding]:
    if network.subnet6 is not None:
        try:
            check_subnet6(network.subnet6, scene.subnets[name], [])
        except WeftError as err:
            yield Finding(scene.path("networks", name, "subnet6"), str(err))


def _check_gateway(scene: Scene, name: str, network: NetworkFile) -> Iterator[Finding]:
    gateway, path = network.gateway, scene.path("networks", name, "gateway")
    if gateway is None:
        return
    if gateway not in scene.room.machines:
        yield Finding(path, f"no machine {gateway!r} in the room{suggest(gateway, list(scene.room.machines))}")
    elif (nics := scene.nics(gateway)) is not None and name not in [nic.network for nic in nics]:
        yield Finding(path, f"machine {gateway!r} has no NIC on this network, so it cannot be its gateway")


def _check_dns(scene: Scene, name: str, network: NetworkFile) -> Iterator[Finding]:
    members = {machine for machine, _, _ in scene.members(name)}
    for number, server in enumerate(network.dns):
        known = all(scene.nics(machine) is not None for machine in scene.room.machines)
        if find_address(server) is None and server not in members and known:
            yield Finding(scene.path("networks", name, "dns", number), f"no machine {server!r} on this network")


def _check_addresses(scene: Scene, name: str, network: NetworkFile) -> Iterator[Finding]:
    taken: dict[AnyAddress, str] = {}
    firsts: dict[str, int] = {}
    for machine, number, nic in scene.members(name):
        is_gateway = network.gateway == machine and firsts.setdefault(machine, number) == number
        for key, subnet in (("address", network.subnet), ("address6", network.subnet6)):
            address: AnyAddress | None = getattr(nic, key)
            if address is None:
                continue
            path = scene.path("machines", machine, "networks", number, key)
            if fault := _find_fault(nic, address, subnet, is_gateway=is_gateway):
                if not scene.is_spoiled("networks", name):
                    yield Finding(path, fault)
            elif address in taken:
                yield Finding(path, f"{address} is machine {taken[address]!r}'s on network {name!r}")
            taken.setdefault(address, machine)


def _check_macs(scene: Scene) -> Iterator[Finding]:
    """No two NICs of a room have one hardware address."""
    taken: dict[str, str] = {}
    for name in scene.room.machines:
        for number, nic in enumerate(scene.nics(name) or ()):
            mac = nic.mac.lower() if nic.mac else ""
            if mac in taken:
                path = scene.path("machines", name, "networks", number, "mac")
                yield Finding(path, f"{mac} is machine {taken[mac]!r}'s")
            elif mac:
                taken[mac] = name


def _find_fault(nic: NicFile, address: AnyAddress, subnet: AnySubnet | None, *, is_gateway: bool) -> str | None:
    if subnet is None:
        which = "subnet6" if address.version == 6 else "subnet"
        return f"network {nic.network!r} has no `{which}`, so no address of it can be chosen"
    return find_misfit(nic.network, address, subnet, is_gateway=is_gateway)
